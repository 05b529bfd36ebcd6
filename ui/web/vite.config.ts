// Builds the pages into dist/. Scripts find each other relative to themselves; only index.html names them from the root,
// so that a deep address (/trace/…) finds them too. A server behind a proxy prefix rewrites those few addresses.
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** `vite --mode mock` answers /api from the test fixtures instead of a server. */
function mockApi(): Plugin {
  return {
    name: "hotspan-mock-api",
    async configureServer(server) {
      const { answer } = await import("./e2e/mock.ts");
      server.middlewares.use((req, res, next) => {
        if (req.url?.startsWith("/api/")) answer(req, res);
        else next();
      });
    },
  };
}

/** Addresses in index.html from the root; those between scripts stay relative. */
function rootedEntry(): Plugin {
  return {
    name: "hotspan-rooted-entry",
    apply: "build",
    transformIndexHtml: { order: "post", handler: (html) => html.replaceAll('="./', '="/') },
  };
}

export default defineConfig(({ mode }) => ({
  base: "./",
  plugins: [react(), rootedEntry(), ...(mode === "mock" ? [mockApi()] : [])],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 500,
  },
  server: { proxy: mode === "mock" ? undefined : { "/api": process.env.HOTSPAN_SERVER ?? "http://127.0.0.1:4320" } },
}));
