/** What a run ran under, as three lines: thresholds, the budgets that follow from them, and the world. Pure. */
import { duration } from "./figures-in-words.ts";
import type { RunReport } from "./report.ts";

type Figures = Readonly<Record<string, string | number>>;

/** `lag threshold 1 s (back at 500 ms), probe every 200 ms …` */
export function policyInWords(policy: Figures): string {
  const at = valueOf(policy);
  const lag =
    policy["replicaLagThresholdMs"] === "off"
      ? "no lag threshold"
      : `lag threshold ${at("replicaLagThresholdMs")} (back at ${at("readmitLagThresholdMs")})`;
  return [
    lag,
    `probe every ${at("intervalMs")}, timeout ${at("timeoutMs")}, fall ${at("fall")}, rise ${at("rise")}`,
    `slow start ${at("slowStartMs")}`,
    `weights ${at("weights")}`,
    `retries ${at("retries")}`,
    `fallback to ${at("fallbackTo")}`,
    `${at("maxConnections")} connections a node`,
  ].join(", ");
}

/** `detect 800 ms, data at most 1.4 s old, …` */
export function budgetsInWords(policy: Figures): string {
  const at = valueOf(policy);
  const stale =
    policy["staleBudgetMs"] === "off" ? "staleness not bounded" : `data at most ${at("staleBudgetMs")} old`;
  return [
    `down within ${at("downBudgetMs")}`,
    stale,
    `back within ${at("returnBudgetMs")}`,
    `no read stalls beyond ${at("stallBudgetMs")}`,
  ].join(", ");
}

/** `embedded: PostgreSQL 18.4, primary and 3 replicas, Toxiproxy 2.12.0 (built-in), Node 24.21.0, up in 1.40 s` */
export function worldInWords(world: RunReport["world"]): string {
  const at = valueOf(world);
  const replicas = world["replicas"];
  const parts = [
    world["postgresql"] === undefined ? undefined : `PostgreSQL ${at("postgresql")}`,
    replicas === undefined ? undefined : `primary and ${replicas} ${replicas === 1 ? "replica" : "replicas"}`,
    world["toxiproxy"] === undefined ? undefined : `Toxiproxy ${at("toxiproxy")} (${at("toxiproxyOrigin")})`,
    world["node"] === undefined ? undefined : `Node ${at("node")}`,
    world["startupMs"] === undefined ? undefined : `up in ${at("startupMs")}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? world.kind : `${world.kind}: ${parts.join(", ")}`;
}

/** A figure in words by its name: what ends in `Ms` is a duration. */
function valueOf(figures: Figures): (name: string) => string {
  return (name) => {
    const value = figures[name];
    if (typeof value === "number" && name.endsWith("Ms")) return duration(value);
    return value === undefined ? "unknown" : String(value);
  };
}
