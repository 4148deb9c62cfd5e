/** Who may serve reads now, and with which share; for every other node, why not. */
import { lagBoundMs } from "./bound.ts";
import { RAMP_STEPS } from "./model.ts";
import type { ClusterView, ReplicaState } from "./model.ts";
import type { Candidate } from "./select.ts";

/**
 * The replicas that serve, in the order of the configuration. A suspect (traffic lost a connection to it, its probe has not
 * answered yet) is left out as long as somebody else can serve.
 */
export function servingCandidates(view: ClusterView, now: number): readonly Candidate[] {
  const serving = view.replicas.filter((replica) => isServing(view, replica, now));
  const trusted = serving.filter((replica) => !replica.suspect);
  return (trusted.length > 0 ? trusted : serving).map((replica) => ({
    name: replica.name,
    weight: share(replica),
  }));
}

function isServing(view: ClusterView, replica: ReplicaState, now: number): boolean {
  const { kind } = replica.standing;
  if (kind !== "eligible" && kind !== "probation") return false;
  if (view.config.replicaLagThresholdMs === "off") return true;
  // Without a bound (after our own clock jumped) it keeps its standing, but waits for its next sample.
  return lagBoundMs(view, replica, now) !== undefined;
}

/** Weights are scaled so that each step of a ramp is a whole number too. */
function share({ standing, weight }: ReplicaState): number {
  return weight * (standing.kind === "probation" ? standing.step : RAMP_STEPS);
}
