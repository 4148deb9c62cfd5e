import { expect, test } from "vitest";
import type { Checker, Verdict, VerdictStatus } from "../../../chaos/checkers/checker.ts";
import { checkers } from "../../../chaos/checkers/index.ts";
import { overallStatus, runCheckers } from "../../../chaos/checkers/run-checkers.ts";
import { HistoryBuilder, input } from "../history-builder.ts";

const nothing = input(new HistoryBuilder());

function checker(status: VerdictStatus, evidence = 1): Checker {
  const verdict: Verdict = { checker: status, status, summary: status, evidence, figures: {}, proof: [] };
  return { name: status, guarantee: "", check: () => verdict };
}

test("a checker that crashes is unknown, with what it said, and the others are heard", () => {
  const crashing: Checker = {
    name: "crashing",
    guarantee: "",
    check: () => {
      throw new Error("no such node");
    },
  };
  const { status, verdicts } = runCheckers([crashing, checker("pass")], nothing, []);
  expect(status).toBe("unknown");
  expect(verdicts).toMatchObject([
    { checker: "crashing", status: "unknown", summary: "the checker crashed: no such node" },
    { status: "pass" },
  ]);
});

test("a pass without evidence is unknown", () => {
  expect(runCheckers([checker("pass", 0)], nothing, [])).toMatchObject({ status: "unknown" });
});

test("what the subject does not claim is not judged", () => {
  const weights: Checker = { ...checker("fail"), claim: "weights" };
  expect(runCheckers([weights, checker("pass")], nothing, ["fallback"])).toMatchObject({
    status: "pass",
    verdicts: [{ status: "not-claimed", evidence: 0 }, { status: "pass" }],
  });
  expect(runCheckers([weights], nothing, ["weights"]).status).toBe("fail");
});

test("what is informational counts neither for nor against", () => {
  const telling = (status: VerdictStatus): Checker => {
    const silent = checker(status);
    return { ...silent, check: (given) => ({ ...silent.check(given), informational: true }) };
  };
  expect(runCheckers([telling("unknown"), checker("pass")], nothing, []).status).toBe("pass");
  expect(runCheckers([telling("pass"), checker("unknown")], nothing, []).status).toBe("unknown");
  expect(runCheckers([telling("pass")], nothing, [])).toMatchObject({
    status: "unknown",
    verdicts: [{ status: "pass", informational: true }],
  });
});

test.each([
  [["pass", "fail", "unknown"], "fail"],
  [["pass", "unknown", "not-claimed"], "unknown"],
  [["pass", "not-claimed"], "pass"],
  [["not-claimed"], "unknown"],
  [[], "unknown"],
] as const)("%j together are %s", (statuses, expected) => {
  expect(overallStatus(statuses)).toBe(expected);
});

test("every checker finds an empty history unknown, and survives a broken one", () => {
  const claims = [
    "weights",
    "exact-weights",
    "lag-limit",
    "fallback",
    "log-once",
    "no-leak",
    "read-your-writes",
    "monotonic-reads",
    "events",
  ] as const;
  for (const { status, evidence, checker } of runCheckers(checkers, nothing, claims).verdicts) {
    expect({ checker, status, evidence }).toEqual({ checker, status: "unknown", evidence: 0 });
  }
  const history = [
    { type: "ok", index: 0, process: 1, f: "read", at: 1, invoke: 7 },
    { type: "nemesis", index: 1, phase: "inject", fault: null, faultId: 0, begunAt: 0, observedAt: 0 },
  ] as never;
  for (const verdict of runCheckers(checkers, { ...nothing, history }, claims).verdicts) {
    expect(verdict.status).toBe("unknown");
  }
});

test("names are unique and every guarantee is one sentence", () => {
  expect(new Set(checkers.map(({ name }) => name)).size).toBe(checkers.length);
  for (const { guarantee } of checkers) expect(guarantee).toMatch(/^[A-Z][^.]*\.$/);
});
