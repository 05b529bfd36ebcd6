import { defineConfig } from "vitest/config";

// One browser, one journey after another: the machine that runs this has two cores.
export default defineConfig({
  test: {
    include: ["e2e/**/*.e2e.ts"],
    environment: "node",
    testTimeout: 180_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    // Vite gives BASE_URL another meaning inside tests.
    env: { HOTSPAN_URL: process.env.BASE_URL ?? "" },
  },
});
