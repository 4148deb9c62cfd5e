/**
 * How long what may take, derived from the configuration in this one place. Checkers, alert rules, dashboards
 * and docs read it here. Between a fault and its budget both answers are legal. Pure.
 */
import type { RouterConfig } from "./config.ts";

/** What a statement in flight may wait for beyond the eviction itself: a retry elsewhere, and one healthy read. */
const RETRY_ALLOWANCE_MS = 250;

export interface Budgets {
  /** Until a node that stopped answering is evicted: fall × (interval + timeout). */
  readonly downMs: number;
  /** The oldest data a read may show: replicaLagThreshold + interval + timeout; `off` with the lag guard. */
  readonly staleMs: number | "off";
  /** From a replica being well to its full share: rise × interval + slowStart. */
  readonly returnMs: number;
  /** The longest a read may stall because of one fault: down + 250 ms. */
  readonly stallMs: number;
}

export function budgets(
  config: Pick<RouterConfig, "healthCheck" | "replicaLagThresholdMs" | "slowStartMs">,
): Budgets {
  const { intervalMs, timeoutMs, fall, rise } = config.healthCheck;
  const downMs = fall * (intervalMs + timeoutMs);
  const threshold = config.replicaLagThresholdMs;
  return {
    downMs,
    staleMs: threshold === "off" ? "off" : threshold + intervalMs + timeoutMs,
    returnMs: rise * intervalMs + config.slowStartMs,
    stallMs: downMs + RETRY_ALLOWANCE_MS,
  };
}

/**
 * The least a lag threshold can be: a healthy replica's bound saws between 0 and 2 × interval + round trip, so
 * anything lower would evict replicas that are well.
 */
export function lagFloorMs(healthCheck: { readonly intervalMs: number; readonly timeoutMs: number }): number {
  return 2 * healthCheck.intervalMs + healthCheck.timeoutMs;
}
