/**
 * What is certainly true of each node at any time, derived from the nemesis' observed windows and from what was
 * acknowledged; never from what the router said. Pure. Where the truth is not certain (between the begin of a fault and its
 * observation, during a heal, within a budget) both answers are legal, so "possibly" and "certainly" are kept apart.
 *
 * A fault on replication counts as healed when the replica streams again: that is what its nemesis must observe.
 */
import { budgets, lagFloorMs } from "../../src/config/budgets.ts";
import type { RouterConfig } from "../../src/config/config.ts";
import type { Fault, FaultKind } from "../faults/fault.ts";
import type { Claim } from "../subject.ts";
import { faultWindows } from "./fault-windows.ts";
import type { FaultWindow } from "./fault-windows.ts";
import { difference, extended, intersection, touches, union, withoutFirst } from "./intervals.ts";
import type { Interval, IntervalSet } from "./intervals.ts";
import type { Completion, History, Invoke } from "./operation.ts";
import { forEachOperation } from "./operations.ts";

export interface TruthInput {
  readonly history: History;
  readonly policy: RouterConfig;
  readonly primary: string;
  /** What the subject claims: without `lag-limit`, a lagging replica need not be left. Absent = everything. */
  readonly claims?: readonly Claim[] | undefined;
}

export interface NodeTruth {
  readonly name: string;
  /** Faults on the way to it: the application might not, or certainly does not, reach it. */
  readonly possiblyUnreachable: IntervalSet;
  readonly certainlyUnreachable: IntervalSet;
  /** New data might not, or certainly does not, arrive there. */
  readonly possiblyHalted: IntervalSet;
  readonly certainlyHalted: IntervalSet;
  /** Either of the two, and the time it may take to catch up: whoever evicts it now may be right. */
  readonly possiblyIll: IntervalSet;
  /** As {@link possiblyIll}, until a router must have noticed that it is well again. Outside it can certainly serve. */
  readonly unsettled: IntervalSet;
  /** Not reachable, and a router may not have noticed yet: an attempt may be lost on it. */
  readonly undetected: IntervalSet;
  /** It lacks what was acknowledged so long ago that no read may begin on it. */
  readonly certainlyLagging: IntervalSet;
  /** Unreachable or lagging beyond the budget: a router must have left it. */
  readonly certainlyOut: IntervalSet;
}

export interface Truth {
  readonly faults: readonly FaultWindow[];
  /** Planned faults or heals that nobody saw: what depends on them cannot be judged as held. */
  readonly unobserved: readonly FaultWindow[];
  readonly primary: NodeTruth;
  /** The replicas that the policy gives a share, by name. */
  readonly replicas: ReadonlyMap<string, NodeTruth>;
  /** The primary is possibly dead or frozen, or its replicas are still catching up: one may lack what its peers have. */
  readonly primaryKilled: IntervalSet;
  /** The application may have no sample of the primary: lag bounds stand still. */
  readonly primaryUnknown: IntervalSet;
  /** Every replica is certainly out. Empty when none is configured. */
  readonly noReplica: IntervalSet;
  /** Room for scheduling and one retry, part of the stall budget. */
  readonly slackMs: number;
}

/**
 * How long a replica may take, once it streams again, to replay what it missed. Our worlds reconnect every 200 ms; within
 * this time its lag is nobody's error.
 */
export const CATCH_UP_MS = 1_000;

// Every checker of a run asks for the same.
const known = new WeakMap<History, { readonly input: TruthInput; readonly truth: Truth }>();

export function deriveTruth(input: TruthInput): Truth {
  const last = known.get(input.history);
  if (
    last?.input.policy === input.policy &&
    last.input.primary === input.primary &&
    last.input.claims === input.claims
  ) {
    return last.truth;
  }
  const truth = derivedTruth(input);
  known.set(input.history, { input, truth });
  return truth;
}

