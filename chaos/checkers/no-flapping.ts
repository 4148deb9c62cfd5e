/**
 * Nobody comes and goes more often than the truth does: each fault explains one eviction, and each eviction one return. This
 * one reads what the router says of itself, and holds it against the observed faults. Where the truth itself is in
 * doubt for long (a slow link, a slow heal), a router may try again, waiting twice as long each time.
 */
import { budgets } from "../../src/config/budgets.ts";
import { faultTarget } from "../faults/fault.ts";
import type { FaultWindow } from "../history/fault-windows.ts";
import { touches, union } from "../history/intervals.ts";
import type { Interval } from "../history/intervals.ts";
import type { Testimony } from "../history/operation.ts";
import { deriveTruth } from "../history/truth.ts";
import type { NodeTruth, Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, verdictOf, Violations } from "./verdict.ts";

export const noFlapping: Checker = {
  name: "no-flapping",
  guarantee: "A node is evicted and readmitted no more often than observed faults explain.",
  claim: "events",

  check(input) {
    const truth = deriveTruth(input);
    const violations = new Violations();
    const testimony = input.history.filter((entry) => entry.type === "testimony");
    const sum = { told: 0, evictions: 0, returns: 0, explained: 0, most: 0 };
    for (const node of [truth.primary, ...truth.replicas.values()]) {
      const told = transitionsOf(testimony, node.name);
      sum.told += told.length;
      judgeReturns(node.name, told, { input, violations });
      const evictions = told.filter(({ event, at }) => isEviction(event) && isMeasured(input, at));
      sum.evictions += evictions.length;
      sum.returns += told.filter(({ event, at }) => isReturn(event) && isMeasured(input, at)).length;
      for (const illness of illnessesOf(node, input, truth)) {
        sum.explained += illness.allowed;
        const within = evictions.filter(({ at }) => at >= illness.from && at <= illness.to);
        sum.most = Math.max(sum.most, within.length);
        judgeIllness(node.name, illness, within, violations);
      }
    }
    return verdictOf({
      checker: noFlapping.name,
      violations,
      evidence: sum.told,
      figures: {
        transitions: sum.told,
        evictions: sum.evictions,
        returns: sum.returns,
        mostEvictionsInOneIllness: sum.most,
        evictionsExplained: sum.explained,
      },
      held: `${sum.evictions} evictions and ${sum.returns} returns, ${sum.explained} evictions explained by faults; never more than ${sum.most} in one illness`,
      nothing: "the router told of no eviction, return or arrival",
      doubts: doubtsOf(truth),
    });
  },
};

/** A time in which a node may rightly be evicted, and how often. */
interface Illness extends Interval {
  readonly allowed: number;
  /** Indexes of the faults. */
  readonly faults: readonly number[];
}

function judgeIllness(
  name: string,
  { allowed, faults }: Illness,
  evictions: readonly Testimony[],
  violations: Violations,
): void {
  if (evictions.length <= allowed) return;
  violations.add([...evictions.map(({ index }) => index), ...faults], () =>
    allowed === 0
      ? `${name} was evicted ${evictions.length} times while nothing was wrong with it`
      : `${name} was evicted ${evictions.length} times in one illness, which explains ${allowed}`,
  );
}

/** Who comes back has been away. */
function judgeReturns(
  name: string,
  told: readonly Testimony[],
  { input, violations }: { readonly input: CheckInput; readonly violations: Violations },
): void {
  let away = false;
  for (const { event, at, index } of told) {
    if (event.kind === "readmitted" && !away && isMeasured(input, at)) {
      violations.add([index], () => `${name} was readmitted without having been evicted`);
    }
    away = isEviction(event);
  }
}

/** What might be wrong with it, until it is out of sight; and all the rest, in which nothing is. */
function illnessesOf(node: NodeTruth, input: CheckInput, truth: Truth): readonly Illness[] {
  const { downMs, staleMs } = budgets(input.policy);
  const lookBackMs = Math.max(downMs, staleMs === "off" ? 0 : staleMs) + truth.slackMs;
  const ill = union(
    [...node.possiblyIll, ...truth.primaryKilled].map(({ from, to }) => ({ from, to: to + lookBackMs })),
  );
  const own = truth.faults.filter((window) => hits(window, node.name, input.primary));
  const illnesses: Illness[] = [];
  let wellFrom = -Infinity;
  for (const { from, to } of ill) {
    const causes = own.filter(({ possibly }) => possibly.from <= to && possibly.to >= from);
    const allowed = causes.reduce((sum, window) => sum + evictionsExplainedBy(window, node, input), 0);
    illnesses.push({ from: wellFrom, to: justBefore(from), allowed: 0, faults: [] });
    illnesses.push({ from, to, allowed, faults: causes.map(({ index }) => index) });
    wellFrom = justAfter(to);
  }
  return [...illnesses, { from: wellFrom, to: Infinity, allowed: 0, faults: [] }];
}

/** On the node itself or on one of its links; or a primary that stood still, after which somebody may be behind. */
function hits(window: FaultWindow, name: string, primary: string): boolean {
  const node = targetOf(window);
  const standsStill = window.fault.kind === "node-killed" || window.fault.kind === "node-frozen";
  return node === name || (standsStill && node === primary);
}

function targetOf({ fault }: FaultWindow): string {
  const target = faultTarget(fault);
  return target.slice(target.indexOf(":") + 1);
}

/** One; and one more for each doubling of the wait that fits into the time in which nobody can say whether it is ill. */
function evictionsExplainedBy(
  window: FaultWindow,
  node: NodeTruth,
  { policy, primary, until }: CheckInput,
): number {
  const { possibly, certainly, healing } = window;
  const end = Math.min(possibly.to, until);
  // Of a dead primary the replicas are certainly not ill: they may only be behind once.
  const isCertain =
    certainly !== undefined && (isCertainlyIll(node, certainly) || targetOf(window) === primary);
  const doubtMs = isCertain
    ? certainly.from - possibly.from + (healing === undefined ? 0 : Math.min(healing.to, end) - healing.from)
    : end - possibly.from;
  const firstWaitMs = policy.healthCheck.rise * policy.healthCheck.intervalMs;
  return 1 + Math.max(0, Math.floor(Math.log2(1 + doubtMs / firstWaitMs)));
}

function isCertainlyIll(
  { certainlyUnreachable, certainlyHalted }: NodeTruth,
  { from, to }: Interval,
): boolean {
  return touches(certainlyUnreachable, from, to) || touches(certainlyHalted, from, to);
}

function transitionsOf(testimony: readonly Testimony[], node: string): readonly Testimony[] {
  return testimony.filter(
    ({ event }) =>
      "node" in event &&
      event.node === node &&
      (isEviction(event) || isReturn(event) || event.kind === "joined"),
  );
}

function isEviction({ kind }: Testimony["event"]): boolean {
  return kind === "evicted" || kind === "primary-down";
}

function isReturn({ kind }: Testimony["event"]): boolean {
  return kind === "readmitted" || kind === "primary-up";
}

function isMeasured({ from, until }: CheckInput, at: number): boolean {
  return at >= from && at <= until;
}

const EDGE_MS = 1e-6;
const justBefore = (at: number): number => at - EDGE_MS;
const justAfter = (at: number): number => at + EDGE_MS;
