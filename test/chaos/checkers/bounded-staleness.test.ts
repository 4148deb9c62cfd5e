import { expect, test } from "vitest";
import { boundedStaleness } from "../../../chaos/checkers/bounded-staleness.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

/** Heartbeat n is written at 100 (n − 1) and acknowledged 1 ms later. The budget is 1,400 ms. */
const beating = (): HistoryBuilder => new HistoryBuilder().heartbeats(100, 10_000);

test("fresh reads hold, with the worst age of each node in the figures", () => {
  const builder = beating()
    .read({ at: 5_000, heartbeat: 51 })
    .read({ at: 5_050, heartbeat: 41, node: "replica-2" })
    .read({ at: 5_060, heartbeat: 51, node: "primary" });
  expect(boundedStaleness.check(input(builder))).toMatchObject({
    status: "pass",
    evidence: 3,
    // Heartbeat 42 was begun at 4,100 and acknowledged at 4,101; the read was answered at 5,052.
    figures: {
      worstCertainMs: 949,
      worstPossibleMs: 952,
      "replica-1CertainMs": 0,
      "replica-2CertainMs": 949,
    },
  });
});

test("a read that is certainly older than the budget falls, and one that is exactly as old does not", () => {
  const read = (at: number): HistoryBuilder => beating().read({ at, heartbeat: 11 });
  // Heartbeat 12 was acknowledged at 1,101.
  expect(boundedStaleness.check(input(read(2_501))).status).toBe("pass");
  const verdict = boundedStaleness.check(input(read(2_502)));
  expect(verdict.status).toBe("fail");
  const history = read(2_502).build();
  const [invoke, answer, heartbeat] = verdict.proof.map((index) => history[index]);
  expect(invoke).toMatchObject({ type: "invoke", f: "read" });
  expect(answer).toMatchObject({ type: "ok", f: "read" });
  expect(heartbeat).toMatchObject({ type: "ok", f: "heartbeat", id: 12 });
});

test("each statement of a transaction is judged, and the primary's reads are too", () => {
  expect(boundedStaleness.check(input(beating().transaction({ at: 9_000, heartbeat: 11 }))).status).toBe(
    "fail",
  );
  expect(
    boundedStaleness.check(input(beating().read({ at: 9_000, heartbeat: 11, node: "primary" }))).status,
  ).toBe("fail");
});

test("nothing gets stale while no heartbeat is written", () => {
  const builder = new HistoryBuilder().heartbeats(100, 1_000).read({ at: 90_000, heartbeat: 11 });
  expect(boundedStaleness.check(input(builder))).toMatchObject({
    status: "pass",
    figures: { worstCertainMs: 0 },
  });
});

test("a heartbeat that was never acknowledged convicts nobody, the next acknowledged one does", () => {
  const builder = new HistoryBuilder()
    .heartbeat(1, 0)
    .heartbeat(2, 100, { type: "info" })
    .heartbeat(3, 200, { type: "fail" })
    .heartbeat(4, 300, { type: "none" })
    .read({ at: 5_000, heartbeat: 1 });
  expect(boundedStaleness.check(input(builder))).toMatchObject({
    status: "pass",
    figures: { worstCertainMs: 0, worstPossibleMs: 4_902 },
  });
  builder.heartbeat(5, 400);
  expect(boundedStaleness.check(input(builder)).status).toBe("fail");
});

test("while the primary cannot be asked, data age without anybody being able to know, unless the policy rejects", () => {
  const builder = beating()
    .fault(faults.killed("primary"), [1_200, 1_300], [6_000, 6_100])
    .read({ at: 5_000, heartbeat: 11 })
    .read({ at: 6_500, heartbeat: 11 });
  expect(boundedStaleness.check(input(builder))).toMatchObject({ status: "pass" });
  const policy = testPolicy({ whenPrimaryUnknown: "reject" });
  expect(boundedStaleness.check(input(builder, { policy })).status).toBe("fail");
  builder.read({ at: 7_000, heartbeat: 11 });
  expect(boundedStaleness.check(input(builder)).status).toBe("fail");
});

test("without reads, without acknowledged heartbeats or without a limit it is unknown", () => {
  expect(boundedStaleness.check(input(beating())).status).toBe("unknown");
  expect(boundedStaleness.check(input(new HistoryBuilder().read({ at: 1 }))).status).toBe("unknown");
  const policy = testPolicy({ replicaLagThresholdMs: "off", readmitLagThresholdMs: "off" });
  const builder = beating().read({ at: 9_000, heartbeat: 1 });
  expect(boundedStaleness.check(input(builder, { policy }))).toMatchObject({
    status: "unknown",
    figures: { worstCertainMs: 8_899 },
  });
});
