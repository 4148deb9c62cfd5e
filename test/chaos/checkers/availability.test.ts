import { describe, expect, test } from "vitest";
import { availability } from "../../../chaos/checkers/availability.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const history = (): HistoryBuilder => new HistoryBuilder();
/** stall 1050 ms + 20 ms for a healthy read. */
const LIMIT_MS = 1_070;

describe("reads", () => {
  test("that all succeed are available", () => {
    const verdict = availability.check(input(history().read({ at: 0 }).transaction({ at: 10 })));
    expect(verdict).toMatchObject({ status: "pass", evidence: 2, proof: [] });
  });

  test("nobody asked are unknown", () => {
    expect(availability.check(input(history().heartbeat(1, 0)))).toMatchObject({
      status: "unknown",
      evidence: 0,
    });
  });

  test.each(["fail", "info"] as const)("that end as %s without a fault fall", (type) => {
    const verdict = availability.check(input(history().read({ at: 0 }).read({ at: 10, type, process: 1 })));
    expect(verdict).toMatchObject({ status: "fail", proof: [2, 3] });
    expect(verdict.summary).toContain("NODE_LOST");
  });

  test("outside of the measured part are not judged", () => {
    const builder = history().read({ at: 0, type: "fail" }).read({ at: 100 }).read({ at: 300, type: "fail" });
    expect(availability.check(input(builder, { from: 50, until: 200 }))).toMatchObject({
      status: "pass",
      evidence: 1,
    });
  });

  test("may fail while every node is unreachable, and in the budget after the last heal", () => {
    const builder = history().read({ at: 0 }).read({ at: 99_000 });
    for (const node of ["primary", "replica-1", "replica-2", "replica-3"]) {
      builder.fault(faults.appDown(node), [1_000, 1_100], [5_000, 5_100]);
    }
    builder.read({ at: 3_000, type: "fail" }).read({ at: 5_200, type: "fail" });
    expect(availability.check(input(builder))).toMatchObject({
      status: "pass",
      evidence: 2,
      figures: { legallyFailedReads: 2 },
    });
    builder.read({ at: 8_000, type: "fail" });
    expect(availability.check(input(builder)).status).toBe("fail");
  });

  test("must not fail for one node's fault, not even in its first moment, as long as a retry is allowed", () => {
    const builder = history()
      .fault(faults.appDown("replica-1"), [1_000, 1_100], [5_000, 5_100])
      .read({ at: 1_050, type: "fail" });
    expect(availability.check(input(builder)).status).toBe("fail");
    const never = testPolicy({ retries: { max: 0 } });
    expect(availability.check(input(builder, { policy: never })).status).toBe("unknown");
  });

  test("without a retry must not fail once the fault must have been noticed", () => {
    const policy = testPolicy({ retries: { max: 0 } });
    const builder = history()
      .fault(faults.appDown("replica-1"), [1_000, 1_100], [9_000, 9_100])
      .read({ at: 3_000, type: "fail" });
    expect(availability.check(input(builder, { policy })).status).toBe("fail");
  });

  test("must not fail while the primary could serve by fallback, but may where the policy forbids it", () => {
    const builder = history();
    for (const node of ["replica-1", "replica-2", "replica-3"]) {
      builder.fault(faults.blackHole(node), [1_000, 1_100], [9_000, 9_100]);
    }
    builder.read({ at: 4_000, type: "fail", code: "NO_ELIGIBLE_NODE" });
    expect(availability.check(input(builder)).status).toBe("fail");
    const policy = testPolicy({ fallback: { to: "error" } });
    expect(availability.check(input(builder, { policy })).status).toBe("unknown");
  });

  test("must go on when the primary is lost, unless the policy rejects them then", () => {
    const builder = history()
      .fault(faults.killed("primary"), [1_000, 1_100], [9_000, 9_100])
      .read({ at: 4_000, type: "fail", code: "NO_ELIGIBLE_NODE" });
    expect(availability.check(input(builder)).status).toBe("fail");
    const policy = testPolicy({ whenPrimaryUnknown: "reject" });
    expect(availability.check(input(builder, { policy })).status).toBe("unknown");
  });
});