function derivedTruth(input: TruthInput): Truth {
  const faults = faultWindows(input.history);
  const { policy } = input;
  const limits = budgets(policy);
  const slackMs = limits.stallMs - limits.downMs;
  const context: Context = { ...input, faults, slackMs, commits: acknowledgedCommits(input, faults) };
  const primary = primaryTruth(context);
  const replicas = new Map(
    policy.replicas
      .filter(({ weight }) => weight > 0)
      .map(({ name }) => [name, replicaTruth(context, name, primary)]),
  );
  return {
    faults,
    unobserved: faults.filter(({ observed }) => !observed),
    primary,
    replicas,
    primaryKilled: union(
      primaryKills(context).map(({ possibly: { from, to } }) => ({ from, to: to + CATCH_UP_MS })),
    ),
    primaryUnknown: extended(primary.possiblyUnreachable, probeMs(policy) + slackMs),
    noReplica: everyOneOf([...replicas.values()].map((replica) => replica.certainlyOut)),
    slackMs,
  };
}

/** How long a read may take because its statement is slow: it may first wait for a connection, and a transaction reads twice. */
export function slowStatementMs(fault: Fault, { primary }: RouterConfig): number {
  return fault.kind === "statements-slow" ? 2 * fault.takeMs + primary.pool.connectionTimeoutMs : 0;
}

/** The round trip that a fault adds to the application's path to a node; 0 for other faults. */
export function addedRoundTripMs(fault: Fault): number {
  if (fault.kind !== "link-latency" || !fault.link.startsWith("app:")) return 0;
  return fault.direction === "both" ? 2 * fault.latencyMs : fault.latencyMs;
}

interface Context extends TruthInput {
  readonly faults: readonly FaultWindow[];
  readonly slackMs: number;
  readonly commits: Commits;
}

/** From the start of one probe to the end of the next, at most. */
function probeMs({ healthCheck }: RouterConfig): number {
  return healthCheck.intervalMs + healthCheck.timeoutMs;
}

function primaryTruth(context: Context): NodeTruth {
  const { policy, primary: name, slackMs } = context;
  const reach = reachability(context, name);
  // One probe that answers brings a primary back; a router that wants `rise` of them has the time as well.
  const backMs = budgets(policy).returnMs - policy.slowStartMs + probeMs(policy) + slackMs;
  return {
    name,
    ...reach,
    possiblyHalted: [],
    certainlyHalted: [],
    possiblyIll: reach.possiblyUnreachable,
    unsettled: extended(reach.possiblyUnreachable, backMs),
    certainlyLagging: [],
    certainlyOut: withoutFirst(reach.certainlyUnreachable, budgets(policy).downMs + slackMs),
  };
}

function replicaTruth(context: Context, name: string, primary: NodeTruth): NodeTruth {
  const { policy, slackMs } = context;
  const reach = reachability(context, name);
  const data = dataFlow(context, name);
  const catchingUp = data.possibly.map(({ from, to }) => ({ from, to: to + CATCH_UP_MS }));
  const ill = [...reach.possiblyUnreachable, ...catchingUp];
  const certainlyHalted = union(data.certainly);
  const certainlyLagging = laggingBeyondBudget(context, certainlyHalted, primary);
  const downAfterMs = budgets(policy).downMs + slackMs;
  return {
    name,
    ...reach,
    possiblyHalted: union(data.possibly),
    certainlyHalted,
    possiblyIll: union(ill),
    unsettled: union(untilReturned(context, union(ill))),
    certainlyLagging,
    certainlyOut: union([
      ...withoutFirst(union([...reach.certainlyUnreachable, ...promotions(context, name)]), downAfterMs),
      ...certainlyLagging,
    ]),
  };
}

/** When it certainly was a primary of its own. */
function promotions({ faults }: Context, name: string): Interval[] {
  return faults.flatMap(({ fault, certainly }) =>
    fault.kind === "replica-promoted" && fault.node === name && certainly !== undefined ? [certainly] : [],
  );
}

