import { expect, test } from "vitest";
import { lagEviction } from "../../../chaos/checkers/lag-eviction.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

/**
 * replica-1 stands still from 1,050. The first heartbeat it cannot have is acknowledged at 1,101, so nothing may
 * begin on it from 1,101 + 1,400 + 250 = 2,751 on.
 */
const standing = (fault = faults.paused("replica-1")): HistoryBuilder =>
  new HistoryBuilder().heartbeats(100, 10_000).fault(fault, [1_000, 1_050], [8_000, 8_100]);

test.each([faults.paused("replica-1"), faults.replicationDown("replica-1")])(
  "under $kind a read on the lagging replica falls as soon as the budget is over",
  (fault) => {
    const verdict = lagEviction.check(input(standing(fault).read({ at: 2_752 })));
    expect(verdict).toMatchObject({ status: "fail", evidence: 1 });
    expect(verdict.proof).toHaveLength(2);
    const held = standing(fault).read({ at: 2_740 }).read({ at: 2_752, node: "replica-2", process: 1 });
    expect(lagEviction.check(input(held))).toMatchObject({ status: "pass", evidence: 1 });
  },
);

test("a read that is answered after the heal began is not judged", () => {
  expect(lagEviction.check(input(standing().read({ at: 7_990, tookMs: 20 })))).toMatchObject({
    status: "unknown",
    evidence: 0,
  });
});

test("a replica that misses nothing, because nothing is written, does not lag", () => {
  const builder = new HistoryBuilder()
    .heartbeats(100, 900)
    .fault(faults.paused("replica-1"), [1_000, 1_050], [8_000, 8_100])
    .read({ at: 7_000 });
  expect(lagEviction.check(input(builder)).status).toBe("unknown");
});

test("an acknowledged write on the primary counts as one that is missed, one whose taker is unknown does not", () => {
  const builder = (node: string): HistoryBuilder =>
    new HistoryBuilder()
      .fault(faults.paused("replica-1"), [1_000, 1_050], [8_000, 8_100])
      .write({ id: 1, at: 1_200, node, process: 1 })
      .read({ at: 7_000 });
  expect(lagEviction.check(input(builder("primary"))).status).toBe("fail");
  expect(lagEviction.check(input(builder("replica-2"))).status).toBe("unknown");
});

test("nobody can be evicted for lag while the primary cannot be asked", () => {
  const builder = (): HistoryBuilder =>
    standing().fault(faults.blackHole("primary"), [2_000, 2_050], [4_000, 4_100]);
  expect(lagEviction.check(input(builder().read({ at: 5_700 }))).status).toBe("unknown");
  expect(lagEviction.check(input(builder().read({ at: 5_800 }))).status).toBe("fail");
});

test("a fault that nobody observed, a run without lag and a policy without a limit are unknown", () => {
  const unseen = new HistoryBuilder()
    .heartbeats(100, 9_000)
    .fault(faults.paused("replica-1"), [1_000, null])
    .read({ at: 8_000 });
  expect(lagEviction.check(input(unseen)).status).toBe("unknown");
  expect(lagEviction.check(input(new HistoryBuilder().read({ at: 1 }))).status).toBe("unknown");
  const policy = testPolicy({ replicaLagThresholdMs: "off", readmitLagThresholdMs: "off" });
  expect(lagEviction.check(input(standing().read({ at: 5_000 }), { policy })).status).toBe("unknown");
});
