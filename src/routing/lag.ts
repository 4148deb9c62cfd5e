/**
 * Lag is a bound, not a guess. The ring keeps (time, primary position); a replica that has replayed up to an entry
 * is at most as stale as that entry is old, by the router's own clock. No clock of a server is read, an idle
 * primary makes no lag, and the bound grows by itself while a probe is missing.
 */
import type { Lsn } from "./lsn.ts";
import type { PrimarySample } from "./sample.ts";

interface RingEntry {
  /** When the probe was sent, in ms of the router's clock. */
  readonly at: number;
  /** Replay at or past this covers every commit acknowledged before `at`. */
  readonly insert: Lsn;
  /** Replay at or past this covers every commit acknowledged before `flushAt`. */
  readonly flush: Lsn;
  readonly flushAt: number;
}

/** Positions of one primary on one timeline, oldest first. */
export interface LagRing {
  readonly systemId: string;
  readonly timeline: number;
  readonly entries: readonly RingEntry[];
}

/** Enough entries for the threshold at one a probe interval; beyond it a replica is `lagging` anyway. */
export interface RingCapacity {
  readonly keepMs: number;
}

/**
 * Adds what a probe of the primary, sent at `sentAt`, found. Another system or timeline starts a new ring:
 * positions of two histories cannot be compared.
 */
export function withPrimarySample(
  ring: LagRing | undefined,
  sample: PrimarySample,
  sentAt: number,
  capacity: RingCapacity,
): LagRing {
  const entry: RingEntry = {
    at: sentAt,
    insert: sample.insert,
    flush: sample.flush,
    flushAt: sentAt - 3 * sample.walWriterDelayMs,
  };
  const same = ring !== undefined && ring.systemId === sample.systemId && ring.timeline === sample.timeline;
  const kept = same ? compact(ring.entries, sentAt - capacity.keepMs) : [];
  const last = kept.at(-1);
  // Equal positions keep the newest time: nothing has been written in between.
  const standsStill = last !== undefined && last.insert === entry.insert && last.flush === entry.flush;
  const entries = standsStill ? [...kept.slice(0, -1), entry] : [...kept, entry];
  return { systemId: sample.systemId, timeline: sample.timeline, entries: thinned(entries) };
}

/**
 * A long threshold needs no fine ring: above the limit every other entry of the older half goes. A replica then counts as
 * covered by an older entry, so its bound stays a bound.
 */
function thinned(entries: readonly RingEntry[]): readonly RingEntry[] {
  if (entries.length <= MAX_ENTRIES) return entries;
  const half = Math.floor(entries.length / 2);
  return entries.filter((_entry, i) => i >= half || i % 2 === 0);
}

const MAX_ENTRIES = 1024;

function compact(entries: readonly RingEntry[], oldest: number): readonly RingEntry[] {
  // One entry older than the horizon stays: it tells `lagging` from `unknown`.
  const firstKept = entries.findIndex((entry) => entry.at >= oldest);
  if (firstKept === -1) return entries.slice(-1);
  return entries.slice(Math.max(0, firstKept - 1));
}

/**
 * The newest time such that everything acknowledged before it has been replayed at `replay`;
 * `undefined` when the ring does not reach back that far.
 */
export function coveredAt(ring: LagRing, replay: Lsn): number | undefined {
  let newest: number | undefined;
  for (const entry of ring.entries) {
    if (replay >= entry.insert) newest = Math.max(newest ?? entry.at, entry.at);
    else if (replay >= entry.flush) newest = Math.max(newest ?? entry.flushAt, entry.flushAt);
  }
  return newest;
}