type Reachability = Pick<NodeTruth, "possiblyUnreachable" | "certainlyUnreachable" | "undetected">;

function reachability({ faults, policy, slackMs }: Context, name: string): Reachability {
  const possibly: Interval[] = [];
  const certainly: Interval[] = [];
  const undetected: Interval[] = [];
  for (const window of faults) {
    const cut = cutsOff(window.fault, name, policy);
    undetected.push(...lostAttempts(window, name, { policy, slackMs }));
    if (cut === "no") continue;
    possibly.push(window.possibly);
    const settledAt =
      cut === "certainly" && window.certainly !== undefined
        ? window.certainly.from + budgets(policy).downMs
        : window.possibly.to;
    undetected.push({ from: window.possibly.from, to: settledAt + slackMs });
    if (window.healing !== undefined) {
      undetected.push({ from: window.healing.from, to: window.healing.to + slackMs });
    }
    if (cut === "certainly" && window.certainly !== undefined) certainly.push(window.certainly);
  }
  return {
    possiblyUnreachable: union(possibly),
    certainlyUnreachable: union(certainly),
    undetected: union(undetected),
  };
}

/** A probe's answer with all that TLS adds is no larger. */
const PROBE_BYTES = 2_000;

/** When an attempt may be lost on a node that can be reached, and which may be well. */
function lostAttempts(
  { fault, possibly, certainly, healing }: FaultWindow,
  name: string,
  { policy, slackMs }: Pick<Context, "policy" | "slackMs">,
): Interval[] {
  if (!("node" in fault) || fault.node !== name) return [];
  const { from, to } = possibly;
  if (fault.kind === "recovery-conflict" || fault.kind === "server-full") return [{ from, to: to + slackMs }];
  if (fault.kind !== "replica-promoted") return [];
  const noticedAt = certainly === undefined ? to : certainly.from + budgets(policy).downMs;
  const rebuilt = healing === undefined ? [] : [{ from: healing.from, to: healing.to + slackMs }];
  return [{ from, to: noticedAt + slackMs }, ...rebuilt];
}

function cutsOff(fault: Fault, name: string, { healthCheck }: RouterConfig): "no" | "possibly" | "certainly" {
  switch (fault.kind) {
    case "link-down":
    case "link-black-hole":
    case "link-reset":
    case "link-syn-black-hole":
      return fault.link === `app:${name}` ? "certainly" : "no";
    case "node-killed":
    case "node-frozen":
      return fault.node === name ? "certainly" : "no";
    case "postmaster-frozen":
      // Whoever has a connection is served, whoever needs a new one is not.
      return fault.node === name ? "possibly" : "no";
    case "link-bandwidth":
      return fault.link === `app:${name}` &&
        1_000 * (PROBE_BYTES / fault.bytesPerSecond) >= healthCheck.timeoutMs / 2
        ? "possibly"
        : "no";
    case "link-latency":
      // A probe that takes half of its deadline anyway may well miss it.
      return fault.link === `app:${name}` && addedRoundTripMs(fault) >= healthCheck.timeoutMs / 2
        ? "possibly"
        : "no";
    case "server-full":
      // A connection that was there before, or slipped in, still answers.
      return fault.node === name && fault.slots === "all" ? "possibly" : "no";
    case "recovery-conflict":
    case "replica-promoted":
    case "statements-slow":
    case "table-altered":
    case "replica-fed":
    case "replay-paused":
    case "write-transaction-open":
    case "wal-at-page-boundary":
    case "wal-switched":
    case "checkpointed":
      return "no";
  }
}

