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
  const claims = ["weights", "lag-limit", "fallback", "log-once", "no-leak"] as const;
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
