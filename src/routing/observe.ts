/**
 * The state machine of health, lag, eviction and return: (view, event) → next view and what changed.
 * First the event is taken down as a fact, then every replica's standing is judged anew, then who serves follows.
 */
import type { RouterConfig } from "../config/config.ts";
import { answerDueAt, isPrimaryUnknown, knownUntil, lagBoundMs, thawsAt } from "./bound.ts";
import { servingCandidates } from "./eligible.ts";
import { coveredAt, withPrimarySample } from "./lag.ts";
import type { LagRing } from "./lag.ts";
import type { Change, ClusterView, PrimaryState, ReplicaState, ViewEvent } from "./model.ts";
import type { NodeSample, ReplicaSample } from "./sample.ts";
import { emptySelection, nextEpoch, sameCandidates } from "./select.ts";
import { nextStanding } from "./standing.ts";

export interface Observation {
  readonly view: ClusterView;
  readonly changes: readonly Change[];
}

/** The view before anything has been seen. `phase` is drawn per process (see `Selection.phase`). */
export function initialView(config: RouterConfig, at: number, phase: number): ClusterView {
  return {
    config,
    primary: {
      name: config.primary.name,
      standing: { kind: "joining", since: at },
      consecutiveFailed: 0,
      suspect: false,
      sample: undefined,
      sampledAt: at,
      stillSince: at,
      resumed: undefined,
    },
    replicas: config.replicas.map((node) => newReplica(node, at, { ramp: false })),
    ring: undefined,
    peerRing: undefined,
    selection: emptySelection(phase),
    fallback: false,
    nextChangeAt: Number.POSITIVE_INFINITY,
    nudgeDue: false,
    nudgedAt: Number.NEGATIVE_INFINITY,
  };
}

function newReplica(
  node: { readonly name: string; readonly weight: number },
  at: number,
  { ramp }: { readonly ramp: boolean },
): ReplicaState {
  return {
    name: node.name,
    weight: node.weight,
    standing: { kind: "joining", since: at, ramp },
    drained: false,
    consecutive: { failed: 0, passed: 0 },
    suspect: false,
    sample: undefined,
    sampledAt: at,
    answeredAt: at,
    coveredAt: undefined,
    furthest: undefined,
    gapSince: undefined,
    flaps: 0,
  };
}

/** The next view. Pure: the same view and event always give the same result. */
export function observe(view: ClusterView, event: ViewEvent): Observation {
  const noted = note(view, event);
  const changes: Change[] = event.kind === "time-jumped" ? [{ kind: "time-jumped" }] : [];
  changes.push(...primaryChanges(view.primary, noted.primary));
  const replicas = noted.replicas.map((replica) => {
    const judged = nextStanding(
      noted,
      replica,
      event.at,
      event.kind === "sampled" && event.node === replica.name,
    );
    changes.push(...judged.changes);
    return judged.replica;
  });
  const next = withServing({ ...noted, replicas }, event.at, changes);
  return {
    view: { ...next, nextChangeAt: nextChangeAt(next, event.at), nudgeDue: isNudgeDue(next, event.at) },
    changes,
  };
}

function note(view: ClusterView, event: ViewEvent): ClusterView {
  switch (event.kind) {
    case "sampled":
      return event.node === view.primary.name
        ? notePrimarySample(view, event)
        : noteReplicaSample(view, event);
    case "probe-failed":
      return event.node === view.primary.name
        ? { ...view, primary: notePrimaryFailure(view, event.at) }
        : withReplica(view, event.node, (replica) => ({
            ...replica,
            consecutive: { failed: replica.consecutive.failed + 1, passed: 0 },
          }));
    case "suspected":
      return event.node === view.primary.name
        ? { ...view, primary: { ...view.primary, suspect: true } }
        : withReplica(view, event.node, (replica) => ({ ...replica, suspect: true }));
    case "drained":
    case "undrained":
      return withReplica(view, event.node, (replica) => ({ ...replica, drained: event.kind === "drained" }));
    case "reconfigured":
      return reconfigured(view, event.config, event.at);
    case "time-jumped":
      return withoutMeasurements(view, event.at);
    case "nudged":
      return { ...view, nudgedAt: event.at };
    case "tick":
      return view;
  }
}

