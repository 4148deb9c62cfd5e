/** Where a statement would go now, why, and what speaks against every node that does not get it. */
import type { Classification } from "./classification.ts";
import { decide } from "./decide.ts";
import type { ClusterView, ReplicaState } from "./model.ts";

export interface Explanation {
  readonly target: "primary" | "replica";
  /** Why the statement itself may or may not go to a replica. */
  readonly reason: Classification["reason"];
  /** What proved it: a function, a view, … */
  readonly detail?: string;
  /** The node that would be chosen next; absent when nobody could serve it. */
  readonly node?: string;
  /** Why that node, as a decision's reason, or the code of the refusal. */
  readonly decision: string;
  /** For every replica: its standing in words. */
  readonly replicas: Readonly<Record<string, string>>;
  /** All of it in one line. */
  readonly line: string;
}

export function explainDecision(view: ClusterView, classification: Classification, now: number): Explanation {
  const kind = classification.target === "replica" ? "read" : "write";
  const { decision } = decide(view, { kind }, now);
  const replicas = Object.fromEntries(
    view.replicas.map((replica) => [replica.name, standingInWords(replica)]),
  );
  const { reason, detail } = classification;
  const routed = decision.kind === "route" ? { node: decision.node } : {};
  const outcome = decision.kind === "route" ? decision.reason : decision.code;
  const why = detail === undefined ? reason : `${reason}: ${detail}`;
  const target = decision.kind === "route" ? decision.role : classification.target;
  return {
    target,
    reason,
    ...(detail === undefined ? {} : { detail }),
    ...routed,
    decision: outcome,
    replicas,
    line:
      decision.kind === "route"
        ? `${decision.role} ${decision.node} (${why}; ${outcome})`
        : `nobody (${why}; ${outcome}: ${decision.message})`,
  };
}

export function standingInWords({ standing, suspect }: ReplicaState): string {
  const doubt = suspect ? ", suspect" : "";
  switch (standing.kind) {
    case "evicted":
      return `evicted: ${standing.reason}`;
    case "probation":
      return `probation, step ${standing.step} of 10${doubt}`;
    case "joining":
    case "eligible":
    case "draining":
      return `${standing.kind}${doubt}`;
  }
}
