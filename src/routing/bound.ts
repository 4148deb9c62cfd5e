/** How old the data on a replica may be, at most, by what the view knows. */
import { coveredAt } from "./lag.ts";
import type { ClusterView, ReplicaState } from "./model.ts";

/**
 * The replica's lag bound in milliseconds at `now`; `undefined` when nothing bounds it.
 * While the primary gives no sample the bound stands still, and grows only as far as its peers run ahead of it.
 */
export function lagBoundMs(view: ClusterView, replica: ReplicaState, now: number): number | undefined {
  if (replica.sample?.role !== "replica") return undefined;
  const behindPeers = isPrimaryUnknown(view, now) ? behindPeersMs(view, replica) : 0;
  if (replica.coveredAt === undefined) {
    // With nothing of the primary's to go by, the peers are all there is to judge by.
    return view.primary.standing.kind === "down" ? behindPeers : undefined;
  }
  return Math.max(0, knownUntil(view, now) - replica.coveredAt, behindPeers ?? 0);
}

/**
 * The bound that a serving replica is held to. When the primary has just come back it still stands where it stood
 * meanwhile, until {@link thawsAt}: by its last sample before, every replica would be as late as the primary was away.
 */
export function heldBoundMs(view: ClusterView, replica: ReplicaState, now: number): number | undefined {
  const { resumed } = view.primary;
  const { coveredAt: covered } = replica;
  if (resumed === undefined || covered === undefined || covered >= resumed.at || now > thawsAt(view)) {
    return lagBoundMs(view, replica, now);
  }
  return Math.max(0, resumed.knownUntil - covered, behindPeersMs(view, replica) ?? 0);
}

/** Until when a replica may be seen at the position of a primary that has come back: one probe, wherever it began. */
export function thawsAt(view: ClusterView): number {
  const { intervalMs, timeoutMs } = view.config.healthCheck;
  const { resumed } = view.primary;
  return resumed === undefined ? Number.NEGATIVE_INFINITY : resumed.at + intervalMs + timeoutMs;
}

/** The primary has not answered when it should have: bounds are frozen. */
export function isPrimaryUnknown(view: ClusterView, now: number): boolean {
  const { intervalMs, timeoutMs } = view.config.healthCheck;
  return view.primary.standing.kind !== "up" || now > view.primary.sampledAt + intervalMs + timeoutMs;
}

/** Until when the primary's position is known: now, or when its next answer was due. */
export function knownUntil(view: ClusterView, now: number): number {
  return Math.min(now, answerDueAt(view));
}

/**
 * When the bounds stop growing for want of the primary's next answer. A probe may take its whole timeout, and the bound grows
 * meanwhile; but only as far as a replica that is well (at most two intervals late by then) stays below the threshold.
 */
export function answerDueAt({ config, primary }: ClusterView): number {
  const { intervalMs, timeoutMs } = config.healthCheck;
  const threshold = config.replicaLagThresholdMs;
  const room = threshold === "off" ? timeoutMs : threshold - 3 * intervalMs;
  return primary.sampledAt + intervalMs + Math.max(0, Math.min(timeoutMs, room));
}

function behindPeersMs(view: ClusterView, replica: ReplicaState): number | undefined {
  const ring = view.peerRing;
  const first = ring?.entries[0];
  const last = ring?.entries.at(-1);
  if (ring === undefined || first === undefined || last === undefined) return undefined;
  const sample = replica.sample;
  if (sample?.role !== "replica" || sample.replay === undefined || sample.timeline !== ring.timeline) {
    return undefined;
  }
  return last.at - (coveredAt(ring, sample.replay) ?? first.at);
}
