// Builds the pages into dist/. Asset addresses are relative to the document's <base>, which the server rewrites
// when it is asked for a deeper path, so that one build works at any proxy prefix.
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** `vite --mode mock` answers /api from the test fixtures instead of a server. */
function mockApi(): Plugin {
  return {
    name: "hotspan-mock-api",
    async configureServer(server) {
      const { answer } = await import("./e2e/mock");
      server.middlewares.use((req, res, next) => {
        if (req.url?.startsWith("/api/")) answer(req, res);
        else next();
      });
    },
  };
}

export default defineConfig(({ mode }) => ({
  base: "./",
  plugins: [react(), ...(mode === "mock" ? [mockApi()] : [])],
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 500,
  },
  server: { proxy: mode === "mock" ? {} : { "/api": process.env.HOTSPAN_SERVER ?? "http://127.0.0.1:4320" } },
}));
