/**
 * A replica that is well again gets its share back within its budget, and not more than its share on the way: no herd.
 * Judged from where the rows say they were read and from the observed heals. Shares are tested so that a fair router,
 * whether it draws or counts, is convicted once in a million returns.
 */
import { budgets } from "../../src/config/budgets.ts";
import { faultTarget } from "../faults/fault.ts";
import type { FaultWindow } from "../history/fault-windows.ts";
import type { Completion, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { NodeTruth, Truth } from "../history/truth.ts";
import { MAX_PROOF } from "./checker.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { OwnWrites } from "./own-writes.ts";
import { Serving } from "./serving.ts";
import { DriftTest } from "./share-test.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

const FALSE_POSITIVES = 1e-6;

/** Of its share, what a replica that is not yet back may get; the test is sharpest against this. */
const NOT_BACK = 1 / 50;

export const recovery: Checker = {
  name: "recovery",
  guarantee:
    "A replica that is well again has its full share of the reads within the return budget, and never more on the way.",
  claim: "weights",

  check(input) {
    const { history, from, until } = input;
    const truth = deriveTruth(input);
    const serving = new Serving(input, truth);
    const ownWrites = new OwnWrites(input, truth);
    const returns = returnsOf(input, truth, serving);
    forEachOperation(history, (invoke, completion) => {
      ownWrites.note(invoke, completion);
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      if (completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
      if (completion.evidence?.[0]?.role !== "replica" || ownWrites.isRecentFor(invoke)) return;
      for (const back of returns) back.read(invoke, completion);
    });
    const violations = new Violations();
    const doubts = [...doubtsOf(truth)];
    for (const back of returns) doubts.push(...back.conclude(violations));
    const worst = (of: (back: Return) => number | undefined): number =>
      Math.max(0, ...returns.map((back) => of(back) ?? 0));
    const judged = returns.reduce((sum, back) => sum + back.readsAfter, 0);
    const firstReadMs = worst((back) => back.firstReadMs);
    const fullShareMs = Math.max(
      firstReadMs,
      worst((back) => back.fullShareMs),
    );
    const budgetMs = returnBudgetMs(input);
    return verdictOf({
      checker: recovery.name,
      violations,
      evidence: judged,
      figures: {
        returns: returns.length,
        readsAfterReturn: judged,
        readsOnTheWay: returns.reduce((sum, back) => sum + back.readsOnTheWay, 0),
        worstFirstReadMs: firstReadMs,
        worstFullShareMs: fullShareMs,
        returnBudgetMs: budgetMs,
        falsePositiveRatio: FALSE_POSITIVES,
      },
      held: `${returns.length} returns: the first read came ${ms(firstReadMs)} after the heal at the latest, the full share after ${ms(fullShareMs)}; allowed are ${ms(budgetMs)} and what catching up and scheduling take; no herd`,
      nothing: "no replica was ill, observed to be healed, and read from for long enough after that",
      doubts,
    });
  },
};

/** From being well to the full share: rise × interval + slowStart, and one probe more. */
function returnBudgetMs({ policy }: CheckInput): number {
  const { intervalMs, timeoutMs } = policy.healthCheck;
  return budgets(policy).returnMs + intervalMs + timeoutMs;
}

/** One for each illness of each replica that was healed while the run was measured. */
function returnsOf({ from, until }: CheckInput, truth: Truth, serving: Serving): readonly Return[] {
  const returns: Return[] = [];
  for (const replica of truth.replicas.values()) {
    for (const [i, illness] of replica.unsettled.entries()) {
      const own = truth.faults.filter((window) => isOf(window, replica, illness));
      const healedAt = Math.max(...own.map(({ possibly }) => possibly.to));
      if (own.length === 0 || healedAt === Infinity || illness.to > until || healedAt < from) continue;
      // From the begin of the last heal on it may come back; before, whoever reads there is no herd.
      const rampFrom = Math.max(...own.map(({ healing, possibly }) => healing?.from ?? possibly.to));
      const settledUntil = replica.unsettled[i + 1]?.from ?? Infinity;
      const faults = own.map(({ index }) => index);
      returns.push(
        new Return(serving, {
          name: replica.name,
          healedAt,
          rampFrom,
          settledFrom: illness.to,
          settledUntil,
          faults,
        }),
      );
    }
  }
  return returns;
}

/** A fault of this replica itself, within this illness. */
function isOf(
  { fault, possibly }: FaultWindow,
  { name }: NodeTruth,
  illness: { readonly from: number; readonly to: number },
): boolean {
  const target = faultTarget(fault);
  return (
    target.slice(target.indexOf(":") + 1) === name &&
    possibly.from >= illness.from &&
    possibly.from <= illness.to
  );
}

interface Times {
  readonly name: string;
  readonly healedAt: number;
  readonly rampFrom: number;
  /** From here on it certainly has its share. */
  readonly settledFrom: number;
  readonly settledUntil: number;
  /** Indexes of the faults that it returns from. */
  readonly faults: readonly number[];
}

class Return {
  firstReadMs: number | undefined;
  fullShareMs: number | undefined;
  readonly #serving: Serving;
  readonly #times: Times;
  readonly #weight: number;
  readonly #herd = new DriftTest({ anyBegin: true });
  readonly #missing = new DriftTest({ anyBegin: false });
  /** How much of the wealth of `#missing` it would have taken if no read at all had come. */
  #silentWealth = 1;
  /** Reads that were due and did not come, and the most that it ever was. */
  #owed = 0;
  #mostOwed = 0;
  readonly #herdReads: number[] = [];
  readonly #otherReads: number[] = [];

  constructor(serving: Serving, times: Times) {
    this.#serving = serving;
    this.#times = times;
    this.#weight = serving.nodes.find(({ name }) => name === times.name)?.weight ?? 0;
  }

  get readsAfter(): number {
    return this.#missing.reads;
  }

  get readsOnTheWay(): number {
    return this.#herd.reads;
  }

  read(invoke: Invoke, completion: Completion): void {
    const { name, rampFrom, settledFrom, settledUntil, healedAt } = this.#times;
    if (invoke.at < rampFrom || completion.at >= settledUntil) return;
    const isHit = completion.evidence?.[0]?.node === name;
    if (isHit) this.firstReadMs ??= Math.max(0, completion.at - healedAt);
    const { atLeast, atMost } = this.#shareAt(invoke.at, completion.at);
    if (atMost >= 1) return;
    this.#noteOwed(isHit, atLeast, completion.at - healedAt);
    if (invoke.at < settledFrom) {
      // What was lost on another node and tried again is no choice.
      if (this.#serving.mayBeRetried(invoke.at, completion.at)) return;
      this.#herd.note({ isHit, share: atMost, alternative: (1 + atMost) / 2 });
      if (isHit && this.#herdReads.length < MAX_PROOF) this.#herdReads.push(invoke.index, completion.index);
      return;
    }
    // Only while it is certain whom it shares with.
    if (atLeast !== atMost) return;
    const alternative = atLeast * NOT_BACK;
    this.#missing.note({ isHit, share: atLeast, alternative });
    this.#silentWealth *= (1 - alternative) / (1 - atLeast);
    if (!isHit && this.#otherReads.length < MAX_PROOF) this.#otherReads.push(invoke.index, completion.index);
  }

  /** Gives why it could not be judged. */
  conclude(violations: Violations): readonly string[] {
    const { name, settledFrom, faults } = this.#times;
    const convicted = 1 / FALSE_POSITIVES;
    if (this.#herd.mostWealth >= convicted) {
      violations.add(
        [...faults, ...this.#herdReads],
        () => `${name} got far more than its full share of ${this.#herd.reads} reads on its way back: a herd`,
      );
    }
    if (this.#missing.mostWealth >= convicted) {
      violations.add(
        [...faults, ...this.#otherReads],
        () =>
          `${name} did not have its share of ${this.#missing.reads} reads from ${ms(settledFrom)} on, beyond its return budget`,
      );
    }
    if (this.#missing.reads === 0 || this.#silentWealth >= convicted) return [];
    return [
      `only ${this.#missing.reads} reads were asked after the return of ${name}: one that had got none would not have been found out`,
    ];
  }

  /** Its share if everyone serves who may, and if only those do who certainly can. */
  #shareAt(from: number, to: number): { readonly atLeast: number; readonly atMost: number } {
    let able = 0;
    let uncertain = 0;
    for (const { name, weight } of this.#serving.nodes) {
      if (name === this.#times.name) continue;
      const standing = this.#serving.standingOf(name, from, to);
      if (standing === "able") able += weight;
      else if (standing === "uncertain") uncertain += weight;
    }
    const share = (others: number): number => this.#weight / (this.#weight + others);
    return { atLeast: share(able + uncertain), atMost: share(able) };
  }

  /** What it is owed grows until it is back, and stands still from then on: the last growth is the time of the return. */
  #noteOwed(isHit: boolean, share: number, sinceMs: number): void {
    this.#owed += share - (isHit ? 1 : 0);
    if (this.#owed < this.#mostOwed + 1) return;
    this.#mostOwed = this.#owed;
    this.fullShareMs = Math.max(0, sinceMs);
  }
}
