/**
 * Every setting there is: name, unit, default, bounds and meaning. Names are the checklist's, so that a
 * configuration written for a Go service of that kind loads as it stands. What depends on several settings is
 * in rules.ts.
 */
import {
  duration,
  durationOrOff,
  flag,
  integer,
  list,
  optional,
  section,
  sectionWithDefaults,
  text,
  word,
} from "./fields.ts";
import type { Field, Shape } from "./fields.ts";
import { SSL_MODES } from "./tls.ts";
import type { SslMode } from "./tls.ts";

/** Settings that a replica may have of its own and otherwise takes from the primary. */
interface InheritedValues {
  readonly username: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  readonly maxConnections: number;
  readonly maxIdleConns: number | undefined;
}

type Optional<T> = { readonly [K in keyof T]: T[K] | undefined };

/** One item of `readReplicas`, checked by itself. */
export interface ReplicaValues extends Optional<InheritedValues> {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

export interface HealthCheckValues {
  readonly interval: number;
  readonly timeout: number;
  readonly fall: number;
  readonly rise: number;
}

/** The section `db`, each setting checked by itself; durations in milliseconds. */
export interface DbValues extends InheritedValues {
  readonly driver: "postgresql";
  readonly host: string;
  readonly port: number;
  readonly applicationName: string;
  readonly connMaxLifetime: number | "off";
  readonly connMaxIdleTime: number | "off";
  readonly connectTimeout: number;
  readonly queryTimeout: number | "off";
  readonly enableReadWriteSeparation: boolean;
  readonly replicaLagThreshold: number | "off";
  readonly readmitLagThreshold: number | undefined;
  readonly healthCheck: HealthCheckValues;
  readonly retries: { readonly max: number };
  readonly fallback: { readonly to: "primary" | "error" };
  readonly slowStart: number;
  readonly lagNudge: boolean;
  readonly whenPrimaryUnknown: "serve" | "reject";
  readonly readYourWrites: "client" | "off";
  readonly classifyMaxBytes: number;
  readonly readReplicas: readonly ReplicaValues[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function hostField(example: string): Field<string> {
  return text({
    is: "Host name, IP address, or the folder of a Unix socket.",
    must: "a host name, an IP address or a socket's folder, without port, user or scheme",
    pattern: /^(?:\/[^\0]+|[^\s:/@]+|(?=[^:]*:[^:]*:)[\da-fA-F:.]+(?:%[\w.]+)?)$/,
    maxLength: 255,
    example,
  });
}

const port = integer({
  is: "TCP port (for a Unix socket: the number in its name).",
  unit: "port",
  min: 1,
  max: 65_535,
  default: 5432,
});

const NAME = { must: "text of 1 to 63 characters", pattern: /^[^\0]+$/, maxLength: 63 };
const FILE = { must: "the path of a PEM file, not its content", pattern: /^[^\n\r\0]+$/, maxLength: 4096 };

const username = text({ ...NAME, is: "Role to log in as.", example: "${DB_USERNAME:-app}" });

const password = optional(
  text({
    is: "Password of that role. Leave it out where the server asks for none. Give it as a variable: a configuration is no place for a secret.",
    must: "text",
    pattern: /^[^\0]*$/,
    example: "${DB_PASSWORD:-}",
  }),
);

const database = text({ ...NAME, is: "Database to connect to.", example: "${DB_NAME:-app}" });

const sslMode = word({
  is: "As libpq's sslmode. Only verify-full proves who answers; require encrypts, and verifies the certificate's chain when sslRootCert is given.",
  of: SSL_MODES,
  default: "disable",
});

const sslRootCert = optional(
  text({
    ...FILE,
    is: "PEM file of the authorities that may have signed the server's certificate, relative to this file; or system, for those that Node trusts (verify-full only).",
    example: "/etc/ssl/postgres/ca.pem",
  }),
);

const sslCert = optional(
  text({
    ...FILE,
    is: "PEM file of the client's certificate; needs sslKey.",
    example: "/etc/ssl/postgres/client.pem",
  }),
);

const sslKey = optional(
  text({
    ...FILE,
    is: "PEM file of the client's key, unencrypted, readable by its owner alone (mode 0600, or 0640 when root owns it).",
    example: "/etc/ssl/postgres/client.key",
  }),
);

const maxConnections = integer({
  is: "Connections to the node at most, in each process.",
  unit: "connections",
  min: 1,
  max: 10_000,
  default: 100,
});

const maxIdleConns = integer({
  is: "Idle connections to the node kept at most; no more than maxConnections.",
  unit: "connections",
  min: 0,
  max: 10_000,
  default: 10,
});

const INHERITS = "Default: as the primary's.";

export const replicaShape: Shape<ReplicaValues> = {
  name: text({
    is: "Names the replica in logs, metrics and errors; unique, and not primary.",
    must: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    maxLength: 63,
    example: "replica-1",
  }),
  host: hostField("${DB_REPLICA1_HOST:-127.0.0.1}"),
  port,
  weight: integer({
    is: "Share of the reads, relative to the other replicas'. 0 drains: no new reads, those that run finish.",
    unit: "shares",
    min: 0,
    max: 1000,
    default: 1,
  }),
  maxConnections: optional(maxConnections, INHERITS),
  maxIdleConns: optional(maxIdleConns, `${INHERITS.slice(0, -1)}, but no more than maxConnections.`),
  username: optional(username, INHERITS),
  password: optional(password, INHERITS),
  database: optional(database, INHERITS),
  sslMode: optional(sslMode, INHERITS),
  sslRootCert: optional(sslRootCert, INHERITS),
  sslCert: optional(sslCert, INHERITS),
  sslKey: optional(sslKey, INHERITS),
};

export const healthCheckShape: Shape<HealthCheckValues> = {
  interval: duration({
    is: "From the start of one probe to the start of the next.",
    minMs: 10,
    maxMs: MINUTE_MS,
    default: "500ms",
  }),
  timeout: duration({
    is: "A probe without an answer by then has failed.",
    minMs: 10,
    maxMs: MINUTE_MS,
    default: "500ms",
  }),
  fall: integer({ is: "Failures in a row that evict.", unit: "probes", min: 1, max: 100, default: 2 }),
  rise: integer({ is: "Passes in a row that readmit.", unit: "probes", min: 1, max: 100, default: 2 }),
};

export const retriesShape: Shape<DbValues["retries"]> = {
  max: integer({
    is: "How often one statement may be run again, where that is safe.",
    unit: "retries",
    min: 0,
    max: 10,
    default: 2,
  }),
};

export const fallbackShape: Shape<DbValues["fallback"]> = {
  to: word({
    is: "The primary serves the read, or it fails with NO_ELIGIBLE_NODE.",
    of: ["primary", "error"],
    default: "primary",
  }),
};

export const dbShape: Shape<DbValues> = {
  driver: word({
    is: "The database. Only PostgreSQL is routed.",
    of: ["postgresql"],
    default: "postgresql",
    must: "postgresql: no other database is routed",
  }),
  host: hostField("${DB_PRIMARY_HOST:-127.0.0.1}"),
  port,
  username,
  password,
  database,
  applicationName: text({
    is: "Shown by the server in pg_stat_activity.",
    must: "1 to 63 printable ASCII characters",
    pattern: /^[\x20-\x7e]+$/,
    maxLength: 63,
    default: "fairlead",
  }),
  sslMode,
  sslRootCert,
  sslCert,
  sslKey,
  maxConnections,
  maxIdleConns: optional(maxIdleConns, "Default: 10, or maxConnections when that is less."),
  connMaxLifetime: durationOrOff({
    is: "A connection older than this is closed at its next release.",
    minMs: 1000,
    maxMs: 365 * DAY_MS,
    default: 3600,
  }),
  connMaxIdleTime: durationOrOff({
    is: "A connection idle for longer is closed.",
    minMs: 100,
    maxMs: 365 * DAY_MS,
    default: 900,
  }),
  connectTimeout: duration({
    is: "The longest wait for a connection, a free one or a new one.",
    minMs: 10,
    maxMs: 10 * MINUTE_MS,
    default: "5s",
  }),
  queryTimeout: durationOrOff({
    is: "Total deadline of one call, retries included.",
    minMs: 1,
    maxMs: DAY_MS,
    default: "off",
  }),
  enableReadWriteSeparation: flag({
    is: "Sends reads to the replicas. With false everything goes to the primary.",
    default: false,
  }),
  replicaLagThreshold: durationOrOff({
    is: "A replica whose data may be older is evicted; at least 2 × interval + timeout. off lets any age serve.",
    minMs: 1,
    maxMs: DAY_MS,
    default: 10,
  }),
  readmitLagThreshold: optional(
    duration({
      is: "An evicted replica returns only below this; from 2 × interval + timeout to replicaLagThreshold. Default: half of replicaLagThreshold.",
      minMs: 1,
      maxMs: DAY_MS,
      default: "5s",
      example: "5s",
    }),
  ),
  healthCheck: sectionWithDefaults(healthCheckShape, "Probes, on a connection of their own to each node."),
  retries: sectionWithDefaults(retriesShape, "What happens to a statement whose node fails."),
  fallback: sectionWithDefaults(fallbackShape, "Reads while no replica is eligible."),
  slowStart: duration({
    is: "How long a returning replica takes to get back to its full share; 0 for at once.",
    minMs: 0,
    maxMs: HOUR_MS,
    default: "5s",
  }),
  lagNudge: flag({
    is: "Lets the monitor write a WAL message on an idle primary, at most one an interval, so that lag stays provable.",
    default: true,
  }),
  whenPrimaryUnknown: word({
    is: "While the primary cannot be asked, lag cannot be judged: replicas go on serving, or reject.",
    of: ["serve", "reject"],
    default: "serve",
  }),
  readYourWrites: word({
    is: "client: after a write, that client's reads go to the primary until a replica is proved to have it.",
    of: ["client", "off"],
    default: "client",
  }),
  classifyMaxBytes: integer({
    is: "Longer statements that may read go to the primary unread: looking at them blocks the process.",
    unit: "bytes",
    min: 1,
    max: 1_048_576,
    default: 32_768,
  }),
  readReplicas: list(section(replicaShape, "One replica."), "The replicas, in any order."),
};

/** A whole file, as far as the router reads it. */
export const dbSchema: Field<DbValues> = section(dbShape, "The database and its replicas.");
