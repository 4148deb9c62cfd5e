/** From what was written to what the router runs on: check, complete, freeze. */
import { inspect } from "node:util";
import type { z } from "zod";
import { lagFloorMs } from "./budgets.ts";
import { ConfigError } from "./config-error.ts";
import type { NodeConfig, PoolConfig, RouterConfig } from "./config.ts";
import type { Shape } from "./fields.ts";
import { schemaFindings } from "./findings.ts";
import type { ConfigInput } from "./input.ts";
import { formatPath } from "./place.ts";
import type { Finding, Path } from "./place.ts";
import { defaultIdleMax, defaultReadmitMs, ruleFindings } from "./rules.ts";
import type { ReadableValues } from "./rules.ts";
import { dbSchema, dbShape, fallbackShape, healthCheckShape, replicaShape, retriesShape } from "./schema.ts";
import type { DbValues, ReplicaValues } from "./schema.ts";
import { readTls } from "./tls-files.ts";
import type { NodeTls } from "./tls-files.ts";
import { tlsConfig } from "./tls.ts";

/**
 * A configuration from a plain object in the shape of the YAML file. Variables (`${NAME}`) are not replaced;
 * the paths of certificates are relative to the working directory.
 * @throws ConfigError (`CONFIG_INVALID`) with every problem at once
 */
export function resolveConfig(input: ConfigInput): RouterConfig {
  const { config, findings } = resolve(input.db, { folder: "." });
  if (config !== undefined) return config;
  throw new ConfigError(
    findings.map(({ path, message }) => ({
      file: undefined,
      line: undefined,
      column: undefined,
      path: formatPath(path),
      message,
    })),
  );
}

export type Resolution =
  | { readonly config: RouterConfig; readonly findings: readonly [] }
  | { readonly config: undefined; readonly findings: readonly Finding[] };

export interface ResolveOptions {
  /** Where relative paths of certificates start. */
  readonly folder: string;
  /** Must the value at this path be kept out of errors? Passwords are in any case. */
  readonly isSecret?: (path: Path) => boolean;
}

/** `input` is the value of the section `db`. */
export function resolve(input: unknown, options: ResolveOptions): Resolution {
  const { folder, isSecret = () => false } = options;
  const parsed = dbSchema.safeParse(input);
  const values = readableValues(input);
  const primaryTls = readTls(values.db, { path: ["db"], folder });
  const replicaTls = values.replicas.map((replica, index) =>
    readTls(replica, { path: ["db", "readReplicas", index], folder, inherited: primaryTls }),
  );
  const findings = [
    ...schemaFindings(parsed.error?.issues ?? [], { input, knownKeys, isSecret }),
    ...ruleFindings(values),
    ...[primaryTls, ...replicaTls].flatMap((tls) => tls.findings),
  ];
  if (parsed.data === undefined || findings.length > 0) return { config: undefined, findings };
  return { config: complete(parsed.data, { primaryTls, replicaTls }), findings: [] };
}

function complete(
  db: DbValues,
  tls: { readonly primaryTls: NodeTls; readonly replicaTls: readonly NodeTls[] },
): RouterConfig {
  const { interval, timeout, fall, rise } = db.healthCheck;
  const healthCheck = { intervalMs: interval, timeoutMs: timeout, fall, rise };
  const threshold = db.replicaLagThreshold;
  const replicas = db.readReplicas.map((replica, index) => replicaNode(replica, db, tls.replicaTls[index]));
  return deepFreeze({
    primary: primaryNode(db, tls.primaryTls),
    replicas: db.enableReadWriteSeparation ? replicas : [],
    enableReadWriteSeparation: db.enableReadWriteSeparation,
    replicaLagThresholdMs: threshold,
    readmitLagThresholdMs:
      threshold === "off"
        ? "off"
        : (db.readmitLagThreshold ?? defaultReadmitMs(threshold, lagFloorMs(healthCheck))),
    healthCheck,
    retries: { max: db.retries.max },
    fallback: { to: db.fallback.to },
    slowStartMs: db.slowStart,
    lagNudge: db.lagNudge,
    whenPrimaryUnknown: db.whenPrimaryUnknown,
    readYourWrites: db.readYourWrites,
    classifyMaxBytes: db.classifyMaxBytes,
    queryTimeoutMs: db.queryTimeout === "off" ? undefined : db.queryTimeout,
  });
}

