/** Durations that scenarios are made of, from the policy's own values. Pure. */
import { budgets } from "../../src/config/budgets.ts";
import type { RouterConfig } from "../../src/config/config.ts";
import { CATCH_UP_MS } from "../history/truth.ts";

export interface Timing {
  /** Undisturbed, before the first fault. */
  readonly calmMs: number;
  /** From a node's fall until every read that it could hold up is through, and some more were asked. */
  readonly downMs: number;
  /** From data that stop until no read may be served there, and some more were asked. */
  readonly lagMs: number;
  /** From a link being well again until its node must have its share, and some more were asked. */
  readonly returnMs: number;
  /** As {@link returnMs}, for a replica that has to catch up first. */
  readonly catchUpAndReturnMs: number;
}

export function timingOf(policy: RouterConfig): Timing {
  const { downMs, staleMs, returnMs, stallMs } = budgets(policy);
  const { intervalMs, timeoutMs } = policy.healthCheck;
  const slackMs = stallMs - downMs;
  // So many more reads that a random choice would certainly have shown itself.
  const watchMs = Math.max(2 * intervalMs, 500);
  const back = returnMs + intervalMs + timeoutMs + slackMs + watchMs;
  return {
    calmMs: Math.max(intervalMs, 250),
    downMs: downMs + slackMs + watchMs,
    lagMs: (staleMs === "off" ? downMs : staleMs) + slackMs + watchMs,
    returnMs: back,
    catchUpAndReturnMs: CATCH_UP_MS + back,
  };
}
