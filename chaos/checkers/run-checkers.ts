/** Runs checkers so that none can do harm: one that crashes is `unknown`, one that judged nothing is never a pass. Pure. */
import type { Claim } from "../subject.ts";
import type { CheckInput, Checker, Verdict, VerdictStatus } from "./checker.ts";

export interface Judgement {
  readonly status: Exclude<VerdictStatus, "not-claimed">;
  readonly verdicts: readonly Verdict[];
}

/** Judges a run by each checker, in their order. `claims` are the subject's promises. */
export function runCheckers(
  checkers: readonly Checker[],
  input: CheckInput,
  claims: readonly Claim[],
): Judgement {
  const verdicts = checkers.map((checker) => judged(checker, { ...input, claims }));
  const counted = verdicts.filter(({ informational }) => informational !== true);
  return { status: overallStatus(counted.map(({ status }) => status)), verdicts };
}

/** Fail beats unknown beats pass. What was not claimed counts for nothing: nothing judged is unknown. */
export function overallStatus(statuses: readonly VerdictStatus[]): Judgement["status"] {
  if (statuses.includes("fail")) return "fail";
  if (statuses.includes("unknown")) return "unknown";
  return statuses.includes("pass") ? "pass" : "unknown";
}

function judged(checker: Checker, input: CheckInput): Verdict {
  const { name, claim } = checker;
  const without = (status: VerdictStatus, summary: string): Verdict => ({
    checker: name,
    status,
    summary,
    evidence: 0,
    figures: {},
    proof: [],
  });
  if (claim !== undefined && input.claims?.includes(claim) === false) {
    return without("not-claimed", `the subject does not claim ${claim}`);
  }
  try {
    const verdict = checker.check(input);
    if (verdict.status !== "pass" || verdict.evidence > 0) return verdict;
    return { ...verdict, status: "unknown", summary: `no evidence: ${verdict.summary}` };
  } catch (error) {
    return without(
      "unknown",
      `the checker crashed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
