import { expect, test } from "vitest";
import { primaryProtection } from "../../../chaos/checkers/primary-protection.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const REPLICAS = ["replica-1", "replica-2", "replica-3"];
const check = (builder: HistoryBuilder, policy = testPolicy()): ReturnType<typeof primaryProtection.check> =>
  primaryProtection.check(input(builder, { policy }));

/** All cut off from 1,100 to 5,000 for certain, seen healed at 5,100: settled 400 + 400 + 250 ms later. */
function allDown(): HistoryBuilder {
  const builder = new HistoryBuilder();
  for (const node of REPLICAS) builder.fault(faults.appDown(node), [1_000, 1_100], [5_000, 5_100]);
  return builder;
}

test("reads on replicas hold", () => {
  const builder = new HistoryBuilder().read({ at: 0 }).transaction({ at: 10 });
  expect(check(builder)).toMatchObject({
    status: "pass",
    evidence: 2,
    figures: { readsOutsideFaults: 2, primaryShareOutsideFaults: 0 },
  });
});

test("one read on the primary falls, and the share outside of faults is told", () => {
  const builder = new HistoryBuilder().read({ at: 0 }).read({ at: 10, node: "primary" });
  expect(check(builder)).toMatchObject({
    status: "fail",
    proof: [2, 3],
    figures: { primaryShareOutsideFaults: 0.5 },
  });
});

test("while no replica can serve, and until one must be back, the primary may", () => {
  const builder = (): HistoryBuilder => allDown().read({ at: 500 });
  expect(check(builder().read({ at: 3_000, node: "primary" })).status).toBe("pass");
  expect(check(builder().read({ at: 6_100, node: "primary" })).status).toBe("pass");
  expect(check(builder().read({ at: 6_200, node: "primary" })).status).toBe("fail");
});

test("a read that may have been lost on a dying replica first may end on the primary", () => {
  // Until 1,100 + 800 + 250 a router may not have noticed; then the other two are enough.
  const builder = (): HistoryBuilder =>
    new HistoryBuilder().read({ at: 500 }).fault(faults.appDown("replica-1"), [1_000, 1_100], [9_000, 9_100]);
  expect(check(builder().read({ at: 2_100, node: "primary" })).status).toBe("pass");
  expect(check(builder().read({ at: 2_200, node: "primary" })).status).toBe("fail");
});

test("a session that has just written may read there, others may not", () => {
  const policy = testPolicy({ readYourWrites: "client" });
  const builder = (): HistoryBuilder =>
    new HistoryBuilder().read({ at: 0, process: 2 }).write({ id: 1, at: 0 });
  // Acknowledged at 2; 2 × 200 + 200 + 250 ms later a replica can have been proved to have it.
  expect(check(builder().read({ at: 850, node: "primary" }), policy).status).toBe("pass");
  expect(check(builder().read({ at: 853, node: "primary" }), policy).status).toBe("fail");
  expect(check(builder().read({ at: 850, node: "primary", process: 1 }), policy).status).toBe("fail");
  expect(check(builder().read({ at: 850, node: "primary" })).status).toBe("fail");
});

test("after a pause of the process that asks, nodes may look late until each was asked again", () => {
  const builder = (): HistoryBuilder =>
    new HistoryBuilder().read({ at: 0 }).read({ at: 1_000, intendedAt: 900, process: 1 });
  expect(check(builder().read({ at: 1_850, node: "primary" })).status).toBe("pass");
  expect(check(builder().read({ at: 1_851, node: "primary" })).status).toBe("fail");
});

test("without an answer that is certain to be a replica's matter it is unknown", () => {
  expect(check(new HistoryBuilder().read({ at: 0, type: "fail" }))).toMatchObject({
    status: "unknown",
    evidence: 0,
  });
  const off = testPolicy({ enableReadWriteSeparation: false });
  expect(check(new HistoryBuilder().read({ at: 0, node: "primary" }), off).status).toBe("fail");
  expect(check(new HistoryBuilder().read({ at: 0 }), off)).toMatchObject({ status: "unknown", evidence: 0 });
});
