/** What, if anything, speaks against a replica serving reads now. */
import { heldBoundMs, lagBoundMs } from "./bound.ts";
import { formatLsn } from "./lsn.ts";
import type { ClusterView, EvictionReason, ReplicaState } from "./model.ts";

export interface Objection {
  readonly reason: EvictionReason;
  /** What it was judged on, in words: the value and the limit. */
  readonly basis: string;
}

/** Which lag limit applies: a serving replica leaves above one, an evicted one returns only below the other. */
export type LagLimit = "threshold" | "readmit";

export function objectionTo(
  view: ClusterView,
  replica: ReplicaState,
  limit: LagLimit,
  now: number,
): Objection | undefined {
  const { fall } = view.config.healthCheck;
  if (replica.consecutive.failed >= fall) {
    return {
      reason: "unreachable",
      basis: `${replica.consecutive.failed} probes in a row failed (fall ${fall})`,
    };
  }
  return (
    wrongNode(view, replica, limit) ??
    behindItself(replica) ??
    (view.config.replicaLagThresholdMs === "off" ? undefined : lagging(view, replica, limit, now))
  );
}

function wrongNode(view: ClusterView, replica: ReplicaState, limit: LagLimit): Objection | undefined {
  const { sample } = replica;
  if (sample === undefined) return undefined;
  if (sample.role === "primary") return { reason: "wrong-role", basis: "it is not in recovery" };
  const primary = view.primary.sample;
  if (primary === undefined) return undefined;
  if (sample.systemId !== primary.systemId) {
    return {
      reason: "wrong-system",
      basis: `its system identifier is ${sample.systemId}, the primary's ${primary.systemId}`,
    };
  }
  // A primary that was sampled earlier may have moved on to that timeline since: no ground to evict, none to readmit.
  const isCurrent = limit === "readmit" || view.primary.sampledAt >= replica.answeredAt;
  if (sample.timeline > primary.timeline && isCurrent) {
    return {
      reason: "wrong-timeline",
      basis: `it is on timeline ${sample.timeline}, the primary on ${primary.timeline}`,
    };
  }
  return undefined;
}

function behindItself({ sample, furthest }: ReplicaState): Objection | undefined {
  if (sample?.role !== "replica" || furthest === undefined || sample.timeline !== furthest.timeline) {
    return undefined;
  }
  if (sample.replay !== undefined && sample.replay >= furthest.replay) return undefined;
  const at = sample.replay === undefined ? "nowhere" : formatLsn(sample.replay);
  return { reason: "behind", basis: `replay is at ${at}, it has been at ${formatLsn(furthest.replay)}` };
}

function lagging(
  view: ClusterView,
  replica: ReplicaState,
  limit: LagLimit,
  now: number,
): Objection | undefined {
  const { sample } = replica;
  if (sample?.role !== "replica") return undefined;
  if (sample.replayPaused) return { reason: "replay-paused", basis: "WAL replay is paused" };
  if (sample.replay === undefined) return { reason: "unknown-lag", basis: "it reports no replay position" };
  const limitMs = lagLimitMs(view, limit);
  const bound = limit === "threshold" ? heldBoundMs(view, replica, now) : lagBoundMs(view, replica, now);
  if (bound !== undefined) {
    if (bound <= limitMs) return undefined;
    return { reason: "lagging", basis: `lag bound ${Math.ceil(bound)} ms above ${limitMs} ms` };
  }
  const oldest = view.ring?.entries[0];
  // While the primary is away nothing can be reached that is newer than what the peers have.
  if (oldest !== undefined && view.primary.standing.kind === "up" && now - oldest.at > limitMs) {
    return {
      reason: "lagging",
      basis: `it has not reached where the primary was ${Math.ceil(now - oldest.at)} ms ago`,
    };
  }
  return undefined;
}

export function lagLimitMs(view: ClusterView, limit: LagLimit): number {
  const { replicaLagThresholdMs, readmitLagThresholdMs } = view.config;
  const value = limit === "threshold" ? replicaLagThresholdMs : readmitLagThresholdMs;
  return value === "off" ? Number.POSITIVE_INFINITY : value;
}
