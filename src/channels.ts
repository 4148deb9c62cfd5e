/** `node:diagnostics_channel`: every decision, for tracers and tests. Costs nothing while nobody listens. */
import { channel } from "node:diagnostics_channel";
import type { Classification } from "./routing/classification.ts";
import type { Decision } from "./routing/decide.ts";

/** What is published on `fairlead:decision`. */
export interface DecisionMessage {
  readonly decision: Decision;
  /** Absent where a connection is held for several statements. */
  readonly classification: Classification | undefined;
}

const decisions = channel("fairlead:decision");

export function hasSubscribers(): boolean {
  return decisions.hasSubscribers;
}

export function publishDecision(decision: Decision, classification: Classification | undefined): void {
  const message: DecisionMessage = { decision, classification };
  decisions.publish(message);
}
