import { expect, test } from "vitest";
import { noFalseEviction } from "../../../chaos/checkers/no-false-eviction.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

const evicted = (
  builder: HistoryBuilder,
  at: number,
  node = "replica-1",
  reason = "lagging",
): HistoryBuilder => builder.tell(at, { kind: "evicted", node, reason, basis: "test" });
const running = (): HistoryBuilder =>
  new HistoryBuilder().tell(0, { kind: "joined", node: "replica-1" }).heartbeats(1_000, 60_000);
const check = (builder: HistoryBuilder): ReturnType<typeof noFalseEviction.check> =>
  noFalseEviction.check(input(builder, { until: 60_000 }));

test("nobody evicted holds, with the time in which nobody might have been", () => {
  expect(check(running())).toMatchObject({
    status: "pass",
    evidence: 1,
    figures: { evictions: 0, wellMs: 180_000 },
  });
});

test("an eviction out of the blue falls", () => {
  expect(check(evicted(running(), 500))).toMatchObject({ status: "fail", proof: [3] });
});

test.each([
  { kind: "checkpointed", node: "primary" },
  { kind: "wal-switched", node: "primary" },
  { kind: "wal-at-page-boundary", node: "primary" },
  { kind: "write-transaction-open", node: "primary" },
] as const)("$kind is no reason to evict anybody", (fault) => {
  const builder = running().fault(fault, [1_000, 1_100], [9_000, 9_100]);
  expect(check(builder).status).toBe("pass");
  expect(check(evicted(builder, 3_000)).status).toBe("fail");
});

test("a replica's own fault explains its eviction until the budget is over, and nobody else's", () => {
  const builder = (): HistoryBuilder =>
    running().fault(faults.killed("replica-1"), [1_000, 1_100], [5_000, 5_100]);
  expect(check(evicted(builder(), 1_050)).status).toBe("pass");
  // Well at 6,100 after catching up; 1,400 + 250 later the last cause is out of sight.
  expect(check(evicted(builder(), 7_700)).status).toBe("pass");
  expect(check(evicted(builder(), 7_800)).status).toBe("fail");
  expect(check(evicted(builder(), 1_050, "replica-2")).status).toBe("fail");
});

test("late data explain an eviction only where they come too late", () => {
  const late = (latencyMs: number): HistoryBuilder =>
    running().fault(
      { kind: "link-latency", link: "replication:replica-1", latencyMs, direction: "downstream" },
      [1_000, 1_100],
      [9_000, 9_100],
    );
  // A healthy bound is up to 600 ms, readmission asks for 800 ms.
  expect(check(evicted(late(200), 4_000)).status).toBe("fail");
  expect(check(evicted(late(201), 4_000)).status).toBe("pass");
});

test("a primary's death explains only who lags behind the others, until all have caught up", () => {
  const dead = (): HistoryBuilder =>
    running().fault(faults.killed("primary"), [1_000, 1_100], [9_000, 9_100]);
  expect(check(evicted(dead(), 4_000, "replica-1", "unreachable")).status).toBe("fail");
  expect(check(evicted(dead(), 4_000, "replica-1", "lagging")).status).toBe("pass");
  expect(check(evicted(dead(), 9_500, "replica-1", "unknown-lag")).status).toBe("pass");
});

test("evictions before the measured part are not judged", () => {
  const builder = evicted(running(), 500);
  expect(noFalseEviction.check(input(builder, { from: 1_000, until: 60_000 })).status).toBe("pass");
});

test("a router that says nothing, or a planned fault that nobody saw, is unknown", () => {
  expect(check(new HistoryBuilder().read({ at: 0 }))).toMatchObject({ status: "unknown", evidence: 0 });
  expect(check(running().fault({ kind: "checkpointed", node: "primary" }, [5_000, null])).status).toBe(
    "unknown",
  );
});
