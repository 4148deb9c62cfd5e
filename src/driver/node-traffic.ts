/**
 * The traffic of one node: its pool, and what is in flight on it. When the node is lost, everything in flight is let go at
 * once instead of waiting for a socket that will never answer.
 */
import type { QueryResult } from "pg";
import type { NodeConfig } from "../config/config.ts";
import { RouterError } from "../errors.ts";
import type {
  Connection,
  ConnectionPool,
  Driver,
  PoolCounts,
  PoolListener,
  PooledConnection,
  QueryCallback,
  QueryInput,
} from "./driver.ts";
import { ownConfig } from "./query-config.ts";
import { isFatal, meaningOf, sqlstateOf } from "./sqlstate.ts";

export type NodeRole = "primary" | "replica";

/** How a run or a checkout failed. `sent`: the first byte of the statement had been handed to the socket. */
export interface Failure {
  readonly error: unknown;
  readonly sent: boolean;
  /** We ended it because the node was declared down, or the call's deadline passed. */
  readonly aborted: boolean;
}

export type Finish<T> = (failure: Failure | undefined, value: T | undefined) => void;

export interface NodeTrafficOptions {
  readonly driver: Driver;
  readonly role: NodeRole;
  /** The deadline of a CancelRequest. */
  readonly cancelTimeoutMs: number;
  /** A connection was lost, or a server turned out to have another role: the node is suspect. */
  readonly onSuspect: () => void;
  /** Told what happens to the pool's connections. */
  readonly onPoolEvent?: PoolListener;
}

/** Something that waits for this node and can be told to stop. */
interface Job {
  /** Has no connection yet, so that nothing has been sent. */
  readonly isWaiting: boolean;
  abort(error: Error): void;
}

export class NodeTraffic {
  readonly node: NodeConfig;
  readonly #options: NodeTrafficOptions;
  readonly #inFlight = new Set<Job>();
  /** Pools that hand out no more, until their last connection has been closed. */
  readonly #retired = new Map<ConnectionPool, Promise<void>>();
  #pool: ConnectionPool;
  #whenIdle: (() => void)[] = [];

  constructor(node: NodeConfig, options: NodeTrafficOptions) {
    this.node = node;
    this.#options = options;
    this.#pool = this.#openPool();
  }

