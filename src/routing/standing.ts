/** A replica's standing, judged anew: evict, keep out, readmit, ramp up. */
import { lagBoundMs } from "./bound.ts";
import { objectionTo } from "./judge.ts";
import type { Objection } from "./judge.ts";
import { RAMP_STEPS } from "./model.ts";
import type { Change, ClusterView, ReplicaState } from "./model.ts";

interface Judged {
  readonly replica: ReplicaState;
  readonly changes: readonly Change[];
}

/** `sampled` says that a probe of this very replica has just answered: only that counts towards its return. */
export function nextStanding(
  view: ClusterView,
  replica: ReplicaState,
  now: number,
  sampled: boolean,
): Judged {
  const { standing, name } = replica;
  if (replica.drained || replica.weight === 0) {
    if (standing.kind === "draining") return unchanged(replica);
    return {
      replica: { ...replica, standing: { kind: "draining", since: now } },
      changes: [{ kind: "draining", node: name }],
    };
  }
  switch (standing.kind) {
    case "draining":
      return {
        replica: { ...replica, standing: { kind: "joining", since: now, ramp: true } },
        changes: [{ kind: "undrained", node: name }],
      };
    case "joining":
      return judgeJoining(view, replica, now, standing.ramp);
    case "eligible":
    case "probation": {
      const objection = objectionTo(view, replica, "threshold", now);
      if (objection !== undefined) return evicted(view, replica, objection, now);
      return standing.kind === "probation" ? ramped(view, replica, standing.since, now) : unchanged(replica);
    }
    case "evicted":
      return judgeEvicted(view, replica, now, sampled);
  }
}

function unchanged(replica: ReplicaState): Judged {
  return { replica, changes: [] };
}

function judgeJoining(view: ClusterView, replica: ReplicaState, now: number, ramp: boolean): Judged {
  const objection = objectionTo(view, replica, "threshold", now);
  if (objection !== undefined) return evicted(view, replica, objection, now);
  if (!isProven(view, replica, now)) return unchanged(replica);
  const { standing } = returned(view, now, ramp);
  return { replica: { ...replica, standing }, changes: [{ kind: "joined", node: replica.name }] };
}

function isProven(view: ClusterView, replica: ReplicaState, now: number): boolean {
  if (replica.sample === undefined) return false;
  return view.config.replicaLagThresholdMs === "off" || lagBoundMs(view, replica, now) !== undefined;
}

function evicted(
  view: ClusterView,
  replica: ReplicaState,
  { reason, basis }: Objection,
  now: number,
): Judged {
  const { standing } = replica;
  const wasServing = standing.kind === "eligible" || standing.kind === "probation";
  const soonAfterReturn = wasServing && now - standing.since < flapWindowMs(view);
  const flaps = soonAfterReturn && replica.flaps > 0 ? replica.flaps + 1 : 1;
  return {
    replica: {
      ...replica,
      flaps,
      consecutive: { ...replica.consecutive, passed: 0 },
      standing: { kind: "evicted", reason, since: now, notBefore: now + backOffMs(view, flaps) },
    },
    changes: [{ kind: "evicted", node: replica.name, reason, basis }],
  };
}

/** A return that holds this long is no flapping. */
function flapWindowMs(view: ClusterView): number {
  const { intervalMs, rise } = view.config.healthCheck;
  return view.config.slowStartMs + 10 * rise * intervalMs;
}

/** None after the first eviction; then doubling from rise × interval, at most 60 intervals. */
function backOffMs(view: ClusterView, flaps: number): number {
  const { intervalMs, rise } = view.config.healthCheck;
  if (flaps <= 1) return 0;
  return Math.min(rise * intervalMs * 2 ** Math.min(flaps - 1, 20), 60 * intervalMs);
}

function judgeEvicted(view: ClusterView, replica: ReplicaState, now: number, sampled: boolean): Judged {
  if (replica.standing.kind !== "evicted") return unchanged(replica);
  const objection = objectionTo(view, replica, "readmit", now);
  if (objection !== undefined) {
    const standing = { ...replica.standing, reason: objection.reason };
    return unchanged({ ...replica, standing, consecutive: { ...replica.consecutive, passed: 0 } });
  }
  if (!sampled || !isProven(view, replica, now)) return unchanged(replica);
  const passed = replica.consecutive.passed + 1;
  const waiting = { ...replica, consecutive: { ...replica.consecutive, passed } };
  if (passed < view.config.healthCheck.rise || now < replica.standing.notBefore) return unchanged(waiting);
  const { standing } = returned(view, now, true);
  return {
    replica: { ...waiting, standing },
    changes: [{ kind: "readmitted", node: replica.name, standing: standing.kind }],
  };
}

function returned(
  view: ClusterView,
  now: number,
  ramp: boolean,
): { readonly standing: Extract<ReplicaState["standing"], { kind: "eligible" | "probation" }> } {
  if (!ramp || view.config.slowStartMs === 0) return { standing: { kind: "eligible", since: now } };
  return { standing: { kind: "probation", since: now, step: 1 } };
}

function ramped(view: ClusterView, replica: ReplicaState, since: number, now: number): Judged {
  const stepMs = view.config.slowStartMs / RAMP_STEPS;
  // Compared as `nextChangeAt` adds, so that a tick at that time is sure to find the next step due.
  let step = 1;
  while (step < RAMP_STEPS && now >= since + stepMs * step) step++;
  if (step >= RAMP_STEPS) {
    return {
      replica: { ...replica, standing: { kind: "eligible", since: now } },
      changes: [{ kind: "restored", node: replica.name }],
    };
  }
  return unchanged({ ...replica, standing: { kind: "probation", since, step } });
}
