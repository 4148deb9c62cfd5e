import { expect, test } from "vitest";
import { describeEntry, proofLines } from "../../../chaos/experiment/proof.ts";
import type { Verdict } from "../../../chaos/checkers/checker.ts";
import type { History } from "../../../chaos/history/operation.ts";

const HISTORY: History = [
  { type: "invoke", index: 0, process: 7, f: "read", at: 1200, intendedAt: 1199 },
  {
    type: "ok",
    index: 1,
    process: 7,
    f: "read",
    at: 1234,
    invoke: 0,
    evidence: [{ node: "replica-2", role: "replica", heartbeat: 14, replayLsn: "0/30" }],
  },
  { type: "invoke", index: 2, process: 8, f: "write", id: 5, at: 1300, intendedAt: 1300 },
  {
    type: "info",
    index: 3,
    process: 8,
    f: "write",
    id: 5,
    at: 1301.5,
    invoke: 2,
    error: { code: "UNKNOWN_OUTCOME", message: "lost" },
  },
  {
    type: "nemesis",
    index: 4,
    phase: "inject",
    fault: { kind: "node-killed", node: "replica-2" },
    faultId: 0,
    begunAt: 2000,
    observedAt: null,
  },
  { type: "final", index: 5, at: 9000, writes: [[5, 2]], elsewhere: [6] },
];

test("each entry is one line that says when, who, what and what came of it", () => {
  expect(HISTORY.map((entry) => describeEntry(entry, HISTORY))).toEqual([
    "#0 +1.200 s session 7 asks read",
    "#1 +1.234 s session 7 read ok after 34.0 ms: replica-2 (replica) heartbeat 14 replay 0/30",
    "#2 +1.300 s session 8 asks write 5",
    "#3 +1.302 s session 8 write 5 info after 1.5 ms: UNKNOWN_OUTCOME lost",
    "#4 +2.000 s nemesis inject node-killed replica-2, never observed",
    "#5 +9.000 s last look: 1 writes on the primary, 1 only elsewhere",
  ]);
});

test("only verdicts that fell are proved, each under its own sentence", () => {
  const verdict = (checker: string, status: Verdict["status"], proof: readonly number[]): Verdict => ({
    checker,
    status,
    summary: `${checker} in a sentence`,
    evidence: 1,
    figures: {},
    proof,
  });
  expect(
    proofLines(HISTORY, [
      verdict("availability", "pass", []),
      verdict("write-safety", "fail", [2, 99]),
      verdict("fallback", "unknown", [1]),
    ]),
  ).toEqual([
    "write-safety: write-safety in a sentence",
    "  #2 +1.300 s session 8 asks write 5",
    "  #99 is not in the history",
  ]);
});
