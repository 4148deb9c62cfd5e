import { expect, test } from "vitest";
import type { RouterEvent } from "../../chaos/history/operation.ts";
import { PickLedger } from "../../chaos/subjects/pick-ledger.ts";
import type { Decision, DecisionReason } from "../../src/routing/decide.ts";

const pick = (node: string, epoch: number, reason: DecisionReason = "weighted"): Decision => ({
  kind: "route",
  role: node === "primary" ? "primary" : "replica",
  node,
  reason,
  epoch,
});

test("the picks of an epoch are told in decision order when the next begins, those outside the proof apart", () => {
  const told: RouterEvent[] = [];
  const ledger = new PickLedger((event) => told.push(event));
  ledger.enter(1);
  ledger.note(pick("b", 1));
  ledger.note(pick("a", 1));
  ledger.note(pick("a", 1, "retry"));
  ledger.note(pick("primary", 1, "write"));
  ledger.note({ kind: "refuse", code: "NO_PRIMARY", message: "gone" });
  expect(told).toEqual([]);
  ledger.enter(2);
  ledger.enter(3);
  ledger.note(pick("a", 3, "own-write-proved"));
  ledger.end();
  expect(told).toEqual([
    { kind: "epoch-picks", epoch: 1, picks: ["b", "a"], apart: 1 },
    { kind: "epoch-picks", epoch: 2, picks: [], apart: 0 },
    { kind: "epoch-picks", epoch: 3, picks: [], apart: 1 },
  ]);
});

test("a decision of an epoch that was not announced begins it", () => {
  const told: RouterEvent[] = [];
  const ledger = new PickLedger((event) => told.push(event));
  ledger.note(pick("a", 4));
  ledger.note(pick("b", 5));
  ledger.end();
  ledger.end();
  expect(told).toEqual([
    { kind: "epoch-picks", epoch: 4, picks: ["a"], apart: 0 },
    { kind: "epoch-picks", epoch: 5, picks: ["b"], apart: 0 },
  ]);
});
