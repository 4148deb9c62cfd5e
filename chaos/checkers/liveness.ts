/**
 * When the last thing has been healed that will be, what is left is enough: reads flow, none burdens the primary while a replica
 * is well, and every replica that is well takes part. Judged from where the rows say they were read and from the
 * observed faults, once whoever is well had the time to return.
 */
import type { Completion, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { NodeTruth, Truth } from "../history/truth.ts";
import { touches } from "../history/intervals.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { OwnWrites } from "./own-writes.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

/** A replica that was due this many reads and got none does not take part: one in 10⁸ even for a random choice. */
const MIN_EXPECTED = 20;

export const liveness: Checker = {
  name: "liveness",
  guarantee:
    "After the last heal every read is answered, by replicas as long as one is well, and by each of them that is.",
  claim: "fallback",

  check(input) {
    const { history, until } = input;
    const truth = deriveTruth(input);
    const calm = calmAfter(truth, until);
    const well = [...truth.replicas.values()].filter((replica) => !isDisturbed(replica, calm.from, until));
    const ownWrites = new OwnWrites(input, truth);
    const violations = new Violations();
    const byNode = new Map<string, number>();
    const tally = { reads: 0, answered: 0, onPrimary: 0 };
    forEachOperation(history, (invoke, completion) => {
      ownWrites.note(invoke, completion);
      if (invoke.f !== "read" || invoke.at < calm.from || invoke.at > until || well.length === 0) return;
      judgeRead(invoke, completion);
    });
    concludeShares();
    return verdictOf({
      checker: liveness.name,
      violations,
      evidence: tally.reads,
      figures: { ...tally, wellReplicas: well.length, calmMs: Math.max(0, until - calm.from) },
      held: `in the ${ms(until - calm.from)} after everybody well was due back, ${tally.answered} reads were answered, ${tally.onPrimary} by the primary for a reason; ${well.length} replicas were well and each took part`,
      nothing: "nobody was certainly well for long enough at the end, or nothing was read then",
      doubts: doubtsOf(truth),
    });

    function judgeRead(invoke: Invoke, completion: Completion | undefined): void {
      tally.reads++;
      const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index])];
      if (completion?.type !== "ok") {
        const code = completion?.error?.code ?? "never answered";
        violations.add(proof, () => `read ${invoke.index} failed (${code}) when all was over`);
        return;
      }
      tally.answered++;
      const served = completion.evidence?.[0];
      if (served === undefined) return;
      byNode.set(served.node, (byNode.get(served.node) ?? 0) + 1);
      if (served.role !== "primary") return;
      tally.onPrimary++;
      if (ownWrites.isRecentFor(invoke)) return;
      violations.add(
        proof,
        () => `read ${invoke.index} still went to ${served.node} although ${well[0]?.name} was well again`,
      );
    }

    function concludeShares(): void {
      const weights = new Map(input.policy.replicas.map(({ name, weight }) => [name, weight]));
      const all = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
      for (const { name } of well) {
        // The least it can be due: the others may have been well too.
        const due = (tally.answered * (weights.get(name) ?? 0)) / all;
        if (due < MIN_EXPECTED || (byNode.get(name) ?? 0) > 0) continue;
        violations.add(
          [],
          () => `${name} answered none of ${tally.answered} reads although it was well again`,
        );
      }
    }
  },
};

/** From when on nothing changes any more, and whoever is well has had its time to return. */
function calmAfter({ faults, primary, replicas }: Truth, until: number): { readonly from: number } {
  const changes = faults.flatMap(({ possibly, certainly }) =>
    [possibly.to, certainly?.from ?? Infinity].filter((at) => at !== Infinity),
  );
  const returns = [primary, ...replicas.values()].flatMap(({ unsettled }) =>
    unsettled.map(({ to }) => to).filter((at) => at <= until),
  );
  return { from: Math.max(0, ...changes, ...returns) };
}

function isDisturbed({ unsettled }: NodeTruth, from: number, to: number): boolean {
  // Its return ends at `from` itself.
  return from >= to || touches(unsettled, from + Number.EPSILON * Math.max(1, from), to);
}
