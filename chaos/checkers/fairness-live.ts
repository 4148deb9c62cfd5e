/**
 * Reads are shared by weight, as far as chance can tell: who answered the clients, counted while it is certain whom the router
 * may choose among, against the policy's weights. The test may be looked at after every read; its error rate is a part of
 * a budget for a whole suite. Exact strategies pass it too, and are judged more sharply by `weight-fairness`.
 */
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { OwnWrites } from "./own-writes.ts";
import { Serving } from "./serving.ts";
import type { ServingNode } from "./serving.ts";
import { detectableFactor, shareInterval, ShareTest } from "./share-test.ts";
import { doubtsOf, verdictOf, Violations } from "./verdict.ts";

/** Fair routers that a whole suite may convict: one in ten thousand suites. */
export const SUITE_FALSE_POSITIVES = 1e-4;
/** Over this many runs, each of which gets an equal part. */
export const RUNS_IN_A_SUITE = 50;
const RUN_FALSE_POSITIVES = SUITE_FALSE_POSITIVES / RUNS_IN_A_SUITE;

export const fairnessLive: Checker = {
  name: "fairness-live",
  guarantee:
    "In the long run each replica serves its share of the reads by weight, as far as chance allows to tell.",
  claim: "weights",

  check(input) {
    const { history, from, until } = input;
    const truth = deriveTruth(input);
    const violations = new Violations();
    const epochs = new Epochs(input, truth);
    const ownWrites = new OwnWrites(input, truth);
    forEachOperation(history, (invoke, completion) => {
      ownWrites.note(invoke, completion);
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      if (completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
      const served = completion.evidence?.[0];
      if (served?.role !== "replica" || ownWrites.isRecentFor(invoke)) return;
      const epoch = epochs.at(invoke.at, completion.at);
      const crossed = epoch?.note(served.node) ?? false;
      if (!crossed || epoch === undefined) return;
      violations.add(
        [invoke.index, completion.index],
        () => `${epoch.effect()}, by ${invoke.f} ${invoke.index}`,
      );
    });
    const longest = epochs.longest();
    const factor = longest?.detectableFactor() ?? Infinity;
    const doubt = `after ${longest?.test.total} reads not even a replica that took all of them would have been found out`;
    return verdictOf({
      checker: fairnessLive.name,
      violations,
      evidence: epochs.reads,
      figures: {
        readsJudged: epochs.reads,
        setsJudged: epochs.count,
        suiteFalsePositiveRatio: SUITE_FALSE_POSITIVES,
        falsePositiveRatio: RUN_FALSE_POSITIVES,
        ...longest?.figures(),
        ...(factor === Infinity ? {} : { detectableFactor: factor }),
      },
      held: `${longest?.effect()}; one with ${factor.toFixed(2)} times its share would have been found out (error budget ${SUITE_FALSE_POSITIVES} for ${RUNS_IN_A_SUITE} runs)`,
      nothing: "no read was answered while it was certain which of several replicas could serve",
      doubts: [...doubtsOf(truth), ...(factor === Infinity ? [doubt] : [])],
    });
  },
};

/** One for each set of replicas that may be chosen among, whenever it is that set's time. */
class Epochs {
  readonly #serving: Serving;
  /** By set: a bit for each node of the policy; `undefined` where there is nothing to choose. */
  readonly #bySet = new Map<number, Epoch | undefined>();

  constructor(input: CheckInput, truth: Truth) {
    this.#serving = new Serving(input, truth);
  }

  /** None while it is not certain of every replica whether it serves. */
  at(from: number, to: number): Epoch | undefined {
    let set = 0;
    let bit = 1;
    for (const { name } of this.#serving.nodes) {
      const standing = this.#serving.standingOf(name, from, to);
      if (standing === "uncertain") return undefined;
      if (standing === "able") set += bit;
      bit *= 2;
    }
    if (!this.#bySet.has(set)) this.#bySet.set(set, this.#newEpoch(set));
    return this.#bySet.get(set);
  }

  get reads(): number {
    return [...this.#bySet.values()].reduce((sum, epoch) => sum + (epoch?.test.total ?? 0), 0);
  }

  get count(): number {
    return [...this.#bySet.values()].filter((epoch) => epoch !== undefined).length;
  }

  longest(): Epoch | undefined {
    let longest: Epoch | undefined;
    for (const epoch of this.#bySet.values()) {
      if (epoch !== undefined && epoch.test.total > (longest?.test.total ?? 0)) longest = epoch;
    }
    return longest;
  }

  #newEpoch(set: number): Epoch | undefined {
    const nodes = this.#serving.nodes.filter((_, i) => Math.floor(set / 2 ** i) % 2 === 1);
    if (nodes.length < 2) return undefined;
    // The nth set may err with the nth part of a series that sums to the run's own budget.
    const n = this.count + 1;
    return new Epoch(nodes, RUN_FALSE_POSITIVES / (n * (n + 1)));
  }
}

class Epoch {
  readonly test: ShareTest;
  readonly #nodes: readonly ServingNode[];
  readonly #positions: ReadonlyMap<string, number>;
  readonly #shares: readonly number[];
  readonly #logThreshold: number;
  #convicted = false;

  constructor(nodes: readonly ServingNode[], falsePositives: number) {
    const total = nodes.reduce((sum, { weight }) => sum + weight, 0);
    this.#nodes = nodes;
    this.#positions = new Map(nodes.map(({ name }, position) => [name, position]));
    this.#shares = nodes.map(({ weight }) => weight / total);
    this.#logThreshold = -Math.log(falsePositives);
    this.test = new ShareTest(this.#shares);
  }

  /** Is the router convicted by this very read? Who should not serve at all is other checkers' matter. */
  note(name: string): boolean {
    const position = this.#positions.get(name);
    if (position === undefined || this.#convicted) return false;
    this.test.note(position);
    this.#convicted = this.test.logWealth >= this.#logThreshold;
    return this.#convicted;
  }

  detectableFactor(): number {
    return detectableFactor(this.#shares, this.test.total, this.#logThreshold);
  }

  /** The node that is furthest from its share. */
  effect(): string {
    const { name, factor, low, high } = this.#furthest();
    return `of ${this.test.total} reads ${name} got ${factor.toFixed(2)} times its share (${low.toFixed(2)} to ${high.toFixed(2)})`;
  }

  figures(): Record<string, number> {
    const { factor, low, high } = this.#furthest();
    return {
      worstFactor: factor,
      worstFactorLow: low,
      worstFactorHigh: high,
      evidenceLog10: this.test.mostLogWealth / Math.LN10,
      evidenceNeededLog10: this.#logThreshold / Math.LN10,
    };
  }

  #furthest(): {
    readonly name: string;
    readonly factor: number;
    readonly low: number;
    readonly high: number;
  } {
    const { counts, total } = this.test;
    const all = this.#nodes.map(({ name }, i) => {
      const share = this.#shares[i] as number;
      const { low, high } = shareInterval(counts[i] as number, total);
      return { name, factor: (counts[i] as number) / total / share, low: low / share, high: high / share };
    });
    return all.reduce((worst, node) =>
      Math.abs(node.factor - 1) > Math.abs(worst.factor - 1) ? node : worst,
    );
  }
}
