import { expect, test } from "vitest";
import { noFlapping } from "../../../chaos/checkers/no-flapping.ts";
import type { Fault } from "../../../chaos/faults/fault.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

const joined = (): HistoryBuilder => new HistoryBuilder().tell(0, { kind: "joined", node: "replica-1" });
/** Certain within 100 ms either way, so that nothing is in doubt for as long as rise × interval. */
const ill = (fault: Fault = faults.appDown("replica-1")): HistoryBuilder =>
  joined().fault(fault, [1_000, 1_100], [5_000, 5_100]);
/** Evicted and readmitted 100 ms later, at each of these times. */
function flaps(builder: HistoryBuilder, ...times: readonly number[]): HistoryBuilder {
  for (const at of times) {
    builder.tell(at, { kind: "evicted", node: "replica-1", reason: "unreachable", basis: "test" });
    builder.tell(at + 100, { kind: "readmitted", node: "replica-1" });
  }
  return builder;
}
const check = (builder: HistoryBuilder): ReturnType<typeof noFlapping.check> =>
  noFlapping.check(input(builder, { until: 20_000 }));

test("one eviction and one return for one fault hold", () => {
  expect(check(flaps(ill(), 1_900))).toMatchObject({
    status: "pass",
    evidence: 3,
    figures: { evictions: 1, returns: 1, evictionsExplained: 1, mostEvictionsInOneIllness: 1 },
  });
});

test("a second eviction for the same fault falls", () => {
  const verdict = check(flaps(ill(), 1_900, 3_000));
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toBe("replica-1 was evicted 2 times in one illness, which explains 1");
  // Both evictions and the fault.
  expect(verdict.proof).toHaveLength(3);
});

test("an eviction and a return without any fault fall", () => {
  expect(check(flaps(joined(), 1_900))).toMatchObject({ status: "fail", proof: [1] });
  // Well at 5,100; 1,400 + 250 later the last cause is out of sight.
  expect(check(flaps(ill(), 6_700)).status).toBe("pass");
  expect(check(flaps(ill(), 6_800)).status).toBe("fail");
});

test("a return without an eviction falls", () => {
  const builder = joined().tell(100, { kind: "readmitted", node: "replica-1" });
  expect(check(builder)).toMatchObject({ status: "fail", proof: [1] });
});

test("two faults explain two evictions, another node's explains none", () => {
  const second = ill().fault(faults.paused("replica-1"), [5_500, 5_600], [9_000, 9_100]);
  expect(check(flaps(second, 1_900, 7_000)).status).toBe("pass");
  const others = ill().fault(faults.paused("replica-2"), [5_500, 5_600], [9_000, 9_100]);
  expect(check(flaps(others, 1_900, 6_000)).status).toBe("fail");
});

test("while the truth itself is in doubt a router may try again, waiting twice as long each time", () => {
  // On for 4,100 ms in all, with 400 ms to wait at first: 1 + log2(1 + 10.25) = 4.49.
  const slow = (): HistoryBuilder => ill(faults.slow("replica-1", 150));
  expect(check(flaps(slow(), 1_200, 1_500, 2_400, 4_000)).status).toBe("pass");
  expect(check(flaps(slow(), 1_200, 1_500, 2_400, 4_000, 4_500)).status).toBe("fail");
});

test("a primary that goes down and up again more often than it was lost falls", () => {
  const builder = new HistoryBuilder().fault(faults.killed("primary"), [1_000, 1_100], [5_000, 5_100]);
  const lost = (at: number): HistoryBuilder =>
    builder
      .tell(at, { kind: "primary-down", node: "primary" })
      .tell(at + 50, { kind: "primary-up", node: "primary" });
  expect(check(lost(2_000)).status).toBe("pass");
  expect(check(lost(3_000)).status).toBe("fail");
});

test("before the measured part nothing is judged", () => {
  const builder = flaps(joined(), 500);
  expect(noFlapping.check(input(builder, { from: 1_000 })).status).toBe("pass");
});

test("a router that tells of no eviction and no return is unknown", () => {
  expect(check(new HistoryBuilder().read({ at: 0 }))).toMatchObject({ status: "unknown", evidence: 0 });
});