interface Sampled {
  readonly node: string;
  readonly sentAt: number;
  readonly at: number;
  readonly sample: NodeSample;
}

function notePrimarySample(view: ClusterView, { sample, sentAt, at }: Sampled): ClusterView {
  const before = view.primary;
  if (sentAt < before.sampledAt) return view;
  if (sample.role === "replica") {
    const since = before.standing.kind === "down" ? before.standing.since : at;
    return {
      ...view,
      primary: {
        ...before,
        consecutiveFailed: 0,
        suspect: false,
        standing: { kind: "down", since, reason: "wrong-role" },
      },
    };
  }
  const stoodStill = before.sample?.insert === sample.insert;
  const ring = withPrimarySample(view.ring, sample, sentAt, { keepMs: ringKeepMs(view.config) });
  const primary: PrimaryState = {
    ...before,
    consecutiveFailed: 0,
    suspect: false,
    sample,
    sampledAt: sentAt,
    stillSince: stoodStill ? before.stillSince : sentAt,
    resumed:
      before.sample !== undefined && isPrimaryUnknown(view, at)
        ? { at: sentAt, knownUntil: knownUntil(view, at) }
        : before.resumed,
    standing: before.standing.kind === "up" ? before.standing : { kind: "up", since: at },
  };
  // Until the primary says which cluster this is, another one may have answered: that past counts for nothing.
  const isFirst = before.sample?.systemId !== sample.systemId;
  const replicas = view.replicas.map((replica) => ({
    ...replica,
    coveredAt: coverage(ring, replica),
    furthest: isFirst && replica.sample?.systemId !== sample.systemId ? undefined : replica.furthest,
  }));
  return { ...view, primary, ring, replicas };
}

function notePrimaryFailure(view: ClusterView, at: number): PrimaryState {
  const { primary } = view;
  const consecutiveFailed = primary.consecutiveFailed + 1;
  const isDown = consecutiveFailed >= view.config.healthCheck.fall && primary.standing.kind !== "down";
  return {
    ...primary,
    consecutiveFailed,
    standing: isDown ? { kind: "down", since: at, reason: "unreachable" } : primary.standing,
  };
}

function noteReplicaSample(view: ClusterView, { node, sample, sentAt, at }: Sampled): ClusterView {
  const known = view.replicas.find((replica) => replica.name === node);
  // Sent before our own clock jumped, or before the name stood for this server.
  if (known === undefined || sentAt < known.sampledAt) return view;
  const noted = withReplica(view, node, (replica) => {
    const next: ReplicaState = {
      ...replica,
      suspect: false,
      consecutive: { ...replica.consecutive, failed: 0 },
      sample,
      sampledAt: sentAt,
      answeredAt: at,
    };
    if (sample.role === "primary") return { ...next, coveredAt: undefined, gapSince: undefined };
    const wentBack = isBefore(sample, replica.sample);
    return {
      ...next,
      coveredAt: coverage(view.ring, wentBack ? { ...next, coveredAt: undefined } : next),
      furthest: furthest(view, replica, sample),
      gapSince: gapSince(view, replica, sample, sentAt),
    };
  });
  if (sample.role === "primary" || isForeign(view, sample)) return noted;
  return { ...noted, peerRing: withPeer(view, sample, sentAt) };
}

/** Monotonic while the replica itself goes forward: what has once been replayed stays replayed. */
function coverage(ring: LagRing | undefined, replica: ReplicaState): number | undefined {
  const { sample } = replica;
  if (ring === undefined || sample?.role !== "replica" || sample.replay === undefined)
    return replica.coveredAt;
  // The primary has not been seen on that timeline: positions of two histories cannot be compared.
  if (sample.timeline > ring.timeline) return replica.coveredAt;
  // A replica that certainly still is on an older timeline says nothing about the new one.
  if (sample.timeline < ring.timeline && sample.walReceiver !== "hidden") return replica.coveredAt;
  const now = coveredAt(ring, sample.replay);
  if (now === undefined || replica.coveredAt === undefined) return now ?? replica.coveredAt;
  return Math.max(now, replica.coveredAt);
}

function isBefore(sample: ReplicaSample, previous: NodeSample | undefined): boolean {
  if (previous?.role !== "replica" || previous.replay === undefined) return false;
  return sample.replay === undefined || sample.replay < previous.replay;
}

