import { expect, test } from "vitest";
import { fallback } from "../../../chaos/checkers/fallback.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const REPLICAS = ["replica-1", "replica-2", "replica-3"];

/** All replicas cut off from 1,100 to 5,000 for certain: the fallback is due from 2,150 on, the return from 6,150 on. */
function allDown(): HistoryBuilder {
  const builder = new HistoryBuilder();
  for (const node of REPLICAS) builder.fault(faults.appDown(node), [1_000, 1_100], [5_000, 5_100]);
  return builder;
}

function withReturn(builder: HistoryBuilder, nodes: readonly string[] = REPLICAS): HistoryBuilder {
  for (let i = 0; i < 90; i++) builder.read({ at: 6_200 + i * 10, node: nodes[i % nodes.length] as string });
  return builder;
}

test("the primary serves while no replica can, and replicas serve again after the return", () => {
  const verdict = fallback.check(input(withReturn(allDown().read({ at: 3_000, node: "primary" }))));
  expect(verdict).toMatchObject({
    status: "pass",
    evidence: 91,
    figures: { readsWithoutReplica: 1, readsAfterReturn: 90, primaryReadsAfterReturn: 0 },
  });
});

test("without a read while no replica can serve it is unknown", () => {
  expect(fallback.check(input(withReturn(allDown())))).toMatchObject({ status: "unknown", evidence: 0 });
  const oneWell = new HistoryBuilder().fault(faults.appDown("replica-1"), [0, 1], [9_000, 9_100]);
  expect(fallback.check(input(oneWell.read({ at: 5_000, node: "primary" }))).status).toBe("unknown");
});

test("without a read after the return it is unknown", () => {
  expect(fallback.check(input(allDown().read({ at: 3_000, node: "primary" }))).status).toBe("unknown");
});

test("a read that fails instead of falling back falls, unless the policy wants it so", () => {
  const builder = withReturn(allDown().read({ at: 3_000, type: "fail", code: "NO_ELIGIBLE_NODE" }));
  expect(fallback.check(input(builder)).status).toBe("fail");
  expect(fallback.check(input(builder, { policy: testPolicy({ fallback: { to: "error" } }) })).status).toBe(
    "pass",
  );
});

test("a read may fail while the primary is lost too", () => {
  const builder = allDown()
    .fault(faults.killed("primary"), [2_900, 3_000], [3_500, 3_600])
    .read({ at: 3_100, type: "fail" })
    .read({ at: 2_200, node: "primary" });
  expect(fallback.check(input(withReturn(builder))).status).toBe("pass");
});

test("reads within the budgets, and reads that are answered in a heal, are not judged", () => {
  const builder = allDown()
    .read({ at: 3_000, node: "primary" })
    .read({ at: 2_100, type: "fail" })
    .read({ at: 4_990, tookMs: 20, node: "replica-2" })
    .read({ at: 6_100, node: "primary" });
  expect(fallback.check(input(withReturn(builder)))).toMatchObject({
    status: "pass",
    figures: { readsWithoutReplica: 1, primaryReadsAfterReturn: 0 },
  });
});

/** All replicas paused at 1,100 while heartbeats go on every 100 ms: the first is missed at 1,101, due at 2,751. */
function allPaused(): HistoryBuilder {
  const builder = new HistoryBuilder().heartbeats(100, 12_000);
  for (const node of REPLICAS) builder.fault(faults.paused(node), [1_000, 1_100], [5_000, 5_100]);
  return builder;
}

test("a replica that lags beyond the budget must not serve instead of the primary", () => {
  const builder = allPaused().read({ at: 2_800, node: "replica-1" });
  const verdict = fallback.check(input(builder));
  expect(verdict).toMatchObject({ status: "fail" });
  expect(verdict.summary).toContain("replica-1");
});

test("lag demands nothing of a subject that does not claim a lag limit", () => {
  const builder = allPaused().read({ at: 2_800, node: "replica-1" });
  expect(fallback.check(input(builder, { claims: ["fallback"] })).status).toBe("unknown");
});

test("paused replicas that miss nothing, because nothing is written, need not be left", () => {
  const builder = new HistoryBuilder();
  for (const node of REPLICAS) builder.fault(faults.paused(node), [1_000, 1_100], [5_000, 5_100]);
  expect(fallback.check(input(builder.read({ at: 4_000, node: "replica-1" }))).status).toBe("unknown");
});

test("a router that stays on the primary after the return falls", () => {
  const builder = withReturn(allDown().read({ at: 3_000, node: "primary" }), ["primary"]);
  const verdict = fallback.check(input(builder));
  expect(verdict.status).toBe("fail");
  expect(verdict.proof).toHaveLength(10);
});

test("a router that leaves one replica out for good falls", () => {
  const builder = withReturn(allDown().read({ at: 3_000, node: "primary" }), ["replica-1", "replica-2"]);
  const verdict = fallback.check(input(builder));
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toContain("replica-3 served none");
});

test("a caller's read after its own write may stay on the primary after the return", () => {
  const builder = withReturn(allDown().read({ at: 3_000, node: "primary" }));
  for (let i = 0; i < 20; i++) {
    builder
      .write({ id: i, at: 8_000 + i * 10, process: 7 })
      .read({ at: 8_005 + i * 10, process: 7, node: "primary" });
  }
  const policy = testPolicy({ readYourWrites: "client" });
  expect(fallback.check(input(builder, { policy })).figures).toMatchObject({ primaryReadsAfterReturn: 0 });
  expect(fallback.check(input(builder)).figures).toMatchObject({ primaryReadsAfterReturn: 20 });
});

test("a replica that relapses may be kept out for longer", () => {
  const once = allDown().read({ at: 3_000, node: "primary" });
  const twice = allDown().read({ at: 3_000, node: "primary" });
  for (const node of REPLICAS) twice.fault(faults.appDown(node), [6_000, 6_100], [7_000, 7_100]);
  for (let i = 0; i < 20; i++) {
    once.read({ at: 8_200 + i * 20, node: "primary" });
    twice.read({ at: 8_200 + i * 20, node: "primary" });
  }
  expect(fallback.check(input(once)).status).toBe("fail");
  expect(fallback.check(input(twice)).status).toBe("unknown");
});
