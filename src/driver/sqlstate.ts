/**
 * What an error means for the router: the one place where foreign errors are read. Everything that `pg` rejects with
 * falls into one of these classes.
 */
import { DeadlineError } from "../runtime/clock.ts";
import { RouterError } from "../errors.ts";

export type ErrorMeaning =
  /** The connection, or the whole server, is gone: nobody knows what became of a statement that had been sent. */
  | "connection-lost"
  /** The server ended this one connection, or refuses because it starts, stops or recovers. */
  | "server-unavailable"
  /** Recovery on a standby, or a deadlock with it, cancelled the statement: elsewhere it will run. */
  | "recovery-conflict"
  /** The standby will not run this statement: it belongs on the primary. */
  | "refused-by-standby"
  /** A cached plan no longer fits; the same statement on a fresh connection will run. */
  | "stale-plan"
  /** The standby does not know an object, which may be newer than what it has replayed. */
  | "unknown-object"
  /** No connection to be had, although the server is well. */
  | "saturated"
  /** Anything else: the statement's own error, for the caller. */
  | "statement";

export function meaningOf(error: unknown): ErrorMeaning {
  if (error instanceof RouterError) {
    return error.code === "POOL_EXHAUSTED" ? "saturated" : "statement";
  }
  if (error instanceof DeadlineError) return "connection-lost";
  const sqlstate = sqlstateOf(error);
  if (sqlstate === undefined) return isConnectionError(error) ? "connection-lost" : "statement";
  if (sqlstate === "0A000" && routineOf(error) === "RevalidateCachedQuery") return "stale-plan";
  // Not class 08 as such: a wrong number of values is an ERROR of 08P01, and the connection lives on.
  return BY_SQLSTATE[sqlstate] ?? (isFatal(error) ? "connection-lost" : "statement");
}

const BY_SQLSTATE: Readonly<Record<string, ErrorMeaning>> = {
  "25006": "refused-by-standby",
  "0A000": "refused-by-standby",
  "55000": "refused-by-standby",
  "40001": "recovery-conflict",
  "40P01": "recovery-conflict",
  "42P01": "unknown-object",
  "42703": "unknown-object",
  "42883": "unknown-object",
  "42704": "unknown-object",
  "3F000": "unknown-object",
  "53300": "saturated",
  "57P01": "server-unavailable",
  "57P02": "server-unavailable",
  "57P03": "server-unavailable",
  "57P04": "server-unavailable",
  "57P05": "server-unavailable",
};

/** The five characters PostgreSQL gave, if it was PostgreSQL who spoke. */
export function sqlstateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  const severity = (error as { severity?: unknown } | null)?.severity;
  return typeof code === "string" && typeof severity === "string" && code.length === 5 ? code : undefined;
}

/** FATAL and PANIC end the connection: unlike an ERROR they do not prove that the statement was rolled back. */
export function isFatal(error: unknown): boolean {
  const severity = (error as { severity?: unknown } | null)?.severity;
  return severity === "FATAL" || severity === "PANIC";
}

function routineOf(error: unknown): unknown {
  return (error as { routine?: unknown } | null)?.routine;
}

const SYSTEM_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** `pg` tells these apart by text alone. */
const PG_TEXTS: readonly string[] = [
  "Connection terminated",
  "Client has encountered a connection error",
  "Client was closed",
  "timeout expired",
  "There was an error establishing an SSL connection",
];

function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && SYSTEM_CODES.has(code)) return true;
  return PG_TEXTS.some((text) => error.message.startsWith(text));
}

/** The server turned this way of connecting down, so that an sslmode's other attempt is due. */
export function isTlsRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.message.startsWith("The server does not support SSL connections") ||
    (isFatal(error) && sqlstateOf(error) === "28000")
  );
}
