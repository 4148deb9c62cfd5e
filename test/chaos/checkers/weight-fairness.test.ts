import fc from "fast-check";
import { expect, test } from "vitest";
import { weightFairness } from "../../../chaos/checkers/weight-fairness.ts";
import { emptySelection, nextEpoch, selectNext } from "../../../src/routing/select.ts";
import { HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const policy = testPolicy({}, { "replica-1": 2, "replica-2": 1, "replica-3": 0 });
const WEIGHTS = { "replica-1": 2, "replica-2": 1 };

/** One epoch with these picks (1 or 2), each of which a client saw answered. */
function epoch(picks: string, { answered = picks, apart = 0, weights = WEIGHTS } = {}): HistoryBuilder {
  const builder = new HistoryBuilder().tell(0, { kind: "epoch", epoch: 1, weights });
  answered.split("").forEach((n, i) => builder.read({ at: 10 + 10 * i, node: `replica-${n}` }));
  const names = picks.split("").map((n) => `replica-${n}`);
  return builder.tell(9_000, { kind: "epoch-picks", epoch: 1, picks: names, apart });
}

const check = (builder: HistoryBuilder): ReturnType<typeof weightFairness.check> =>
  weightFairness.check(input(builder, { policy }));

test("picks within one read of the exact share at every prefix hold", () => {
  // Shares 2/3 and 1/3: after one pick of replica-1 it is 1/3 ahead, after two 2/3 ahead, then even.
  const verdict = check(epoch("112121"));
  expect(verdict).toMatchObject({ status: "pass", evidence: 6, figures: { picks: 6, replicaAnswers: 6 } });
  expect(verdict.figures["worstDeviationReads"]).toBeCloseTo(2 / 3, 10);
});

test("one read from the exact share falls, even if it evens out at the end", () => {
  const verdict = check(epoch("111122"));
  expect(verdict.status).toBe("fail");
  // 3 − 3 × 2/3 = 1: not less than one read.
  expect(verdict.summary).toContain("after 3 picks of epoch 1 replica-1 was 1.000 reads");
  expect(verdict.proof).toHaveLength(2);
});

test("an epoch that began with something owed may be up to two reads off, one that began even may not", () => {
  const second = (first: string): HistoryBuilder =>
    epoch(first, { answered: `${first}111` })
      .tell(9_001, { kind: "epoch", epoch: 2, weights: { "replica-1": 20, "replica-2": 10 } })
      .tell(9_002, {
        kind: "epoch-picks",
        epoch: 2,
        picks: ["replica-1", "replica-1", "replica-1"],
        apart: 0,
      });
  expect(check(second("2"))).toMatchObject({ status: "pass", figures: { worstCarriedDeviationReads: 1 } });
  expect(check(second("112")).status).toBe("fail");
});

test("a pick outside of the announced set falls, and so does one of an epoch that was never announced", () => {
  expect(check(epoch("13", { answered: "11" })).status).toBe("fail");
  const never = new HistoryBuilder().tell(1, {
    kind: "epoch-picks",
    epoch: 7,
    picks: ["replica-1"],
    apart: 0,
  });
  expect(check(never).status).toBe("fail");
});

test("announced weights that are not the policy's fall; scaled alike they hold", () => {
  expect(check(epoch("1212", { weights: { "replica-1": 1, "replica-2": 1 } })).status).toBe("fail");
  expect(check(epoch("112", { weights: { "replica-1": 20, "replica-2": 10 } })).status).toBe("pass");
});

test("only a replica that is returning may have less than its share, and never more", () => {
  const returning = (share: number): HistoryBuilder =>
    new HistoryBuilder()
      .tell(0, { kind: "readmitted", node: "replica-2" })
      .tell(1, { kind: "epoch", epoch: 1, weights: { "replica-1": 20, "replica-2": share } })
      .tell(2, { kind: "epoch-picks", epoch: 1, picks: ["replica-1"], apart: 0 })
      .read({ at: 3 });
  expect(check(returning(3)).status).toBe("pass");
  expect(check(returning(11)).status).toBe("fail");
  const restored = returning(3)
    .tell(3, { kind: "restored", node: "replica-2" })
    .tell(4, { kind: "epoch", epoch: 2, weights: { "replica-1": 20, "replica-2": 3 } })
    .tell(5, { kind: "epoch-picks", epoch: 2, picks: [], apart: 0 });
  expect(check(restored).status).toBe("fail");
});

test("a replica of weight 0 that answers a read falls", () => {
  const verdict = check(epoch("112", { answered: "1123", apart: 1 }));
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toContain("replica-3 has weight 0");
});

test("answers that nobody picked fall; retries are picked apart", () => {
  expect(check(epoch("112", { answered: "1112" })).status).toBe("fail");
  expect(check(epoch("112", { answered: "1112", apart: 1 })).status).toBe("pass");
});

test("picks that nobody saw answered fall beyond what may go unrecorded", () => {
  const balanced = "112".repeat(30);
  // 90 picks allow 1 + 20 unrecorded reads.
  expect(check(epoch(balanced, { answered: balanced.slice(21) })).status).toBe("pass");
  expect(check(epoch(balanced, { answered: balanced.slice(22) })).status).toBe("fail");
});

test("without picks, with picks untold, or with most of them apart it is unknown", () => {
  expect(check(new HistoryBuilder().read({ at: 0 }))).toMatchObject({ status: "unknown", evidence: 0 });
  const untold = epoch("112").tell(9_500, { kind: "epoch", epoch: 2, weights: { "replica-1": 2 } });
  expect(check(untold).status).toBe("unknown");
  expect(check(epoch("112", { apart: 4 })).status).toBe("unknown");
});

test("the router's own choice holds for any weights and any changes of the set, and a swapped pick is found", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 8 });
  const changes = fc.array(
    fc.record({ without: fc.nat(7), picks: fc.integer({ min: 0, max: 60 }), phase: fc.nat(7) }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(weights, changes, (shares, epochs) => {
      const named = Object.fromEntries(shares.map((weight, i) => [`replica-${i}`, weight]));
      const builder = new HistoryBuilder();
      let selection = emptySelection(epochs[0]?.phase ?? 0);
      for (const { without, picks: count } of epochs) {
        const candidates = Object.entries(named)
          .filter((_, i) => i !== without)
          .map(([name, weight]) => ({ name, weight: 10 * weight }));
        selection = nextEpoch(selection, candidates);
        const picks: string[] = [];
        for (let i = 0; i < count; i++) {
          const next = selectNext(selection);
          selection = next.selection;
          picks.push(candidates[next.index]?.name ?? "");
        }
        const { epoch } = selection;
        const told = Object.fromEntries(candidates.map(({ name, weight }) => [name, weight]));
        builder.tell(epoch, { kind: "epoch", epoch, weights: told });
        builder.tell(epoch, { kind: "epoch-picks", epoch, picks, apart: 0 });
        for (const node of picks) builder.read({ at: 0, node });
      }
      const verdict = weightFairness.check(input(builder, { policy: testPolicy({}, named) }));
      expect(verdict.status, verdict.summary).not.toBe("fail");
    }),
    { numRuns: 1_000 },
  );
});
