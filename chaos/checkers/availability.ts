/**
 * Reads go on as long as anybody can serve them, and none stalls for longer than a dead node may take to be noticed.
 * Writes go on as long as the primary is certainly there. Judged from clients' operations and the observed faults alone.
 */
import { budgets } from "../../src/config/budgets.ts";
import type { FaultKind } from "../faults/fault.ts";
import type { FaultWindow } from "../history/fault-windows.ts";
import { union, touches } from "../history/intervals.ts";
import type { IntervalSet } from "../history/intervals.ts";
import type { Completion, History, Invoke } from "../history/operation.ts";
import { endOf, forEachOperation } from "../history/operations.ts";
import { addedRoundTripMs, deriveTruth, slowStatementMs } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

/** A healthy read is never taken to be faster than this: scheduling alone may cost as much. */
const HEALTHY_READ_FLOOR_MS = 20;

/** Round trips of a read on a new connection, at most: TCP, TLS, start-up, SCRAM, and the statement itself. */
const ROUND_TRIPS_PER_READ = 8;

export const availability: Checker = {
  name: "availability",
  guarantee:
    "No read fails while a node can serve it, none stalls beyond the detection budget, and no write fails while the primary is reachable.",

  check(input) {
    const { history, policy, from, until } = input;
    const truth = deriveTruth(input);
    const judge = new Judge(input, truth);
    forEachOperation(history, (invoke, completion) => {
      if (invoke.at < from || invoke.at > until) return;
      if (invoke.f === "read" || invoke.f === "transaction") judge.read(invoke, completion);
      else if (invoke.f === "write") judge.write(invoke, completion);
    });
    const { reads, writes, violations } = judge;
    const droppedReads = history.filter(
      (entry) => entry.type === "dropped" && entry.f !== "write" && entry.at >= from && entry.at <= until,
    ).length;
    return verdictOf({
      checker: availability.name,
      violations,
      evidence: reads.judged + writes.judged,
      figures: {
        readsJudged: reads.judged,
        writesJudged: writes.judged,
        legallyFailedReads: reads.legallyFailed,
        legallyFailedWrites: writes.legallyFailed,
        tornTransactions: reads.torn,
        droppedReads,
        longestStallMs: reads.longestMs,
        longestFromIntendedMs: reads.longestFromIntendedMs,
        healthyReadMs: judge.healthyReadMs,
        stallLimitMs: judge.stallLimitMs,
        stallBudgetMs: budgets(policy).stallMs,
      },
      held: `${reads.judged} reads and ${writes.judged} writes that could be served were; the longest read took ${ms(reads.longestMs)} of ${ms(judge.stallLimitMs)} allowed (${ms(reads.longestFromIntendedMs)} from when it was due, ${droppedReads} dropped by our own generator)`,
      nothing: "no read or write was asked while a node could certainly serve it",
      doubts: doubtsOf(truth),
    });
  },
};

class Judge {
  readonly violations: Violations = new Violations();
  readonly reads = { judged: 0, legallyFailed: 0, torn: 0, longestMs: 0, longestFromIntendedMs: 0 };
  readonly writes = { judged: 0, legallyFailed: 0 };
  readonly healthyReadMs: number;
  readonly stallLimitMs: number;
  readonly #input: CheckInput;
  readonly #truth: Truth;
  readonly #endAt: number;
  readonly #healthyTransactionMs: number;