function furthest(view: ClusterView, replica: ReplicaState, sample: ReplicaSample): ReplicaState["furthest"] {
  const before = replica.furthest;
  // Another cluster that answered in its place says nothing about how far this replica has been.
  if (sample.replay === undefined || isForeign(view, sample)) return before;
  // Across a switch the return gate starts anew: positions of two timelines cannot be compared.
  if (before !== undefined && before.timeline === sample.timeline && before.replay >= sample.replay)
    return before;
  return { timeline: sample.timeline, replay: sample.replay };
}

function isForeign(view: ClusterView, sample: ReplicaSample): boolean {
  return view.primary.sample !== undefined && view.primary.sample.systemId !== sample.systemId;
}

function gapSince(
  view: ClusterView,
  replica: ReplicaState,
  sample: ReplicaSample,
  sentAt: number,
): number | undefined {
  const insert = view.primary.sample?.insert;
  if (insert === undefined || sample.replay === undefined || sample.replay >= insert) return undefined;
  const stoodStill = replica.sample?.role === "replica" && replica.sample.replay === sample.replay;
  return stoodStill ? (replica.gapSince ?? sentAt) : sentAt;
}

function withPeer(view: ClusterView, sample: ReplicaSample, sentAt: number): LagRing | undefined {
  const ring = view.peerRing;
  if (sample.replay === undefined) return ring;
  const last = ring?.timeline === sample.timeline ? ring.entries.at(-1) : undefined;
  if (last !== undefined && sample.replay < last.insert) return ring;
  const leading = {
    role: "primary" as const,
    systemId: sample.systemId,
    timeline: sample.timeline,
    serverVersionNum: sample.serverVersionNum,
    insert: sample.replay,
    flush: sample.replay,
    walWriterDelayMs: 0,
  };
  if (ring !== undefined && sample.timeline < ring.timeline) return ring;
  return withPrimarySample(ring, leading, sentAt, { keepMs: ringKeepMs(view.config) });
}

function ringKeepMs(config: RouterConfig): number {
  const { replicaLagThresholdMs: threshold, healthCheck } = config;
  const floor = 10 * (healthCheck.intervalMs + healthCheck.timeoutMs);
  return threshold === "off" ? floor : Math.max(floor, 2 * threshold);
}

function withReplica(
  view: ClusterView,
  name: string,
  change: (replica: ReplicaState) => ReplicaState,
): ClusterView {
  return {
    ...view,
    replicas: view.replicas.map((replica) => (replica.name === name ? change(replica) : replica)),
  };
}

function withoutMeasurements(view: ClusterView, at: number): ClusterView {
  return {
    ...view,
    ring: undefined,
    peerRing: undefined,
    primary: { ...view.primary, consecutiveFailed: 0, sampledAt: at, stillSince: at, resumed: undefined },
    replicas: view.replicas.map((replica) => ({
      ...replica,
      consecutive: { failed: 0, passed: 0 },
      sample: undefined,
      sampledAt: at,
      answeredAt: at,
      coveredAt: undefined,
      gapSince: undefined,
    })),
  };
}

/** Nodes are matched by name; one that now names another server joins anew. */
function reconfigured(view: ClusterView, config: RouterConfig, at: number): ClusterView {
  const samePrimary = sameServer(view.config.primary, config.primary);
  const fresh = initialView(config, at, view.selection.phase);
  return {
    ...view,
    config,
    primary: samePrimary ? view.primary : fresh.primary,
    ring: samePrimary ? view.ring : undefined,
    replicas: config.replicas.map((node) => {
      const before = view.replicas.find((replica) => replica.name === node.name);
      const nodeBefore = view.config.replicas.find((replica) => replica.name === node.name);
      if (before === undefined || nodeBefore === undefined || !sameServer(nodeBefore, node)) {
        return newReplica(node, at, { ramp: true });
      }
      return { ...before, weight: node.weight };
    }),
  };
}

function sameServer(
  a: { readonly host: string; readonly port: number },
  b: { readonly host: string; readonly port: number },
): boolean {
  return a.host === b.host && a.port === b.port;
}

