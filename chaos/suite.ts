/**
 * What a suite runs under: a policy that is fast, so that minutes of waiting become seconds, or a user's own thresholds on
 * the world's servers; and the load that every scenario shares.
 */
import { budgets } from "../src/config/budgets.ts";
import type { NodeConfig, RouterConfig } from "../src/config/config.ts";
import type { ConfigInput } from "../src/config/input.ts";
import { RouterError } from "../src/errors.ts";
import type { WorkloadSpec } from "./workload/spec.ts";
import type { Rig } from "./world.ts";

/** A policy on the servers of a world, whose addresses are known only when it is up. */
export type PolicyFor = (rig: Rig) => ConfigInput;

/** By place: the first replica gets twice the reads of each other one. */
const WEIGHTS = [2, 1, 1];

/** The suite's own: a threshold of 1 s, probes every 200 ms. */
export const suitePolicy: PolicyFor = (rig) => ({
  db: {
    ...connectionOf(rig),
    maxConnections: 10,
    enableReadWriteSeparation: true,
    replicaLagThreshold: "1s",
    healthCheck: { interval: "200ms", timeout: "200ms", fall: 2, rise: 2 },
    slowStart: "1s",
    readReplicas: rig.replicas.map(({ node, host, port }, index) => ({
      name: node,
      host,
      port,
      weight: WEIGHTS[index] ?? 1,
    })),
  },
});

/**
 * A user's own thresholds, weights and pools on the world's servers; where to and as whom is the world's.
 * @throws RouterError `CONFIG_INVALID` (when the policy is asked for) if the world has fewer replicas than the configuration
 */
export function policyLike(user: RouterConfig): PolicyFor {
  return (rig) => {
    const { replicas, healthCheck, primary } = user;
    if (replicas.length > rig.replicas.length) {
      throw new RouterError(
        "CONFIG_INVALID",
        `the configuration names ${replicas.length} replicas, this world has ${rig.replicas.length}: start it with more, or name fewer`,
      );
    }
    return {
      db: {
        ...connectionOf(rig),
        ...poolOf(primary),
        connMaxLifetime: orOff(primary.pool.maxLifetimeMs),
        connMaxIdleTime: orOff(primary.pool.idleTimeoutMs),
        connectTimeout: ms(primary.pool.connectionTimeoutMs),
        queryTimeout: user.queryTimeoutMs === undefined ? "off" : ms(user.queryTimeoutMs),
        enableReadWriteSeparation: user.enableReadWriteSeparation,
        replicaLagThreshold: user.replicaLagThresholdMs === "off" ? "off" : ms(user.replicaLagThresholdMs),
        ...(user.readmitLagThresholdMs === "off"
          ? {}
          : { readmitLagThreshold: ms(user.readmitLagThresholdMs) }),
        healthCheck: {
          interval: ms(healthCheck.intervalMs),
          timeout: ms(healthCheck.timeoutMs),
          fall: healthCheck.fall,
          rise: healthCheck.rise,
        },
        retries: { max: user.retries.max },
        fallback: { to: user.fallback.to },
        slowStart: ms(user.slowStartMs),
        lagNudge: user.lagNudge,
        whenPrimaryUnknown: user.whenPrimaryUnknown,
        readYourWrites: user.readYourWrites,
        classifyMaxBytes: user.classifyMaxBytes,
        readReplicas: replicas.map((replica, index) => {
          const { node, host, port } = rig.replicas[index] as Rig["primary"];
          return { name: node, host, port, weight: replica.weight, ...poolOf(replica) };
        }),
      },
    };
  };
}

/** What every scenario asks unless it says otherwise. */
export function suiteWorkload(policy: RouterConfig): WorkloadSpec {
  const threshold = policy.replicaLagThresholdMs;
  return {
    sessions: 128,
    ratePerSecond: 140,
    mix: { read: 100, write: 25, transaction: 15 },
    // Twenty beats in the threshold date a read to within a twentieth of it.
    heartbeatMs: threshold === "off" ? 50 : Math.min(100, Math.max(20, threshold / 20)),
    // Longer than any stall that is legal, so that a stall is seen for what it is.
    giveUpMs: 4 * budgets(policy).stallMs,
  };
}

/** Thresholds and intervals for the report, in milliseconds, and the budgets that follow from them. */
export function describePolicy(policy: RouterConfig): Record<string, number | string> {
  const { intervalMs, timeoutMs, fall, rise } = policy.healthCheck;
  const { downMs, staleMs, returnMs, stallMs } = budgets(policy);
  return {
    replicaLagThresholdMs: policy.replicaLagThresholdMs,
    readmitLagThresholdMs: policy.readmitLagThresholdMs,
    intervalMs,
    timeoutMs,
    fall,
    rise,
    slowStartMs: policy.slowStartMs,
    retries: policy.retries.max,
    fallbackTo: policy.fallback.to,
    whenPrimaryUnknown: policy.whenPrimaryUnknown,
    weights: policy.replicas.map(({ weight }) => weight).join(":"),
    maxConnections: policy.primary.pool.max,
    downBudgetMs: downMs,
    staleBudgetMs: staleMs,
    returnBudgetMs: returnMs,
    stallBudgetMs: stallMs,
  };
}

function connectionOf({
  primary,
  database,
  user,
  password,
  sslRootCert,
}: Rig): Pick<
  ConfigInput["db"],
  "host" | "port" | "username" | "password" | "database" | "sslMode" | "sslRootCert"
> & { host: string; username: string; database: string } {
  return {
    host: primary.host,
    port: primary.port,
    username: user,
    password,
    database,
    sslMode: "verify-full",
    sslRootCert,
  };
}

function poolOf({ pool }: NodeConfig): { maxConnections: number; maxIdleConns: number } {
  return { maxConnections: pool.max, maxIdleConns: pool.idleMax };
}

function ms(value: number): string {
  return `${value}ms`;
}

function orOff(value: number): string {
  return value === 0 ? "off" : ms(value);
}