  constructor(input: CheckInput, truth: Truth) {
    const { stallMs } = budgets(input.policy);
    this.#input = input;
    this.#truth = truth;
    this.#endAt = endOf(input.history);
    // Capped, so that a router that is always slow does not set its own standard.
    this.healthyReadMs = Math.min(healthyMs("read", input, truth), stallMs);
    // What is run again elsewhere is the whole transaction, on a connection that may be new.
    this.#healthyTransactionMs = Math.max(
      this.healthyReadMs,
      Math.min(healthyMs("transaction", input, truth), stallMs),
    );
    this.stallLimitMs = stallMs + this.healthyReadMs;
  }

  read(invoke: Invoke, completion: Completion | undefined): void {
    const endAt = completion?.at ?? this.#endAt;
    const failed = completion !== undefined && completion.type !== "ok";
    const tookMs = endAt - invoke.at;
    const limitMs = tookMs <= this.stallLimitMs ? this.stallLimitMs : this.#limitMs(invoke, endAt);
    // Whoever could serve until the limit should have done so by then, whatever happened later.
    const neededUntil = Math.min(endAt, invoke.at + limitMs);
    const { reads } = this;
    if (!this.#canBeServed(invoke.at, neededUntil)) {
      if (failed) reads.legallyFailed++;
      return;
    }
    if (completion === undefined && tookMs <= limitMs) return;
    if (failed && tookMs <= limitMs && this.#isExcused(invoke, endAt)) return;
    reads.judged++;
    reads.longestMs = Math.max(reads.longestMs, tookMs);
    reads.longestFromIntendedMs = Math.max(reads.longestFromIntendedMs, endAt - invoke.intendedAt);
    const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index])];
    if (failed) {
      this.violations.add(proof, () => `${nameOf(invoke)} ${why(completion)} although a node could serve it`);
    } else if (tookMs > limitMs) {
      this.violations.add(
        proof,
        () => `${nameOf(invoke)} stalled for ${ms(tookMs)}, allowed are ${ms(limitMs)}`,
      );
    }
  }

  write(invoke: Invoke, completion: Completion | undefined): void {
    const endAt = completion?.at ?? this.#endAt;
    const failed = completion !== undefined && completion.type !== "ok";
    if (touches(this.#truth.primary.unsettled, invoke.at, endAt)) {
      if (failed) this.writes.legallyFailed++;
      return;
    }
    const unanswered = completion === undefined && endAt - invoke.at > this.stallLimitMs;
    if (completion === undefined && !unanswered) return;
    this.writes.judged++;
    const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index])];
    if (failed || unanswered) {
      this.violations.add(
        proof,
        () => `${nameOf(invoke)} ${why(completion)} although the primary was reachable`,
      );
    }
  }

  /** Was there one node that could serve from the call to its end? */
  #canBeServed(from: number, to: number): boolean {
    const { policy } = this.#input;
    const { primary, replicas, primaryUnknown } = this.#truth;
    const primaryMayRead = policy.fallback.to === "primary" || policy.replicas.length === 0;
    if (primaryMayRead && !touches(primary.unsettled, from, to)) return true;
    if (policy.whenPrimaryUnknown === "reject" && touches(primaryUnknown, from, to)) return false;
    for (const replica of replicas.values()) {
      if (!touches(replica.unsettled, from, to)) return true;
    }
    return false;
  }

  /**
   * A read that more nodes failed than it may be tried again, each just then and before a router can have noticed;
   * or a transaction that was open on such a node, and cannot move.
   */
  #isExcused(invoke: Invoke, endAt: number): boolean {
    const lost = [this.#truth.primary, ...this.#truth.replicas.values()].filter(({ undetected }) =>
      touches(undetected, invoke.at, endAt),
    ).length;
    if (invoke.f === "transaction" && lost > 0) {
      this.reads.torn++;
      return true;
    }
    if (lost <= this.#input.policy.retries.max) return false;
    this.reads.legallyFailed++;
    return true;
  }

  /**
   * One budget from the call, or until the last node that may have held it must have been noticed: nodes that go at the same
   * time are noticed at the same time. What a slow link adds by itself comes on top.
   */
  #limitMs({ f, at: from }: Invoke, to: number): number {
    const { stallMs } = budgets(this.#input.policy);
    const met = this.#truth.faults.filter(({ possibly }) => possibly.from <= to && possibly.to >= from);
    const slowMs = Math.max(0, ...met.map(({ fault }) => addedRoundTripMs(fault)));
    const statementMs = Math.max(0, ...met.map(({ fault }) => slowStatementMs(fault, this.#input.policy)));
    const healthy = f === "transaction" ? this.#healthyTransactionMs : this.healthyReadMs;
    const readMs = healthy + ROUND_TRIPS_PER_READ * slowMs + statementMs;
    let end = from + stallMs + readMs;
    // In the order in which they began: one that began after the read should have ended is no excuse.
    for (const window of met) {
      if (!isCut(window.fault.kind) || !this.#isUnnoticed(window, from, end)) continue;
      end = Math.max(end, this.#noticedAt(window) + readMs);
      const { healing } = window;
      if (healing !== undefined && healing.from <= end && healing.to >= from) {
        end = Math.max(end, healing.to + this.#truth.slackMs + readMs);
      }
    }
    return end - from;
  }

  #noticedAt({ possibly, certainly }: FaultWindow): number {
    return (certainly?.from ?? possibly.to) + budgets(this.#input.policy).downMs + this.#truth.slackMs;
  }

  /** Might a router in [from, to] still, or again, take this node for well? */
  #isUnnoticed(window: FaultWindow, from: number, to: number): boolean {
    const { possibly, healing } = window;
    if (possibly.from <= to && this.#noticedAt(window) >= from) return true;
    return healing !== undefined && healing.from <= to && healing.to + this.#truth.slackMs >= from;
  }
}

const CUTS: ReadonlySet<FaultKind> = new Set([
  "link-down",
  "link-black-hole",
  "link-reset",
  "link-syn-black-hole",
  "node-killed",
  "node-frozen",
]);

/** They make an answer take longer, or let some through. */
const BRAKES: ReadonlySet<FaultKind> = new Set([
  "link-latency",
  "link-bandwidth",
  "postmaster-frozen",
  "statements-slow",
]);

function isCut(kind: FaultKind): boolean {
  return CUTS.has(kind);
}

function nameOf({ f, index }: Invoke): string {
  return `${f} ${index}`;
}

function why(completion: Completion | undefined): string {
  if (completion === undefined) return "was never answered";
  const how = completion.type === "info" ? "was left in doubt" : "failed";
  return `${how} (${completion.error?.code ?? "no code"})`;
}

/** The 99th percentile of the run's own reads outside of faults. */
function healthyMs(
  f: "read" | "transaction",
  { history, policy, from, until }: CheckInput,
  truth: Truth,
): number {
  const disturbed: IntervalSet = union(
    truth.faults
      .filter(({ fault }) => isCut(fault.kind) || BRAKES.has(fault.kind))
      .map(({ possibly }) => ({ from: possibly.from, to: possibly.to + budgets(policy).stallMs })),
  );
  const tookMs = calmOnes(f, history, { from, until }, disturbed);
  if (tookMs.length === 0) return HEALTHY_READ_FLOOR_MS;
  const p99 = tookMs[Math.ceil(tookMs.length * 0.99) - 1] as number;
  return Math.max(HEALTHY_READ_FLOOR_MS, p99);
}

function calmOnes(
  f: "read" | "transaction",
  history: History,
  { from, until }: { readonly from: number; readonly until: number },
  disturbed: IntervalSet,
): Float64Array {
  const tookMs: number[] = [];
  forEachOperation(history, (invoke, completion) => {
    if (invoke.f !== f || completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
    if (!touches(disturbed, invoke.at, completion.at)) tookMs.push(completion.at - invoke.at);
  });
  return Float64Array.from(tookMs).sort();
}
