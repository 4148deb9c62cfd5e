/** How a replica finds and follows its primary: the connection string, the slot, the password file. */
import { isIPv4 } from "node:net";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export type SslMode = "disable" | "require" | "verify-ca" | "verify-full";

export interface PrimaryConninfo {
  /** Where the replica connects to: the primary itself, or the proxy in front of it. */
  readonly upstream: Address;
  /** The replica's name; it shows up in `pg_stat_replication.application_name`. */
  readonly node: string;
  readonly user: string;
  /** A libpq password file. The password itself stays out of settings, views and logs. */
  readonly passwordFile: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string;
}

/**
 * The value of `primary_conninfo`.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
export function primaryConninfo(options: PrimaryConninfo): string {
  const { host, port } = options.upstream;
  // Before 15, libpq compares an address with the certificate's names only. The loopback has one: localhost.
  const target = isLoopback(host) ? { host: "localhost", hostaddr: host } : { host };
  return formatConninfo({
    ...target,
    port: String(port),
    user: options.user,
    passfile: options.passwordFile,
    application_name: options.node,
    sslmode: options.sslMode,
    sslrootcert: options.sslRootCert,
    // Asking for GSSAPI first would cost each reconnect a round trip.
    gssencmode: "disable",
  });
}

/** `key='value' …`, escaped as libpq wants it. */
export function formatConninfo(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([key, value]) => `${key}='${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`)
    .join(" ");
}

function isLoopback(host: string): boolean {
  return isIPv4(host) && host.startsWith("127.");
}

/** A password file that serves every host and port, for one user. Must be 0600 and the server's own. */
export function formatPasswordFile(user: string, password: string): string {
  return `*:*:*:${escapeField(user)}:${escapeField(password)}\n`;
}

function escapeField(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll(":", "\\:");
}

/** The name of the physical slot that a node uses on its primary: `replica-1` → `replica_1`. */
export function slotName(node: string): string {
  return node.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
}
