/** `router.transaction()`: one transaction on one connection, committed or rolled back before it goes back to the pool. */
import type { QueryResult, QueryResultRow } from "pg";
import type { QueryInput } from "./driver/driver.ts";
import { textOf } from "./driver/query-config.ts";
import type { Lease } from "./driver/node-traffic.ts";
import { meaningOf } from "./driver/sqlstate.ts";
import { nodeLost, unknownOutcome } from "./engine.ts";
import type { Engine, LeaseRequest } from "./engine.ts";
import { RouterError } from "./errors.ts";
import type { CausalContext } from "./session.ts";

export type IsolationLevel = "read committed" | "repeatable read" | "serializable";

export interface TransactionOptions {
  /** Only reads: may be served by a replica. @defaultValue false */
  readonly readOnly?: boolean;
  /** A standby refuses `serializable`, even when it only reads: such a transaction runs on the primary. @defaultValue the server's */
  readonly isolation?: IsolationLevel;
}

export interface Transaction {
  /** The node that it runs on. */
  readonly node: string;
  query<Row extends QueryResultRow = QueryResultRow>(
    query: QueryInput,
    values?: unknown[],
  ): Promise<QueryResult<Row>>;
}

export interface TransactionCaller {
  readonly context: CausalContext | undefined;
  /** Whether a statement leaves something in its session, which COMMIT keeps. */
  readonly leavesState: (text: string) => boolean;
}

export async function runTransaction<T>(
  engine: Engine,
  work: (transaction: Transaction) => Promise<T>,
  options: TransactionOptions,
  { context, leavesState }: TransactionCaller,
): Promise<T> {
  const readOnly = options.readOnly === true;
  const kind = readOnly && options.isolation !== "serializable" ? "read" : "write";
  const lease = await begun(engine, { kind, context }, beginStatement(options));
  let clean = false;
  let leftState = false;
  try {
    const result = await work({
      node: lease.node,
      query: <Row extends QueryResultRow>(query: QueryInput, values?: unknown[]) => {
        leftState ||= leavesState(textOf(query));
        return lease.query(query, values) as Promise<QueryResult<Row>>;
      },
    });
    await commit(lease, readOnly);
    clean = true;
    if (!readOnly && context !== undefined) context.writtenAt = engine.clock.now();
    return result;
  } catch (error) {
    if (isUnknownOutcome(error)) {
      if (context !== undefined) context.writtenAt = engine.clock.now();
      throw error;
    }
    clean = await rolledBack(lease, error);
    throw isLost(lease, error) ? nodeLost(lease.node, error) : error;
  } finally {
    lease.release(!clean || leftState);
  }
}

/** A transaction whose BEGIN was lost has done nothing yet: it begins on another connection. */
async function begun(engine: Engine, request: LeaseRequest, statement: string): Promise<Lease> {
  const avoid = new Set<string>();
  for (let attempt = 0; ; attempt++) {
    const lease = await engine.lease({ ...request, avoid });
    try {
      await lease.query(statement);
      return lease;
    } catch (error) {
      const lost = isLost(lease, error);
      lease.release(true);
      if (!lost) throw error;
      if (attempt >= engine.config.retries.max) throw nodeLost(lease.node, error);
      avoid.add(lease.node);
    }
  }
}

function isUnknownOutcome(error: unknown): boolean {
  return error instanceof RouterError && error.code === "UNKNOWN_OUTCOME";
}

function beginStatement({ readOnly, isolation }: TransactionOptions): string {
  const level = isolation === undefined ? "" : ` isolation level ${isolation}`;
  return `begin${level}${readOnly === true ? " read only" : ""}`;
}

/** Once COMMIT has been sent, a lost connection says nothing about whether it happened. */
async function commit(lease: Lease, readOnly: boolean): Promise<void> {
  let result: QueryResult;
  try {
    result = await lease.query("commit");
  } catch (error) {
    if (isLost(lease, error) && !readOnly) throw unknownOutcome(lease.node, error);
    throw error;
  }
  // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error.
  if (result.command === "ROLLBACK") {
    throw new Error("the transaction was rolled back at COMMIT, because a statement in it had failed");
  }
}

async function rolledBack(lease: Lease, error: unknown): Promise<boolean> {
  if (lease.lost !== undefined || isLost(lease, error)) return false;
  try {
    await lease.query("rollback");
    return true;
  } catch {
    return false;
  }
}

function isLost(lease: Lease, error: unknown): boolean {
  if (lease.lost !== undefined) return true;
  const meaning = meaningOf(error);
  return meaning === "connection-lost" || meaning === "server-unavailable";
}

export function transactionNeedsClient(text: string): RouterError {
  const command = text.trim().split(/\s+/, 1)[0] ?? "";
  return new RouterError(
    "TRANSACTION_NEEDS_CLIENT",
    `${command.toUpperCase()} on the router itself would spread a transaction over connections: ` +
      "use router.transaction(fn), or router.pool.connect() and its client",
  );
}
