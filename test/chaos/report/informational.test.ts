import { expect, test } from "vitest";
import type { Verdict } from "../../../chaos/checkers/checker.ts";
import { junitReport } from "../../../chaos/report/junit.ts";
import type { RunReport, ScenarioResult } from "../../../chaos/report/report.ts";
import { smallReport } from "./small-report.ts";

const told: Verdict = {
  checker: "long-fork",
  status: "unknown",
  summary: "nothing to compare",
  evidence: 0,
  figures: {},
  proof: [],
  informational: true,
};

/** The first scenario of the small report, with this verdict as well. */
function reportWith(verdict: Verdict): RunReport {
  const [first] = smallReport.scenarios as readonly [ScenarioResult];
  return { ...smallReport, scenarios: [{ ...first, verdicts: [...first.verdicts, verdict] }] };
}

test("a verdict that only tells is no error in JUnit when it has nothing to tell", () => {
  expect(junitReport(reportWith(told))).toContain('<skipped message="nothing to compare">');
  expect(junitReport(reportWith(told))).not.toContain("<error");
  const { informational: _, ...judged } = told;
  expect(junitReport(reportWith(judged))).toContain("<error");
});
