import { expect, test } from "vitest";
import { duration } from "../../../chaos/report/figures-in-words.ts";
import { budgetsInWords, policyInWords, worldInWords } from "../../../chaos/report/policy-in-words.ts";
import { smallReport } from "./small-report.ts";

test("a policy and its budgets are said with their units", () => {
  expect(policyInWords(smallReport.policy)).toBe(
    "lag threshold 1 s (back at 600 ms), probe every 200 ms, timeout 200 ms, fall 2, rise 2, slow start 1 s, " +
      "weights 2:1:1, retries 2, fallback to primary, 10 connections a node",
  );
  expect(budgetsInWords(smallReport.policy)).toBe(
    "down within 800 ms, data at most 1.40 s old, back within 1.40 s, no read stalls beyond 1.05 s",
  );
});

test("a policy without a lag threshold has no bound of staleness", () => {
  const policy = { ...smallReport.policy, replicaLagThresholdMs: "off", staleBudgetMs: "off" };
  expect(policyInWords(policy)).toMatch(/^no lag threshold, /);
  expect(budgetsInWords(policy)).toContain("staleness not bounded");
});

test("a world that says nothing of itself is named by its kind", () => {
  expect(worldInWords({ kind: "virtual" })).toBe("virtual");
  expect(worldInWords({ kind: "external", replicas: 1 })).toBe("external: primary and 1 replica");
});

test.each([
  [undefined, ""],
  [0, "0 ms"],
  [0.4, "0 ms"],
  [999.4, "999 ms"],
  [999.6, "1 s"],
  [1_234, "1.23 s"],
  [60_000, "60 s"],
  [120_000, "2 min"],
  [125_400, "2 min 5 s"],
])("%s ms reads %j", (ms, words) => {
  expect(duration(ms)).toBe(words);
});
