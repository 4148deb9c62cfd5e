import { expect, test } from "vitest";
import type { Promise99 } from "../../../chaos/bench/overhead.ts";
import { benchLines, brokenPromises, unjudgedPromises } from "../../../chaos/bench/report.ts";
import type { BenchReport } from "../../../chaos/bench/report.ts";

function reportOf(addedP99Ms: number, noiseMs: number): BenchReport {
  const measured = { p50Ms: 0.1, p99Ms: 1, perSecond: 1000 } as Promise99["bare"];
  return {
    schemaVersion: 1,
    decision: { p50Ns: 175 } as BenchReport["decision"],
    overhead: {
      promises: [{ statement: "cached text", bare: measured, router: measured, addedP99Ms, noiseMs }],
      ratios: [],
    },
  };
}

test.each([
  [0.2, 0.1, "kept"],
  [0.999, -0.999, "kept"],
  [1, 0.1, "broken"],
  [2.7, -2.8, "unjudged"],
  [0.2, 1, "unjudged"],
])("%d ms added at a noise of %d ms is %s", (added, noise, expected) => {
  const report = reportOf(added, noise);
  const found = [
    brokenPromises(report).length > 0 && "broken",
    unjudgedPromises(report).length > 0 && "unjudged",
  ];
  expect(found.find((one) => one !== false) ?? "kept").toBe(expected);
});

test("the tables have a line a statement", () => {
  expect(benchLines(reportOf(0.2, 0.1)).slice(0, 4)).toEqual([
    "decision, cached statement: p50 175 ns",
    "",
    "statement    bare pg p50  router p50  bare pg p99  router p99  added p99  noise floor",
    "cached text  0.100 ms     0.100 ms    1.000 ms     1.000 ms    0.200 ms   0.100 ms",
  ]);
});