describe("a stall", () => {
  test("up to the budget and one healthy read is legal, and one above it is not", () => {
    const builder = (tookMs: number): HistoryBuilder =>
      history()
        .fault(faults.blackHole("replica-1"), [900, 1_000], [9_000, 9_100])
        .read({ at: 1_000, tookMs });
    expect(availability.check(input(builder(LIMIT_MS)))).toMatchObject({
      status: "pass",
      figures: { longestStallMs: LIMIT_MS, stallLimitMs: LIMIT_MS },
    });
    expect(availability.check(input(builder(LIMIT_MS + 1)))).toMatchObject({ status: "fail", proof: [1, 2] });
  });

  test("is measured against this run's own healthy reads", () => {
    const builder = history().read({ at: 20_000, tookMs: 1_120 });
    for (let at = 0; at < 10_000; at += 20) builder.read({ at, tookMs: 90, process: at });
    expect(availability.check(input(builder))).toMatchObject({
      status: "pass",
      figures: { healthyReadMs: 90 },
    });
  });

  test("does not become legal because every read stalls", () => {
    const builder = history();
    for (let at = 0; at < 60_000; at += 6_000) builder.read({ at, tookMs: 5_000 });
    expect(availability.check(input(builder)).status).toBe("fail");
  });

  test("of a read that was never answered counts until the end of the history", () => {
    expect(availability.check(input(history().read({ at: 0, type: "none" }).heartbeat(1, 500))).status).toBe(
      "unknown",
    );
    const builder = history().read({ at: 0, type: "none" }).heartbeat(1, 5_000);
    expect(availability.check(input(builder))).toMatchObject({ status: "fail", proof: [0] });
  });

  test("stays a stall when the node that could serve dies long after it should have answered", () => {
    const builder = history().read({ at: 0, tookMs: 5_000, type: "fail" });
    for (const node of ["primary", "replica-1", "replica-2", "replica-3"]) {
      builder.fault(faults.appDown(node), [3_000, 3_100], [9_000, 9_100]);
    }
    expect(availability.check(input(builder)).status).toBe("fail");
  });

  test("counts from when the fault was certainly there, for a read that began while it came", () => {
    const builder = (tookMs: number): HistoryBuilder =>
      history().fault(faults.blackHole("replica-1"), [900, 1_000], [9_000, 9_100]).read({ at: 950, tookMs });
    expect(availability.check(input(builder(LIMIT_MS + 50))).status).toBe("pass");
    expect(availability.check(input(builder(LIMIT_MS + 51))).status).toBe("fail");
  });

  test("of a slow link is the link's, and of two faults lasts until the second must have been noticed", () => {
    const slow = history()
      .fault(faults.slow("replica-1", 40), [500, 600], [9_000, 9_100])
      .read({ at: 1_000, tookMs: LIMIT_MS + 8 * 80 });
    expect(availability.check(input(slow)).status).toBe("pass");
    const two = (secondFrom: number, endAt: number): HistoryBuilder =>
      history()
        .fault(faults.blackHole("replica-1"), [900, 1_000], [9_000, 9_100])
        .fault(faults.blackHole("replica-2"), [secondFrom, secondFrom + 100], [9_000, 9_100])
        .read({ at: 950, tookMs: endAt - 950, node: "replica-3" });
    expect(availability.check(input(two(1_700, 1_800 + LIMIT_MS))).status).toBe("pass");
    expect(availability.check(input(two(1_700, 1_801 + LIMIT_MS))).status).toBe("fail");
    // Noticed at the same time, they are no excuse for one after the other.
    expect(availability.check(input(two(900, 1_001 + LIMIT_MS))).status).toBe("fail");
  });

  test("is reported from the intended start too, which our own queue may have delayed", () => {
    const builder = history().read({ at: 3_000, intendedAt: 0, tookMs: 5 }).dropped(10);
    expect(availability.check(input(builder))).toMatchObject({
      status: "pass",
      figures: { longestStallMs: 5, longestFromIntendedMs: 3_005, droppedReads: 1 },
    });
  });
});

describe("a read-only transaction", () => {
  test("may be torn by its node's fault while that is not noticed yet, not later", () => {
    const builder = (at: number): HistoryBuilder =>
      history()
        .fault(faults.killed("replica-1"), [1_000, 1_100], [9_000, 9_100])
        .transaction({ at, type: "fail" })
        .read({ at: 1 });
    expect(availability.check(input(builder(1_050)))).toMatchObject({
      status: "pass",
      figures: { tornTransactions: 1 },
    });
    expect(availability.check(input(builder(4_000))).status).toBe("fail");
  });
});

describe("a write", () => {
  test.each(["fail", "info"] as const)("that ends as %s while the primary is reachable falls", (type) => {
    const builder = history()
      .fault(faults.killed("replica-1"), [0, 10], [9_000, 9_100])
      .write({ id: 1, at: 1_000, type });
    expect(availability.check(input(builder)).status).toBe("fail");
  });

  test("may fail when its interval meets a fault of the primary, or the budget after it", () => {
    const builder = history()
      .fault(faults.blackHole("primary"), [1_000, 1_100], [3_000, 3_100])
      .write({ id: 1, at: 0 })
      .write({ id: 2, at: 990, tookMs: 20, type: "info", process: 1 })
      .write({ id: 3, at: 2_000, type: "fail" })
      .write({ id: 4, at: 4_000, type: "fail" });
    expect(availability.check(input(builder))).toMatchObject({
      status: "pass",
      evidence: 1,
      figures: { legallyFailedWrites: 3 },
    });
    builder.write({ id: 5, at: 4_200, type: "fail" });
    expect(availability.check(input(builder)).status).toBe("fail");
  });
});

test("a fault that nobody observed leaves availability unknown, unless something fell for certain", () => {
  const builder = history()
    .fault(faults.appDown("replica-1"), [1_000, null])
    .read({ at: 0 })
    .read({ at: 2_000 });
  expect(availability.check(input(builder)).status).toBe("unknown");
  builder.read({ at: 500, type: "fail" });
  expect(availability.check(input(builder)).status).toBe("fail");
});
