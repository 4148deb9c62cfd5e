/**
 * While no replica can serve, the primary does; once one can again, reads leave the primary again. Judged from where
 * the rows say they were read and from the observed faults.
 */
import { covering, difference, gapsAfter, touches, union } from "../history/intervals.ts";
import type { Interval, IntervalSet } from "../history/intervals.ts";
import type { Completion, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import { MAX_PROOF } from "./checker.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { OwnWrites } from "./own-writes.ts";
import { doubtsOf, verdictOf, Violations } from "./verdict.ts";

/** Fewer reads than this after a return say nothing about where reads go. */
const MIN_READS = 10;

/** A replica that was due this many reads and got none has not returned: one in 10⁸ even for a random choice. */
const MIN_EXPECTED = 20;

export const fallback: Checker = {
  name: "fallback",
  guarantee:
    "Reads go to the primary while no replica can serve, succeed there, and come from every replica again once it can serve.",
  claim: "fallback",

  check(input) {
    const { history, from, until } = input;
    const truth = deriveTruth(input);
    const violations = new Violations();
    const demand = new Demand(input, truth, violations);
    const returns = new Returns(input, truth, violations);
    forEachOperation(history, (invoke, completion) => {
      returns.ownWrites.note(invoke, completion);
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      if (completion === undefined || invoke.at < from || invoke.at > until) return;
      demand.read(invoke, completion);
      returns.read(invoke, completion);
    });
    returns.conclude();
    const doubts = [...doubtsOf(truth)];
    if (returns.reads === 0) doubts.push("no read was seen after a replica's return, beyond its budget");
    return verdictOf({
      checker: fallback.name,
      violations,
      evidence: demand.reads === 0 ? 0 : demand.reads + returns.reads,
      figures: {
        readsWithoutReplica: demand.reads,
        readsAfterReturn: returns.reads,
        primaryReadsAfterReturn: returns.primaryReads,
      },
      held: `the primary served ${demand.reads} reads while no replica could; after the return ${returns.reads - returns.primaryReads} of ${returns.reads} came from replicas`,
      nothing: "no read was asked while every replica was certainly out and the primary reachable",
      doubts,
    });
  },
};

/** Reads while every replica is out beyond the budget and the primary is there. */
class Demand {
  reads = 0;
  readonly #windows: IntervalSet;
  readonly #mayFail: boolean;
  readonly #violations: Violations;

  constructor({ policy }: CheckInput, truth: Truth, violations: Violations) {
    this.#windows = difference(truth.noReplica, truth.primary.unsettled);
    this.#mayFail = policy.fallback.to === "error";
    this.#violations = violations;
  }

  read(invoke: Invoke, completion: Completion): void {
    if (covering(this.#windows, invoke.at, completion.at) === undefined) return;
    this.reads++;
    const proof = [invoke.index, completion.index];
    if (completion.type !== "ok") {
      if (this.#mayFail) return;
      const code = completion.error?.code ?? "no code";
      this.#violations.add(
        proof,
        () => `${invoke.f} ${invoke.index} failed (${code}) instead of falling back`,
      );
      return;
    }
    const elsewhere = completion.evidence?.find(({ role }) => role !== "primary");
    if (elsewhere === undefined) return;
    this.#violations.add(
      proof,
      () =>
        `${invoke.f} ${invoke.index} was served by ${elsewhere.node} although no replica could serve for longer than the budget`,
    );
  }
}

interface Tally {
  fromReplicas: number;
  fromPrimary: number;
  readonly byNode: Map<string, number>;
  /** Indexes of the first of each. */
  readonly primaryReads: number[];
  readonly replicaReads: number[];
}

/** Reads after a replica has been out and is certainly back. */
class Returns {
  reads = 0;
  primaryReads = 0;
  readonly ownWrites: OwnWrites;
  readonly #input: CheckInput;
  readonly #truth: Truth;
  readonly #violations: Violations;
  readonly #anyBack: IntervalSet;
  readonly #tallies = new Map<Interval, Tally>();
  readonly #backOf: ReadonlyMap<string, IntervalSet>;

  constructor(input: CheckInput, truth: Truth, violations: Violations) {
    this.#input = input;
    this.#truth = truth;
    this.#violations = violations;
    this.#backOf = new Map(
      // While the primary is dead, one replica may be behind the others, and be left for it.
      [...truth.replicas.values()].map(({ name, unsettled }) => [
        name,
        difference(gapsAfter(unsettled), truth.primaryKilled),
      ]),
    );
    this.#anyBack = union([...truth.replicas.values()].flatMap(({ unsettled }) => gapsAfter(unsettled)));
    this.ownWrites = new OwnWrites(input, truth);
  }

  read(invoke: Invoke, completion: Completion): void {
    const { policy } = this.#input;
    const served = completion.evidence?.[0];
    if (completion.type !== "ok" || served === undefined || this.ownWrites.isRecentFor(invoke)) return;
    if (
      policy.whenPrimaryUnknown === "reject" &&
      touches(this.#truth.primaryUnknown, invoke.at, completion.at)
    ) {
      return;
    }
    const any = covering(this.#anyBack, invoke.at, completion.at);
    if (any !== undefined) {
      this.reads++;
      if (served.role === "primary") this.primaryReads++;
      this.#count(any, completion);
    }
    for (const set of this.#backOf.values()) {
      const window = covering(set, invoke.at, completion.at);
      if (window !== undefined && window !== any) this.#count(window, completion);
    }
  }

  conclude(): void {
    for (const window of this.#anyBack) this.#concludeAny(this.#tallies.get(window));
    for (const [name, windows] of this.#backOf) {
      for (const window of windows) this.#concludeNode(name, this.#tallies.get(window));
    }
  }

  #count(window: Interval, { index, invoke, evidence }: Completion): void {
    const tally = this.#tallies.get(window) ?? {
      fromReplicas: 0,
      fromPrimary: 0,
      byNode: new Map<string, number>(),
      primaryReads: [],
      replicaReads: [],
    };
    this.#tallies.set(window, tally);
    const served = evidence?.[0];
    if (served === undefined) return;
    if (served.role === "replica") {
      tally.fromReplicas++;
      if (tally.replicaReads.length < MAX_PROOF) tally.replicaReads.push(invoke, index);
      tally.byNode.set(served.node, (tally.byNode.get(served.node) ?? 0) + 1);
      return;
    }
    tally.fromPrimary++;
    if (tally.primaryReads.length < MAX_PROOF) tally.primaryReads.push(invoke, index);
  }

  /** Most, not all: a retry, or our own pause, may send a few to the primary at any time. */
  #concludeAny(tally: Tally | undefined): void {
    if (tally === undefined) return;
    const all = tally.fromReplicas + tally.fromPrimary;
    if (all < MIN_READS || 2 * tally.fromReplicas >= all) return;
    this.#violations.add(
      tally.primaryReads,
      () =>
        `${tally.fromPrimary} of ${all} reads still went to the primary after a replica could serve again`,
    );
  }

  #concludeNode(name: string, tally: Tally | undefined): void {
    if (tally === undefined || (tally.byNode.get(name) ?? 0) > 0) return;
    const { replicas } = this.#input.policy;
    const total = replicas.reduce((sum, { weight }) => sum + weight, 0);
    const weight = replicas.find((replica) => replica.name === name)?.weight ?? 0;
    const expected = (tally.fromReplicas * weight) / total;
    if (expected < MIN_EXPECTED) return;
    this.#violations.add(
      tally.replicaReads,
      () =>
        `${name} served none of ${tally.fromReplicas} reads after it could serve again; its share is ${Math.floor(expected)}`,
    );
  }
}
