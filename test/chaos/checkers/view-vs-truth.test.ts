import { expect, test } from "vitest";
import { viewVsTruth } from "../../../chaos/checkers/view-vs-truth.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

/** Cut off from 1,100 to 5,000 for certain, healed at 5,100. Out is due at 2,150, back at 6,150. */
const cut = (): HistoryBuilder =>
  new HistoryBuilder()
    .tell(0, { kind: "joined", node: "replica-1" })
    .fault(faults.appDown("replica-1"), [1_000, 1_100], [5_000, 5_100]);
const evicted = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, { kind: "evicted", node: "replica-1", reason: "unreachable", basis: "test" });
const back = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, { kind: "readmitted", node: "replica-1" });
const check = (builder: HistoryBuilder): ReturnType<typeof viewVsTruth.check> =>
  viewVsTruth.check(input(builder, { until: 20_000 }));

test("a belief that follows the truth within its budgets holds, with how far it was behind", () => {
  const verdict = check(back(evicted(cut(), 1_900), 6_000));
  expect(verdict).toMatchObject({ status: "pass", evidence: 3, figures: { beliefs: 3 } });
  expect(verdict.figures["replica-1WellWhileOutMs"]).toBeCloseTo(800, 3);
  expect(verdict.figures["replica-1OutWhileWellMs"]).toBeCloseTo(900, 3);
});

test("taken for well while it was out, beyond the budget, falls", () => {
  expect(check(back(evicted(cut(), 2_149), 6_000)).status).toBe("pass");
  const verdict = check(back(evicted(cut(), 2_250), 6_000));
  expect(verdict).toMatchObject({ status: "fail", proof: [0] });
  expect(verdict.summary).toBe(
    "replica-1 was believed well for 100 ms beyond the budget while it was certainly out",
  );
});

test("never noticed at all falls", () => {
  expect(check(cut()).status).toBe("fail");
});

test("taken for out while it was well, beyond the budget, falls", () => {
  expect(check(back(evicted(cut(), 1_900), 6_149)).status).toBe("pass");
  const verdict = check(back(evicted(cut(), 1_900), 6_250));
  expect(verdict).toMatchObject({ status: "fail", proof: [2] });
  expect(verdict.summary).toContain("out for 100 ms");
});

test("a belief that is never taken back is judged until the end of the history", () => {
  const builder = evicted(new HistoryBuilder(), 1_000).read({ at: 1_500 });
  expect(check(builder).summary).toContain("out for 502 ms");
});

test("the primary is judged alike", () => {
  const builder = new HistoryBuilder()
    .tell(0, { kind: "primary-up", node: "primary" })
    .fault(faults.killed("primary"), [1_000, 1_100], [5_000, 5_100]);
  expect(check(builder).status).toBe("fail");
  builder
    .tell(2_000, { kind: "primary-down", node: "primary" })
    .tell(5_500, { kind: "primary-up", node: "primary" });
  expect(check(builder).status).toBe("pass");
});

test("who is drained is wanted out, not believed out", () => {
  const builder = new HistoryBuilder().tell(0, { kind: "joined", node: "replica-1" });
  builder.tell(1_000, { kind: "draining", node: "replica-1" }).read({ at: 15_000 });
  expect(check(builder).status).toBe("pass");
});

test("while the primary is dead, a replica behind its peers may be left", () => {
  const builder = evicted(
    new HistoryBuilder().fault(faults.killed("primary"), [1_000, 1_100], [5_000, 5_100]),
    2_000,
  );
  expect(check(back(builder, 6_000)).status).toBe("pass");
});

test("a router that tells nothing of any node is unknown", () => {
  expect(check(new HistoryBuilder().read({ at: 0 }))).toMatchObject({ status: "unknown", evidence: 0 });
});
