import { defineConfig } from "vitest/config";

// Two projects: `unit` is pure and fast (properties included), `integration` starts real servers.
// Integration files run one at a time: they share two cores with four PostgreSQL servers each.
const reportFile = process.env["FAIRLEAD_TEST_REPORT"];

export default defineConfig({
  test: {
    // One a core: the default leaves one of two cores idle.
    maxWorkers: 2,
    // CI counts from the runner's own report.
    ...(reportFile === undefined ? {} : { reporters: ["default", "json"], outputFile: { json: reportFile } }),
    root: new URL("..", import.meta.url).pathname,
    projects: [
      {
        test: {
          name: "unit",
          sequence: { groupOrder: 0 },
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "integration",
          // After the unit tests, so that nothing else runs while servers are timed.
          sequence: { groupOrder: 1 },
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          pool: "forks",
        },
      },
    ],
  },
});
