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
    const from = Math.max(input.from, calmFrom(truth, until));
    const well = [...truth.replicas.values()].filter((replica) => !isDisturbed(replica, from, until));
    const ownWrites = new OwnWrites(input, truth);
    const judge = new Judge(well.map(({ name }) => name));
    forEachOperation(history, (invoke, completion) => {
      ownWrites.note(invoke, completion);
      if (invoke.f !== "read" || invoke.at < from || invoke.at > until || well.length === 0) return;
      judge.read(invoke, completion, ownWrites.isRecentFor(invoke));
    });
    judge.conclude(input);
    const { violations, reads, answered, onPrimary } = judge;
    const calmMs = Math.max(0, until - from);
    return verdictOf({
      checker: liveness.name,
      violations,
      evidence: reads,
      figures: { reads, answered, onPrimary, wellReplicas: well.length, calmMs },
      held: `in the ${ms(calmMs)} after whoever was well was due back, ${answered} reads were answered, ${onPrimary} of them by the primary because their session had just written; well were ${well.length} replicas, and each took part`,
      nothing: "nobody was certainly well for long enough at the end, or nothing was read then",
      doubts: doubtsOf(truth),
    });
  },
};

class Judge {
  readonly violations: Violations = new Violations();
  reads = 0;
  answered = 0;
  onPrimary = 0;
  readonly #well: readonly string[];
  readonly #byNode = new Map<string, number>();

  constructor(well: readonly string[]) {
    this.#well = well;
  }

  read(invoke: Invoke, completion: Completion | undefined, followsOwnWrite: boolean): void {
    this.reads++;
    const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index])];
    if (completion?.type !== "ok") {
      const code = completion?.error?.code ?? "never answered";
      this.violations.add(proof, () => `read ${invoke.index} failed (${code}) when all was over`);
      return;
    }
    this.answered++;
    const served = completion.evidence?.[0];
    if (served === undefined) return;
    this.#byNode.set(served.node, (this.#byNode.get(served.node) ?? 0) + 1);
    if (served.role !== "primary") return;
    this.onPrimary++;
    if (followsOwnWrite) return;
    this.violations.add(
      proof,
      () =>
        `read ${invoke.index} still went to ${served.node} although ${this.#well.join(", ")} was well again`,
    );
  }

  conclude({ policy }: CheckInput): void {
    const all = policy.replicas.reduce((sum, { weight }) => sum + weight, 0);
    for (const { name, weight } of policy.replicas) {
      if (!this.#well.includes(name) || (this.#byNode.get(name) ?? 0) > 0) continue;
      // The least it can be due: the others may have been well too.
      if ((this.answered * weight) / all < MIN_EXPECTED) continue;
      this.violations.add([], () => `${name} answered none of ${this.answered} reads although it was well`);
    }
  }
}

/** From when on nothing changes any more, and whoever is well has had its time to return. */
function calmFrom({ faults, primary, replicas }: Truth, until: number): number {
  const changes = faults.flatMap(({ possibly, certainly }) =>
    [possibly.to, certainly?.from ?? Infinity].filter((at) => at !== Infinity),
  );
  const returns = [primary, ...replicas.values()].flatMap(({ unsettled }) =>
    unsettled.map(({ to }) => to).filter((at) => at <= until),
  );
  return Math.max(0, ...changes, ...returns);
}

function isDisturbed({ unsettled }: NodeTruth, from: number, to: number): boolean {
  // Its return ends at `from` itself.
  return from >= to || touches(unsettled, from + Number.EPSILON * Math.max(1, from), to);
}
