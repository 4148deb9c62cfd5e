/**
 * What the router itself has to say when a call fails. PostgreSQL's own errors pass through untouched
 * (as `pg` throws them); a {@link RouterError} says what the router knows beyond them.
 */

export type RouterErrorCode =
  /** The configuration is invalid; the message has `file:line:col: what, value, limit`. */
  | "CONFIG_INVALID"
  /** The primary cannot be reached, so a write fails at once. Reads go on. */
  | "NO_PRIMARY"
  /** Neither a replica nor (as configured) the primary can serve the read. */
  | "NO_ELIGIBLE_NODE"
  /** The connection was lost after the statement was sent: a write may or may not have happened. */
  | "UNKNOWN_OUTCOME"
  /** The node went away while it served the statement, and it could not be run elsewhere. */
  | "NODE_LOST"
  /** No connection of the node's pool came free within the deadline. The node itself may be well. */
  | "POOL_EXHAUSTED"
  /** The call's total deadline passed. */
  | "DEADLINE_EXCEEDED"
  /** `query("BEGIN")` on the pool itself would spread a transaction over connections: use `connect()`. */
  | "TRANSACTION_NEEDS_CLIENT"
  /** What was asked cannot work behind a transaction pooler. */
  | "POOLER_UNSUPPORTED"
  /** The router or client has been closed. */
  | "CLOSED";

export interface RouterErrorOptions {
  readonly node?: string | undefined;
  readonly cause?: unknown;
}

/** An expected failure, with a code to branch on and the node that it is about. */
export class RouterError extends Error {
  override readonly name = "RouterError";
  readonly code: RouterErrorCode;
  /** The node's name from the configuration, when the failure is about one node. */
  readonly node: string | undefined;

  constructor(code: RouterErrorCode, message: string, options: RouterErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.node = options.node;
  }
}

/** What an error says; of several that come as one without words, what each says. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
