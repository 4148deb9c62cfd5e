/**
 * The slice of a PostgreSQL client that the router needs, as a seam: `pg-driver.ts` is the application's own `pg`, the
 * simulator brings another. Callbacks where a query passes, because a promise more per query can be measured.
 */
import type { Client, QueryConfig, QueryResult } from "pg";
import type { NodeConfig } from "../config/config.ts";

/** A statement as `pg` takes it: text, or a config with `text`, `values`, `name`, `rowMode`, … */
export type QueryInput = string | QueryConfig;

export type QueryCallback = (error: Error | null | undefined, result: QueryResult) => void;

/** One connection. Its `error` events are always listened to: a lost idle connection never ends the process. */
export interface Connection {
  query(input: QueryInput, values: unknown[] | undefined, callback: QueryCallback): void;
  /** `I` idle, `T` in a transaction, `E` in a failed one: what the server said in its last ReadyForQuery. */
  getTransactionStatus(): "I" | "T" | "E" | null;
  /** The server's own word, without a query: `true` on a standby. `undefined` when it has not said (behind a pooler). */
  readonly inHotStandby: boolean | undefined;
  /** The backend's process id as the connection's start-up said; a pooler in between says something of its own. */
  readonly processID: number | null;
  /**
   * Calls back once the server takes the next statement, or the connection is gone: after an error, only then is the
   * transaction status true. Absent where a query's callback comes no sooner than that.
   */
  whenReady?(callback: () => void): void;
  /** Closes the socket at once; what was running fails. */
  destroy(): void;
  /** Says goodbye and closes; resolves in any case, also when the server does not close its side. */
  end(): Promise<void>;
}

export interface PooledConnection extends Connection {
  /** Gives it back; with `destroy` it is closed instead of being used again. */
  release(destroy?: boolean): void;
  /** The application's own `pg` client that this is, where it is one: for cursors, notifications, listeners. */
  readonly client?: Client;
}

export interface PoolCounts {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  /** Past their lifetime, and closed when they are given back. Absent where nobody counts them. */
  readonly expired?: number;
}

/** What happens to the connections of a pool, in the words of `pg.Pool`. */
export type PoolEvent = "connect" | "acquire" | "release" | "remove" | "error";

export type PoolListener = (event: PoolEvent, client: Client, error: Error | undefined) => void;

/** Traffic connections to one node, at most `pool.max`. */
export interface ConnectionPool {
  checkout(callback: (error: Error | undefined, connection: PooledConnection | undefined) => void): void;
  counts(): PoolCounts;
  /** Stops handing out, closes what is idle, and resolves when the last one has been given back and closed. */
  end(): Promise<void>;
  /** The same without a goodbye: every socket is closed at once, those in use and those being connected included. */
  destroy(): void;
}

export interface ConnectOptions {
  readonly timeoutMs: number;
  /** Told about a connection that is lost while nothing runs on it. */
  readonly onLost?: (error: Error) => void;
  /** Gives up connecting. A connection that has been made is not touched. */
  readonly signal?: AbortSignal;
}

export interface Driver {
  /** `onEvent` is told only by a driver over `pg`, whose clients it speaks of. */
  openPool(node: NodeConfig, onLost: (error: Error) => void, onEvent?: PoolListener): ConnectionPool;
  /** A connection outside any pool: for probes and the catalogue. Rejects when it is not ready in time. */
  connect(node: NodeConfig, options: ConnectOptions): Promise<Connection>;
  /** Best effort: asks the node, on a new connection, to cancel what runs on `connection`. Never throws. */
  cancel(node: NodeConfig, connection: Connection, timeoutMs: number): void;
}
