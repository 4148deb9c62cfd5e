/** What the router knows of a statement before it runs: where it may go, why, and what it leaves behind. */

/** Why a statement may be served by a replica. */
export type ReplicaReason =
  /** Everything in it is proven to read. */
  | "select"
  /** EXPLAIN of a statement that is proven to read. */
  | "explain"
  /** The text asks for it: a comment that says `fairlead: replica`. */
  | "hint-replica";

/** Why a statement goes to the primary. */
export type PrimaryReason =
  // Proven: by the statement itself.
  | "insert"
  | "update"
  | "delete"
  | "merge"
  | "ddl"
  | "maintenance"
  | "copy"
  | "call"
  | "do"
  | "lock"
  | "locking-clause"
  | "writing-cte"
  | "select-into"
  // Proven: by what it names.
  | "primary-only-function"
  | "unlogged-table"
  | "temp-object"
  // Proven: it works on the session or the transaction.
  | "transaction-control"
  | "session-state"
  | "set"
  | "listen"
  | "notify"
  | "prepared-statement"
  | "cursor"
  // Not proven to read.
  | "volatile-function"
  | "opaque-function"
  | "unknown-function"
  | "writing-view"
  | "writing-policy"
  | "tainted-operator"
  | "tainted-cast"
  | "tainted-type"
  | "foreign-table"
  | "unknown-relation"
  | "unknown-type"
  | "unknown-statement"
  | "catalogue-not-loaded"
  | "multi-statement"
  // Not read: longer than the limit, or so much to parse that it is done aside and routed from the next time on.
  | "too-long"
  | "not-read-yet"
  | "unparsable"
  // Proven to read, yet the answer belongs to one node.
  | "node-local"
  | "empty"
  // Judged to read, but a replica refused it a while ago.
  | "refused-before"
  // The text asks for it: a comment that says `fairlead: primary`.
  | "hint-primary";

export type ClassificationReason = ReplicaReason | PrimaryReason;

export interface TransactionEffect {
  /**
   * What is true after the text has run: `begin` – a transaction is open, `end` – none is, `savepoint` – whatever
   * was open still is (SAVEPOINT, RELEASE, ROLLBACK TO, COMMIT AND CHAIN).
   */
  readonly command: "begin" | "end" | "savepoint";
  /** `BEGIN READ ONLY`. Always false for a text of several statements. */
  readonly readOnly: boolean;
  /** `BEGIN ISOLATION LEVEL SERIALIZABLE`, which a standby refuses even when it is READ ONLY. */
  readonly serializable: boolean;
}

export interface Classification {
  readonly target: "replica" | "primary";
  readonly reason: ClassificationReason;
  /** What proved it, for `explain`: `nextval()`, `view totals → f()`. */
  readonly detail?: string;
  readonly transaction?: TransactionEffect;
  /**
   * Something stays in the session (SET, PREPARE, LISTEN, a temporary table, a session-level advisory lock …): a
   * checked-out client is pinned to the primary until it is released.
   */
  readonly pinsSession: boolean;
  /** It provably needs the primary, as opposed to "not proven to read" and to "belongs to one node". */
  readonly certainWrite: boolean;
  /** False only when the statement is known to read, wherever it goes: it may be retried and staled nothing. */
  readonly mayWrite: boolean;
  /**
   * Equal for statements that name the same functions, relations, operators and types: what refusals are kept by.
   * Empty for what was not parsed.
   */
  readonly fingerprint: string;
  /** It names something the catalogue does not know. The next catalogue may judge otherwise. */
  readonly missed: boolean;
}

/** A connection that it ran on outside a client of its caller's cannot be used by anybody else. */
export function leavesState({ pinsSession, reason }: Classification): boolean {
  return pinsSession || reason === "multi-statement";
}
