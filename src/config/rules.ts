/** What must hold between settings. Each rule looks only at values that are right by themselves. Pure. */
import { lagFloorMs } from "./budgets.ts";
import { formatDuration } from "./duration.ts";
import type { Finding } from "./place.ts";
import type { DbValues, HealthCheckValues, ReplicaValues } from "./schema.ts";

/** Settings that are right by themselves; the rest is undefined. */
export interface ReadableValues {
  readonly db: Partial<DbValues>;
  readonly healthCheck: Partial<HealthCheckValues>;
  readonly replicas: readonly Partial<ReplicaValues>[];
}

export function ruleFindings(values: ReadableValues): Finding[] {
  return [...lagFindings(values), ...poolFindings(values), ...nameFindings(values)];
}

/** Half of the threshold, but never below the floor. */
export function defaultReadmitMs(thresholdMs: number, floorMs: number): number {
  return Math.max(Math.floor(thresholdMs / 2), floorMs);
}

/** Ten idle connections, but never more than may be open. */
export function defaultIdleMax(max: number): number {
  return Math.min(10, max);
}

function lagFindings({ db, healthCheck: { interval, timeout } }: ReadableValues): Finding[] {
  if (interval === undefined || timeout === undefined) return [];
  const findings: Finding[] = [];
  const floorMs = lagFloorMs({ intervalMs: interval, timeoutMs: timeout });
  const threshold = db.replicaLagThreshold;
  if (threshold === "off" || threshold === undefined) return [];
  for (const name of ["replicaLagThreshold", "readmitLagThreshold"] as const) {
    const limit = db[name];
    if (limit === undefined || limit === "off" || limit >= floorMs) continue;
    findings.push({
      path: ["db", name],
      message: `must be at least 2 × healthCheck.interval + healthCheck.timeout = ${formatDuration(floorMs)}, got ${formatDuration(limit)}: raise it, or probe more often`,
    });
  }
  if (db.readmitLagThreshold !== undefined && db.readmitLagThreshold > threshold) {
    findings.push({
      path: ["db", "readmitLagThreshold"],
      message: `must be at most replicaLagThreshold = ${formatDuration(threshold)}, got ${formatDuration(db.readmitLagThreshold)}`,
    });
  }
  return findings;
}

/** Only an idle limit that was stated: what is inherited or a default gives way to the maximum. */
function poolFindings({ db, replicas }: ReadableValues): Finding[] {
  return [
    { path: ["db"], max: db.maxConnections, idle: db.maxIdleConns },
    ...replicas.map((replica, index) => ({
      path: ["db", "readReplicas", index],
      max: replica.maxConnections ?? db.maxConnections,
      idle: replica.maxIdleConns,
    })),
  ].flatMap(({ path, max, idle }) =>
    max === undefined || idle === undefined || idle <= max
      ? []
      : [
          {
            path: [...path, "maxIdleConns"],
            message: `must be at most maxConnections = ${max}, got ${idle}`,
          },
        ],
  );
}

function nameFindings({ replicas }: ReadableValues): Finding[] {
  const seen = new Set<string>();
  return replicas.flatMap(({ name }, index) => {
    if (name === undefined) return [];
    const path = ["db", "readReplicas", index, "name"];
    if (name === "primary") return [{ path, message: "must not be primary: that is the primary's name" }];
    if (seen.has(name))
      return [{ path, message: `must be unique, and ${name} is the name of an earlier replica` }];
    seen.add(name);
    return [];
  });
}
