import { expect, test } from "vitest";
import { routing } from "../../../chaos/checkers/routing.ts";
import type { Evidence } from "../../../chaos/history/operation.ts";
import { HistoryBuilder, input } from "../history-builder.ts";

const seen = (node: string, backend?: number): Evidence => ({
  node,
  role: node === "primary" ? "primary" : "replica",
  heartbeat: 0,
  ...(backend === undefined ? {} : { backend }),
});
const check = (builder: HistoryBuilder): ReturnType<typeof routing.check> => routing.check(input(builder));

test("writes on the primary, and transactions on one connection each, hold", () => {
  const builder = new HistoryBuilder()
    .write({ id: 1, at: 0 })
    .transaction({ at: 10, evidence: [seen("replica-1", 7), seen("replica-1", 7)] })
    .transaction({ at: 20, evidence: [seen("primary", 7), seen("primary")] })
    .read({ at: 30, node: "replica-2" })
    .read({ at: 40, node: "primary" });
  expect(check(builder)).toMatchObject({
    status: "pass",
    evidence: 3,
    figures: { writesJudged: 1, transactionsJudged: 2, readsOnReplicas: 2, readsOnPrimary: 2 },
  });
});

test("a write that a replica answered falls, in the warm-up too", () => {
  const builder = new HistoryBuilder().write({ id: 1, at: 0, node: "replica-2" });
  const verdict = routing.check(input(builder, { from: 500 }));
  expect(verdict).toMatchObject({ status: "fail", proof: [0, 1] });
  expect(verdict.summary).toContain("replica-2");
});

test("a write that was refused because it had been sent to a standby falls", () => {
  const builder = new HistoryBuilder().write({ id: 1, at: 0, type: "fail", code: "25006" });
  expect(check(builder)).toMatchObject({ status: "fail", proof: [0, 1] });
});

test.each([
  ["another node", [seen("replica-1", 7), seen("replica-2", 7)], "replica-1 to replica-2"],
  ["another backend of its node", [seen("replica-1", 7), seen("replica-1", 8)], "backend 7 to 8"],
  [
    "another backend, seen only later",
    [seen("replica-1"), seen("replica-1", 7), seen("replica-1", 8)],
    "backend 7 to 8",
  ],
])("a transaction that moves to %s falls", (_, evidence, what) => {
  const verdict = check(new HistoryBuilder().transaction({ at: 0, evidence }));
  expect(verdict).toMatchObject({ status: "fail", proof: [0, 1] });
  expect(verdict.summary).toContain(what);
});

test("reads alone, failed writes and transactions of one statement say nothing of routing", () => {
  const builder = new HistoryBuilder()
    .read({ at: 0 })
    .write({ id: 1, at: 10, type: "fail", code: "NO_PRIMARY" })
    .write({ id: 2, at: 20, type: "none" })
    .transaction({ at: 30, process: 1 });
  expect(check(builder)).toMatchObject({ status: "unknown", evidence: 0 });
});
