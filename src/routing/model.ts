/**
 * What the router believes of the cluster. Everything here is plain, immutable data: `observe` makes the next
 * view out of the last one and an event, `decide` reads it. The cluster itself is the truth; the view is a belief.
 */
import type { RouterConfig } from "../config/config.ts";
import type { LagRing } from "./lag.ts";
import type { Lsn } from "./lsn.ts";
import type { NodeSample, PrimarySample } from "./sample.ts";
import type { Selection } from "./select.ts";

/** Why a replica may not serve reads. */
export type EvictionReason =
  /** Its probes fail. */
  | "unreachable"
  /** Its lag bound is above `replicaLagThreshold`. */
  | "lagging"
  /** Its lag cannot be bounded: unknown is never zero. */
  | "unknown-lag"
  | "replay-paused"
  /** It came back at an earlier position than where it has been seen before. */
  | "behind"
  /** It is no longer in recovery: promoted, or never a standby. */
  | "wrong-role"
  /** Its timeline is neither the primary's nor an ancestor of it that it may still be leaving. */
  | "wrong-timeline"
  /** It belongs to another cluster. */
  | "wrong-system";

/** A replica's standing: whether, and how much of, the reads go to it. */
export type Standing =
  /** Configured, but not yet seen well. */
  | { readonly kind: "joining"; readonly since: number; readonly ramp: boolean }
  | { readonly kind: "eligible"; readonly since: number }
  /** Back, with a share that grows in steps. `step` counts from 1 to {@link RAMP_STEPS} − 1. */
  | { readonly kind: "probation"; readonly since: number; readonly step: number }
  | {
      readonly kind: "evicted";
      readonly reason: EvictionReason;
      readonly since: number;
      /** Not readmitted before this time: grows exponentially while a replica flaps. */
      readonly notBefore: number;
    }
  /** Taken out by its operator: weight 0 or `drain()`. */
  | { readonly kind: "draining"; readonly since: number };

/** A returning replica's share rises in this many steps, each an epoch of its own. */
export const RAMP_STEPS = 10;

export interface ReplicaState {
  readonly name: string;
  readonly weight: number;
  readonly standing: Standing;
  /** Drained at run time, beside a weight of 0 in the configuration. */
  readonly drained: boolean;
  /** Probes in a row that failed; and that found the replica fit to return. */
  readonly consecutive: { readonly failed: number; readonly passed: number };
  /** Traffic lost a connection and no probe has answered since. */
  readonly suspect: boolean;
  /** What the last probe found, which may be a primary. */
  readonly sample: NodeSample | undefined;
  /** When the probe that gave {@link sample} was sent, and when it answered. */
  readonly sampledAt: number;
  readonly answeredAt: number;
  /** Everything acknowledged before this time has been replayed; `undefined` = not measurable. */
  readonly coveredAt: number | undefined;
  /** The furthest position it has been seen at, and the timeline that was on. */
  readonly furthest: { readonly timeline: number; readonly replay: Lsn } | undefined;
  /** Since when replay has stood still below the primary's position. */
  readonly gapSince: number | undefined;
  /** Evictions that followed soon after a return: the exponent of the back-off. */
  readonly flaps: number;
}

export interface PrimaryState {
  readonly name: string;
  readonly standing:
    | { readonly kind: "joining"; readonly since: number }
    | { readonly kind: "up"; readonly since: number }
    | { readonly kind: "down"; readonly since: number; readonly reason: "unreachable" | "wrong-role" };
  readonly consecutiveFailed: number;
  readonly suspect: boolean;
  readonly sample: PrimarySample | undefined;
  readonly sampledAt: number;
  /** Since when the insert position has stood still. */
  readonly stillSince: number;
  /** The last time that it answered again after it had been unknown; `undefined` when it never was. */
  readonly resumed: Resumption | undefined;
}

/** Replicas have not been held against what the primary says now; see `heldBoundMs`. */
export interface Resumption {
  /** When the first probe that was answered again was sent. */
  readonly at: number;
  /** Until when bounds had been known before: where they have stood since. */
  readonly knownUntil: number;
}

export interface ClusterView {
  readonly config: RouterConfig;
  readonly primary: PrimaryState;
  readonly replicas: readonly ReplicaState[];
  /** The primary's positions; `undefined` until it has been sampled, and after our own clock jumped. */
  readonly ring: LagRing | undefined;
  /** The furthest replica's positions while the primary cannot be asked: who falls behind its peers is seen here. */
  readonly peerRing: LagRing | undefined;
  /** The replicas that serve, and how the next read is chosen among them. */
  readonly selection: Selection;
  /** Reads go to the primary because no replica may serve. `false` while replicas are still joining at the start. */
  readonly fallback: boolean;
  /** The time at which time alone will change something: hand a `tick` to `observe` then. */
  readonly nextChangeAt: number;
  /** A replica cannot be proved fresh because the idle primary's last record is incomplete: see `lagNudge`. */
  readonly nudgeDue: boolean;
  readonly nudgedAt: number;
}

/** Something that happened; `at` is in ms of the router's clock. */
export type ViewEvent =
  | {
      readonly kind: "sampled";
      readonly node: string;
      readonly sentAt: number;
      readonly at: number;
      readonly sample: NodeSample;
    }
  | { readonly kind: "probe-failed"; readonly node: string; readonly at: number }
  /** Traffic lost a connection, or found the node in another role. */
  | { readonly kind: "suspected"; readonly node: string; readonly at: number }
  | { readonly kind: "drained"; readonly node: string; readonly at: number }
  | { readonly kind: "undrained"; readonly node: string; readonly at: number }
  | { readonly kind: "reconfigured"; readonly config: RouterConfig; readonly at: number }
  /** Our own process stood still, or its clock jumped: what was measured before says nothing about now. */
  | { readonly kind: "time-jumped"; readonly at: number }
  /** The nudge has been sent. */
  | { readonly kind: "nudged"; readonly at: number }
  | { readonly kind: "tick"; readonly at: number };

/** A transition worth telling: the router emits it, logs it and, for some, acts on it. */
export type Change =
  | {
      readonly kind: "evicted";
      readonly node: string;
      readonly reason: EvictionReason;
      readonly basis: string;
    }
  /** The replica serves again, first with a small share (`probation`) unless `slowStart` is 0. */
  | { readonly kind: "readmitted"; readonly node: string; readonly standing: "eligible" | "probation" }
  /** A returning replica has its full share again. */
  | { readonly kind: "restored"; readonly node: string }
  | { readonly kind: "joined"; readonly node: string }
  | { readonly kind: "draining"; readonly node: string }
  | { readonly kind: "undrained"; readonly node: string }
  | { readonly kind: "primary-up"; readonly node: string }
  | { readonly kind: "primary-down"; readonly node: string; readonly reason: "unreachable" | "wrong-role" }
  | { readonly kind: "fallback-started" }
  | { readonly kind: "fallback-ended" }
  | { readonly kind: "epoch"; readonly epoch: number; readonly weights: Readonly<Record<string, number>> }
  | { readonly kind: "time-jumped" };