  /** Whether this traffic can go on under that configuration: the same server, reached in the same way. */
  isFor(node: NodeConfig): boolean {
    return this.node.password === node.password && reachedBy(this.node) === reachedBy(node);
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  counts(): PoolCounts {
    return this.#pool.counts();
  }

  /** Runs one statement on a connection of the pool. `keep` says afterwards whether the connection is used again. */
  run(
    input: QueryInput,
    values: unknown[] | undefined,
    leavesState: boolean,
    finish: Finish<QueryResult>,
  ): Job {
    const run = new Run(this, input, values, leavesState, finish);
    this.#inFlight.add(run);
    this.#pool.checkout((error, connection) => run.checkedOut(error, connection));
    return run;
  }

  /** Checks a connection out for several statements. */
  lease(finish: Finish<Lease>): Job {
    const lease = new PendingLease(this, finish);
    this.#inFlight.add(lease);
    this.#pool.checkout((error, connection) => lease.checkedOut(error, connection));
    return lease;
  }

  /** The node has been declared down: ends what is in flight and what is idle, and starts over with a new pool. */
  abandon(cause: unknown): void {
    const lost = this.#pool;
    // First: what is let go may come back at once.
    this.#pool = this.#openPool();
    this.#abort(this.#lostError("was declared down", cause));
    this.#retire(lost);
    lost.destroy();
  }

  /** The node may not serve for now: what still waits for a connection goes elsewhere, what runs finishes. */
  letGoWaiting(): void {
    const reason = this.#lostError("was evicted before a connection came free");
    for (const job of Array.from(this.#inFlight)) if (job.isWaiting) job.abort(reason);
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Hands out no connection any more; resolves when the last one has been given back and closed. */
  async end(): Promise<void> {
    this.#retire(this.#pool);
    await Promise.all(this.#retired.values());
  }

  /** Ends everything at once: what runs, what waits, and what is held by somebody who may never let go. */
  close(reason: Error): void {
    this.#retire(this.#pool);
    this.#abort(reason);
    for (const pool of this.#retired.keys()) pool.destroy();
  }

  /** @internal for the jobs of this file */
  done(job: Job): void {
    this.#inFlight.delete(job);
    if (this.#inFlight.size > 0 || this.#whenIdle.length === 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** @internal A connection in the wrong role is of no use, and says that the whole node has changed. */
  hasWrongRole(connection: Connection): boolean {
    const { inHotStandby } = connection;
    return inHotStandby !== undefined && inHotStandby !== (this.#options.role === "replica");
  }

  /** @internal */
  suspect(): void {
    this.#options.onSuspect();
  }

  /** @internal Destroying a socket leaves the backend running: ask the server to stop it too. */
  cancel(connection: Connection): void {
    this.#options.driver.cancel(this.node, connection, this.#options.cancelTimeoutMs);
    connection.destroy();
  }

  /** @internal */
  wrongRoleError(): RouterError {
    const is = this.#options.role === "replica" ? "is no longer a standby" : "is a standby";
    return this.#lostError(is);
  }

  #lostError(what: string, cause?: unknown): RouterError {
    const why = cause instanceof Error ? ` (${cause.message})` : "";
    return new RouterError("NODE_LOST", `"${this.node.name}" ${what}${why}`, { node: this.node.name, cause });
  }

  #abort(reason: Error): void {
    // A copy: what is let go may come back at once.
    for (const job of Array.from(this.#inFlight)) job.abort(reason);
  }

  #openPool(): ConnectionPool {
    return this.#options.driver.openPool(this.node, () => this.suspect(), this.#options.onPoolEvent);
  }

  #retire(pool: ConnectionPool): void {
    if (this.#retired.has(pool)) return;
    const ended = pool.end().finally(() => this.#retired.delete(pool));
    this.#retired.set(pool, ended);
  }
}

/** Everything that makes connections to a node what they are, its share of the reads left out. */
function reachedBy({ weight: _weight, ...rest }: NodeConfig): string {
  return JSON.stringify(rest);
}

/** One statement. A class rather than closures: one allocation a query. */
class Run implements Job {
  readonly #traffic: NodeTraffic;
  readonly #input: QueryInput;
  readonly #values: unknown[] | undefined;
  readonly #leavesState: boolean;
  readonly #finish: Finish<QueryResult>;
  #connection: PooledConnection | undefined;
  #finished = false;

  get isWaiting(): boolean {
    return this.#connection === undefined;
  }

  constructor(
    traffic: NodeTraffic,
    input: QueryInput,
    values: unknown[] | undefined,
    leavesState: boolean,
    finish: Finish<QueryResult>,
  ) {
    this.#traffic = traffic;
    this.#input = input;
    this.#values = values;
    this.#leavesState = leavesState;
    this.#finish = finish;
  }

  checkedOut(error: Error | undefined, connection: PooledConnection | undefined): void {
    if (this.#finished) {
      connection?.release();
      return;
    }
    if (connection === undefined) {
      this.#fail(error, false);
      return;
    }
    if (this.#traffic.hasWrongRole(connection)) {
      connection.release(true);
      this.#fail(this.#traffic.wrongRoleError(), false);
      return;
    }
    this.#connection = connection;
    try {
      connection.query(ownConfig(this.#input), this.#values, (queryError, result) =>
        this.#answered(queryError, result),
      );
    } catch (thrown) {
      // `pg` throws on a malformed call before anything is sent.
      connection.release();
      this.#fail(thrown, false);
    }
  }

  #answered(error: Error | null | undefined, result: QueryResult): void {
    if (this.#finished) return;
    const connection = this.#connection as PooledConnection;
    if (error !== null && error !== undefined) {
      connection.release(this.#leavesState || !leavesConnectionWell(error));
      this.#fail(error, true);
      return;
    }
    this.#finished = true;
    // A transaction that a multi-statement text left open, or session state, must not meet the next caller.
    connection.release(this.#leavesState || connection.getTransactionStatus() !== "I");
    this.#traffic.done(this);
    this.#finish(undefined, result);
  }

  abort(error: Error): void {
    if (this.#finished) return;
    const connection = this.#connection;
    this.#finished = true;
    this.#traffic.done(this);
    if (connection !== undefined) {
      this.#traffic.cancel(connection);
      connection.release(true);
    }
    this.#finish({ error, sent: connection !== undefined, aborted: true }, undefined);
  }

  #fail(error: unknown, sent: boolean): void {
    this.#finished = true;
    this.#traffic.done(this);
    if (isNodeTrouble(error)) this.#traffic.suspect();
    this.#finish({ error, sent, aborted: false }, undefined);
  }
}

/**
 * Whether a connection can be used again after its statement failed so. An error that PostgreSQL did not speak (a query
 * timeout of `pg`) may leave the statement running on it.
 */
function leavesConnectionWell(error: unknown): boolean {
  if (sqlstateOf(error) === undefined || isFatal(error)) return false;
  const meaning = meaningOf(error);
  return (
    meaning === "statement" ||
    meaning === "refused-by-standby" ||
    meaning === "unknown-object" ||
    meaning === "recovery-conflict"
  );
}

function isNodeTrouble(error: unknown): boolean {
  if (error instanceof RouterError && error.code === "NODE_LOST") return true;
  const meaning = meaningOf(error);
  return meaning === "connection-lost" || meaning === "server-unavailable";
}

class PendingLease implements Job {
  readonly #traffic: NodeTraffic;
  readonly #finish: Finish<Lease>;
  #lease: Lease | undefined;
  #finished = false;

  get isWaiting(): boolean {
    return this.#lease === undefined;
  }

  constructor(traffic: NodeTraffic, finish: Finish<Lease>) {
    this.#traffic = traffic;
    this.#finish = finish;
  }

  checkedOut(error: Error | undefined, connection: PooledConnection | undefined): void {
    if (this.#finished) {
      connection?.release();
      return;
    }
    if (connection !== undefined && !this.#traffic.hasWrongRole(connection)) {
      this.#finished = true;
      this.#lease = new Lease(this.#traffic, connection, () => this.#traffic.done(this));
      this.#finish(undefined, this.#lease);
      return;
    }
    this.#finished = true;
    connection?.release(true);
    this.#traffic.done(this);
    const reason = connection === undefined ? error : this.#traffic.wrongRoleError();
    if (isNodeTrouble(reason)) this.#traffic.suspect();
    this.#finish({ error: reason, sent: false, aborted: false }, undefined);
  }

  abort(error: Error): void {
    if (this.#lease !== undefined) {
      this.#lease.abort(error);
      return;
    }
    if (this.#finished) return;
    this.#finished = true;
    this.#traffic.done(this);
    this.#finish({ error, sent: false, aborted: true }, undefined);
  }
}

/** One connection held for several statements: a transaction, a session, a cursor. */
export class Lease {
  readonly node: string;
  readonly connection: PooledConnection;
  readonly #traffic: NodeTraffic;
  readonly #onRelease: () => void;
  #released = false;
  /** Why the connection was taken away while it was held. */
  lost: Error | undefined;

  constructor(traffic: NodeTraffic, connection: PooledConnection, onRelease: () => void) {
    this.node = traffic.node.name;
    this.connection = connection;
    this.#traffic = traffic;
    this.#onRelease = onRelease;
  }

  /** Runs one statement; rejects with what the server or the connection said. */
  query(input: QueryInput, values?: unknown[]): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.run(input, values, (error, result) => {
        if (error === null || error === undefined) resolve(result);
        else reject(error);
      });
    });
  }

  /** The same, for callers that count promises. */
  run(input: QueryInput, values: unknown[] | undefined, callback: QueryCallback): void {
    this.connection.query(ownConfig(input), values, (error, result) => {
      if (error !== null && error !== undefined) this.failed(error);
      callback(error, result);
    });
  }

  /** Takes down what went wrong on it: a lost connection makes the node suspect. */
  failed(error: unknown): void {
    if (isNodeTrouble(error)) this.#traffic.suspect();
  }

  /** Gives the connection back, once; with `destroy`, or after it was lost, it is closed. */
  release(destroy = false): void {
    if (this.#released) return;
    this.#released = true;
    this.connection.release(destroy || this.lost !== undefined);
    this.#onRelease();
  }

  /** @internal */
  abort(error: Error): void {
    this.lost = error;
    this.#traffic.cancel(this.connection);
  }
}