function primaryChanges(before: PrimaryState, after: PrimaryState): Change[] {
  const was = before.standing.kind;
  const is = after.standing;
  if (is.kind === "up" && was !== "up") return [{ kind: "primary-up", node: after.name }];
  if (is.kind === "down" && was !== "down") {
    return [{ kind: "primary-down", node: after.name, reason: is.reason }];
  }
  return [];
}

function withServing(view: ClusterView, at: number, changes: Change[]): ClusterView {
  const candidates = servingCandidates(view, at);
  const changed = !sameCandidates(view.selection.candidates, candidates);
  const selection = changed ? nextEpoch(view.selection, candidates) : view.selection;
  if (changed) {
    const weights = Object.fromEntries(candidates.map(({ name, weight }) => [name, weight]));
    changes.push({ kind: "epoch", epoch: selection.epoch, weights });
  }
  const fallback = isFallback(view, candidates.length > 0);
  if (fallback && !view.fallback) changes.push({ kind: "fallback-started" });
  if (!fallback && view.fallback) changes.push({ kind: "fallback-ended" });
  return { ...view, selection, fallback };
}

/** Until every replica has been seen once, an empty set only means that the router is still starting. */
function isFallback(view: ClusterView, someServe: boolean): boolean {
  if (someServe || view.replicas.length === 0) return false;
  if (view.fallback) return true;
  // A replica that is merely unproven (our own clock jumped) is about to be sampled again: no transition.
  return view.replicas.every(({ standing }) => standing.kind === "evicted" || standing.kind === "draining");
}

function nextChangeAt(view: ClusterView, now: number): number {
  let next = Number.POSITIVE_INFINITY;
  const threshold = view.config.replicaLagThresholdMs;
  const known = answerDueAt(view);
  const thaw = thawsAt(view) + 1;
  for (const { standing, coveredAt: covered } of view.replicas) {
    if (standing.kind !== "eligible" && standing.kind !== "probation") continue;
    if (threshold !== "off" && covered !== undefined) {
      // Just above the limit: a bound equal to the threshold is still legal.
      const expires = covered + threshold + 1;
      if (expires <= known && expires > now) next = Math.min(next, expires);
      // What stood still while the primary was away counts in full just after that.
      if (thaw > now) next = Math.min(next, thaw);
    }
    if (standing.kind === "probation") {
      const stepMs = view.config.slowStartMs / 10;
      next = Math.min(next, standing.since + stepMs * standing.step);
    }
  }
  return next;
}

/** At most one an interval for replicas that serve or want to; far fewer for one that has been evicted. */
function isNudgeDue(view: ClusterView, now: number): boolean {
  const { lagNudge, replicaLagThresholdMs, healthCheck } = view.config;
  if (!lagNudge || replicaLagThresholdMs === "off" || isPrimaryUnknown(view, now)) return false;
  return view.replicas.some((replica) => {
    const { standing, sample } = replica;
    if (!isStuck(view, replica, now) && !awaitsFlush(view, replica, now)) return false;
    if (sample?.role === "replica" && sample.replayPaused) return false;
    // What keeps an evicted replica away for another reason cannot be proved away.
    if (standing.kind === "evicted" && standing.reason !== "lagging") return false;
    const everyMs = standing.kind === "evicted" ? 10 * healthCheck.intervalMs : healthCheck.intervalMs;
    return standing.kind !== "draining" && now - view.nudgedAt >= everyMs;
  });
}

/** Primary and replica have stood still for an interval, with a gap between them. */
function isStuck(view: ClusterView, { gapSince: since }: ReplicaState, now: number): boolean {
  const { intervalMs } = view.config.healthCheck;
  if (since === undefined || now - since < intervalMs) return false;
  return knownUntil(view, now) - view.primary.stillSince >= intervalMs;
}

/**
 * It has replayed all that the primary had flushed. What was written since without a commit (hint bits, vacuum, asynchronous
 * commits) cannot come before it is flushed, which alone may take 3 × `wal_writer_delay`.
 */
function awaitsFlush(view: ClusterView, replica: ReplicaState, now: number): boolean {
  const primary = view.primary.sample;
  const { sample } = replica;
  if (primary === undefined || sample?.role !== "replica" || sample.replay === undefined) return false;
  if (sample.replay < primary.flush || sample.replay >= primary.insert) return false;
  const bound = lagBoundMs(view, replica, now);
  return bound !== undefined && bound > 2 * view.config.healthCheck.intervalMs;
}