function dataFlow(context: Context, name: string): { possibly: Interval[]; certainly: Interval[] } {
  const possibly: Interval[] = [];
  const certainly: Interval[] = [];
  for (const window of context.faults) {
    const effect = halts(window, name, context);
    if (effect === undefined) continue;
    possibly.push(effect);
    if (
      effect === window.possibly &&
      window.certainly !== undefined &&
      isCertainHalt(window.fault, context)
    ) {
      certainly.push({ from: haltedFrom(window.fault, window.certainly.from), to: window.certainly.to });
    }
  }
  possibly.push(...context.faults.flatMap((window) => refeedings(window, name)));
  for (const { possibly: killed, certainly: dead } of primaryKills(context)) {
    // Who had not caught up when the primary died cannot until it is back.
    const catchingUp = extended(union(possibly), CATCH_UP_MS);
    if (touches(catchingUp, killed.from, dead?.from ?? killed.to)) possibly.push(killed);
  }
  return { possibly, certainly };
}

/** While a replica is told to get its WAL in another way, and told back, none may arrive for a moment. */
function refeedings({ fault, possibly, certainly, healing }: FaultWindow, name: string): Interval[] {
  if (fault.kind !== "replica-fed" || fault.node !== name) return [];
  const told = { from: possibly.from, to: certainly?.from ?? possibly.to };
  return healing === undefined ? [told] : [told, healing];
}

function primaryKills({ faults, primary }: Pick<Context, "faults" | "primary">): readonly FaultWindow[] {
  return faults.filter(
    ({ fault }) => (fault.kind === "node-killed" || fault.kind === "node-frozen") && fault.node === primary,
  );
}

/** When this fault might keep data from `name`. */
function halts(
  { fault, possibly, healing, certainly }: FaultWindow,
  name: string,
  context: Context,
): Interval | undefined {
  switch (fault.kind) {
    case "link-down":
    case "link-black-hole":
    case "link-reset":
    case "link-syn-black-hole":
    case "link-bandwidth":
      return fault.link === `replication:${name}` ? possibly : undefined;
    case "link-latency":
      return fault.link === `replication:${name}` && delaysBeyondReturn(fault, context.policy)
        ? possibly
        : undefined;
    case "replay-paused":
    case "replica-promoted":
      return fault.node === name ? possibly : undefined;
    case "node-killed":
    case "node-frozen":
      if (fault.node === name) return possibly;
      if (fault.node !== context.primary) return undefined;
      // While it stands still nothing is written; when it comes back, it writes before everybody has reconnected.
      return certainly === undefined ? possibly : healing;
    case "postmaster-frozen":
    case "recovery-conflict":
    case "server-full":
    case "statements-slow":
    case "table-altered":
    case "replica-fed":
    case "write-transaction-open":
    case "wal-at-page-boundary":
    case "wal-switched":
    case "checkpointed":
      return undefined;
  }
}

/** Nothing new arrives, or nothing that has arrived is shown. */
const CERTAIN_HALTS: ReadonlySet<FaultKind> = new Set([
  "link-down",
  "link-black-hole",
  "link-reset",
  "link-syn-black-hole",
  "replay-paused",
  "replica-promoted",
]);

function isCertainHalt(fault: Fault, { policy, slackMs }: Pick<Context, "policy" | "slackMs">): boolean {
  if (fault.kind !== "link-latency") return CERTAIN_HALTS.has(fault.kind);
  // Data that are always later than the budget are as good as none.
  const { staleMs } = budgets(policy);
  return fault.direction !== "upstream" && staleMs !== "off" && fault.latencyMs >= staleMs + slackMs;
}

/** How much of a latency its observation has seen, at least. */
const SEEN_SHARE = 0.8;

/** Who has seen that data come late has seen that none written since then can have come before. */
function haltedFrom(fault: Fault, observedAt: number): number {
  return fault.kind === "link-latency" ? observedAt - SEEN_SHARE * fault.latencyMs : observedAt;
}

/** Late data are no objection as long as the replica would even be readmitted with them. */
function delaysBeyondReturn(
  fault: Extract<Fault, { kind: "link-latency" }>,
  { readmitLagThresholdMs, healthCheck }: RouterConfig,
): boolean {
  if (fault.direction === "upstream" || readmitLagThresholdMs === "off") return false;
  return fault.latencyMs + lagFloorMs(healthCheck) > readmitLagThresholdMs;
}

