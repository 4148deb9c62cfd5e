/** The view as plain data, for `router.status()`. */
import { isPrimaryUnknown, lagBoundMs } from "./bound.ts";
import { formatLsn } from "./lsn.ts";
import type { ClusterView, EvictionReason, ReplicaState } from "./model.ts";

export interface ClusterStatus {
  readonly primary: PrimaryStatus;
  readonly replicas: readonly ReplicaStatus[];
  /** Reads go to the primary because no replica may serve. */
  readonly fallback: boolean;
  /** The primary cannot be asked: lag bounds stand still. */
  readonly primaryUnknown: boolean;
  /** The set and weights that reads are shared by. */
  readonly epoch: number;
  readonly shares: Readonly<Record<string, number>>;
}

export interface PrimaryStatus {
  readonly name: string;
  readonly standing: "joining" | "up" | "down";
  readonly timeline?: number;
  readonly insertLsn?: string;
}

export interface ReplicaStatus {
  readonly name: string;
  readonly weight: number;
  readonly standing: ReplicaState["standing"]["kind"];
  readonly reason?: EvictionReason;
  readonly suspect: boolean;
  /** How old its data may be at most; absent when nothing bounds it. */
  readonly lagBoundMs?: number;
  readonly replayLsn?: string;
  readonly timeline?: number;
  readonly walReceiver?: "streaming" | "waiting" | "gone" | "hidden";
  /** Since it was last sampled. */
  readonly sampleAgeMs?: number;
}

export function statusOf(view: ClusterView, now: number): ClusterStatus {
  const { total, candidates, epoch } = view.selection;
  return {
    primary: {
      name: view.primary.name,
      standing: view.primary.standing.kind,
      ...(view.primary.sample === undefined
        ? {}
        : { timeline: view.primary.sample.timeline, insertLsn: formatLsn(view.primary.sample.insert) }),
    },
    replicas: view.replicas.map((replica) => replicaStatus(view, replica, now)),
    fallback: view.fallback,
    primaryUnknown: isPrimaryUnknown(view, now),
    epoch,
    shares: Object.fromEntries(candidates.map(({ name, weight }) => [name, weight / total])),
  };
}

function replicaStatus(view: ClusterView, replica: ReplicaState, now: number): ReplicaStatus {
  const { standing, sample } = replica;
  const bound = lagBoundMs(view, replica, now);
  const seen =
    sample?.role === "replica"
      ? {
          ...(sample.replay === undefined ? {} : { replayLsn: formatLsn(sample.replay) }),
          timeline: sample.timeline,
          walReceiver: sample.walReceiver,
          sampleAgeMs: now - replica.sampledAt,
        }
      : {};
  return {
    name: replica.name,
    weight: replica.weight,
    standing: standing.kind,
    ...(standing.kind === "evicted" ? { reason: standing.reason } : {}),
    suspect: replica.suspect,
    ...(bound === undefined ? {} : { lagBoundMs: bound }),
    ...seen,
  };
}