function primaryNode(db: DbValues, tls: NodeTls): NodeConfig {
  const max = db.maxConnections;
  return withoutSecretsInLogs({
    name: "primary",
    host: db.host,
    port: db.port,
    user: db.username,
    password: db.password === "" ? undefined : db.password,
    database: db.database,
    weight: 1,
    pool: pool(db, { max, idleMax: db.maxIdleConns ?? defaultIdleMax(max) }),
    tls: tlsConfig(tls.mode, tls.material),
    applicationName: db.applicationName,
  });
}

function replicaNode(replica: ReplicaValues, db: DbValues, tls: NodeTls | undefined): NodeConfig {
  const max = replica.maxConnections ?? db.maxConnections;
  const primaryIdle = db.maxIdleConns ?? defaultIdleMax(db.maxConnections);
  const password = replica.password ?? db.password;
  return withoutSecretsInLogs({
    name: replica.name,
    host: replica.host,
    port: replica.port,
    user: replica.username ?? db.username,
    password: password === "" ? undefined : password,
    database: replica.database ?? db.database,
    weight: replica.weight,
    pool: pool(db, { max, idleMax: replica.maxIdleConns ?? Math.min(primaryIdle, max) }),
    tls: tlsConfig(tls?.mode ?? "disable", tls?.material),
    applicationName: db.applicationName,
  });
}

function pool(db: DbValues, limits: Pick<PoolConfig, "max" | "idleMax">): PoolConfig {
  return {
    ...limits,
    idleTimeoutMs: db.connMaxIdleTime === "off" ? 0 : db.connMaxIdleTime,
    maxLifetimeMs: db.connMaxLifetime === "off" ? 0 : db.connMaxLifetime,
    connectionTimeoutMs: db.connectTimeout,
  };
}

/** `JSON.stringify` and `console.log` of a node leave out its password and its TLS material. */
function withoutSecretsInLogs(node: NodeConfig): NodeConfig {
  const publicPart = (): object => ({ ...node, password: "(not shown)", tls: { mode: node.tls.mode } });
  return Object.defineProperties(node, {
    toJSON: { value: publicPart },
    [inspect.custom]: { value: publicPart },
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** Each setting by itself, so that one that is wrong does not hide what is wrong between the others. */
function readableValues(input: unknown): ReadableValues {
  const db = readable(dbShape, input);
  const items = isSection(input) && Array.isArray(input["readReplicas"]) ? input["readReplicas"] : [];
  return {
    db,
    healthCheck: readable(healthCheckShape, isSection(input) ? (input["healthCheck"] ?? {}) : {}),
    replicas: items.map((item: unknown) => readable(replicaShape, item)),
  };
}

function readable<T extends object>(shape: Shape<T>, input: unknown): Partial<T> {
  if (!isSection(input)) return {};
  const fields = Object.entries<z.ZodType>(shape).map(([name, field]) => {
    return [name, field.safeParse(Object.hasOwn(input, name) ? input[name] : undefined).data] as const;
  });
  return Object.fromEntries(fields) as Partial<T>;
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function knownKeys([section]: Path): readonly string[] {
  switch (section) {
    case undefined:
      return Object.keys(dbShape);
    case "healthCheck":
      return Object.keys(healthCheckShape);
    case "readReplicas":
      return Object.keys(replicaShape);
    case "retries":
      return Object.keys(retriesShape);
    case "fallback":
      return Object.keys(fallbackShape);
    default:
      return [];
  }
}