/** Lags from the first acknowledged commit that it cannot have; out of budget, with the primary there to measure by. */
function laggingBeyondBudget(
  { policy, commits, slackMs, claims }: Context,
  halted: IntervalSet,
  primary: NodeTruth,
): IntervalSet {
  const { staleMs } = budgets(policy);
  if (staleMs === "off" || claims?.includes("lag-limit") === false) return [];
  const lagging = union(
    halted.map(({ from, to }) => ({ from: firstAcknowledged(commits, from) + staleMs + slackMs, to })),
  );
  return difference(lagging, extended(primary.possiblyUnreachable, staleMs + slackMs));
}

/**
 * Each illness until the router must have its reads there again. Who falls ill again soon after a return is kept
 * out for longer, doubling each time.
 */
function untilReturned({ policy, slackMs }: Context, ill: readonly Interval[]): Interval[] {
  const { returnMs, downMs, staleMs } = budgets(policy);
  const { intervalMs, rise } = policy.healthCheck;
  const backMs = returnMs + probeMs(policy) + slackMs;
  const detectionMs = Math.max(downMs, staleMs === "off" ? 0 : staleMs) + slackMs;
  const steadyMs = policy.slowStartMs + 10 * rise * intervalMs + detectionMs;
  let relapses = 0;
  let calmAt = -Infinity;
  return [...ill]
    .sort((a, b) => a.from - b.from)
    .map(({ from, to }) => {
      relapses = from < calmAt ? relapses + 1 : 0;
      const backOffMs = relapses === 0 ? 0 : rise * intervalMs * 2 ** relapses;
      const until = to + backMs + backOffMs;
      calmAt = Math.max(calmAt, until + steadyMs);
      return { from, to: until };
    });
}

function everyOneOf(sets: readonly IntervalSet[]): IntervalSet {
  const [first, ...others] = sets;
  return first === undefined ? [] : others.reduce(intersection, first);
}

/** Acknowledged commits in the order they were begun, each with the earliest acknowledgement from there on. */
interface Commits {
  readonly begunAt: readonly number[];
  readonly acknowledgedAt: readonly number[];
}

function acknowledgedCommits(
  { history, primary, policy }: TruthInput,
  faults: readonly FaultWindow[],
): Commits {
  const { stallMs, downMs } = budgets(policy);
  const pairs: { readonly begunAt: number; readonly acknowledgedAt: number }[] = [];
  if (faults.some(({ fault }) => isCertainHalt(fault, { policy, slackMs: stallMs - downMs }))) {
    forEachOperation(history, (invoke, completion) => {
      if (isCommit(primary, invoke, completion))
        pairs.push({ begunAt: invoke.at, acknowledgedAt: completion.at });
    });
  }
  pairs.sort((a, b) => a.begunAt - b.begunAt);
  const acknowledgedAt = pairs.map((pair) => pair.acknowledgedAt);
  for (let i = pairs.length - 2; i >= 0; i--) {
    acknowledgedAt[i] = Math.min(acknowledgedAt[i] as number, acknowledgedAt[i + 1] as number);
  }
  return { begunAt: pairs.map((pair) => pair.begunAt), acknowledgedAt };
}

/** A write counts only when its own row says that the primary took it. */
function isCommit(
  primary: string,
  invoke: Invoke,
  completion: Completion | undefined,
): completion is Completion {
  if (completion?.type !== "ok") return false;
  return invoke.f === "heartbeat" || (invoke.f === "write" && completion.evidence?.[0]?.node === primary);
}

/** When the first commit that was begun after `at` was acknowledged; never, if none was. */
function firstAcknowledged({ begunAt, acknowledgedAt }: Commits, at: number): number {
  let low = 0;
  let high = begunAt.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((begunAt[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return acknowledgedAt[low] ?? Infinity;
}
