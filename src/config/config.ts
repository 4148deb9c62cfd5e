/**
 * What the router runs on: a configuration that has been read, checked and completed. Immutable, every duration
 * in milliseconds, every default filled in. How it is written in YAML is schema.ts's business.
 */
import type { TlsConfig } from "./tls.ts";

export interface RouterConfig {
  readonly primary: NodeConfig;
  /** In the order of the file; empty when {@link enableReadWriteSeparation} is off or no replica is named. */
  readonly replicas: readonly NodeConfig[];
  readonly enableReadWriteSeparation: boolean;
  /** A replica whose data may be older than this is evicted; `off` lets any age serve. */
  readonly replicaLagThresholdMs: number | "off";
  /** An evicted replica returns only below this; `off` exactly when the threshold is off. */
  readonly readmitLagThresholdMs: number | "off";
  readonly healthCheck: HealthCheckConfig;
  readonly retries: {
    /** How often one statement may be run again, 0 for never. */
    readonly max: number;
  };
  readonly fallback: {
    /** Who serves a read while no replica is eligible: the primary, or nobody (`NO_ELIGIBLE_NODE`). */
    readonly to: "primary" | "error";
  };
  /** How long a returning replica takes to get back to its full share; 0 for at once. */
  readonly slowStartMs: number;
  /** May the monitor write a WAL message on an idle primary to keep lag provable? */
  readonly lagNudge: boolean;
  /** What replicas do while the primary gives no sample. */
  readonly whenPrimaryUnknown: "serve" | "reject";
  /** Whether reads after a write of the same client wait on the primary until a replica is proved past it. */
  readonly readYourWrites: "client" | "off";
  /** Longer statements go to the primary unparsed. */
  readonly classifyMaxBytes: number;
  /** Total deadline of one call, retries included; undefined for none. */
  readonly queryTimeoutMs: number | undefined;
}

export interface HealthCheckConfig {
  /** From the start of one probe to the start of the next. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that evict. */
  readonly fall: number;
  /** Passes in a row that readmit. */
  readonly rise: number;
}

/** One PostgreSQL server and how to reach it. Its password is left out when the object is logged. */
export interface NodeConfig {
  /** `primary`, or the replica's name from the file. */
  readonly name: string;
  /** A host name, an IP address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Undefined where the server asks for none (certificate, trust). */
  readonly password: string | undefined;
  readonly database: string;
  /** Share of the reads, relative to the others'; 0 drains. The primary's is 1 and takes no part in the choice. */
  readonly weight: number;
  readonly pool: PoolConfig;
  readonly tls: TlsConfig;
  readonly applicationName: string;
}

export interface PoolConfig {
  /** Connections at most, in this process. */
  readonly max: number;
  /** Idle connections kept at most. */
  readonly idleMax: number;
  /** An idle connection is closed after this; 0 for never. */
  readonly idleTimeoutMs: number;
  /** A connection is closed at its first release after this age; 0 for never. */
  readonly maxLifetimeMs: number;
  /** The longest wait for a connection: a free one, or a new one. */
  readonly connectionTimeoutMs: number;
}
