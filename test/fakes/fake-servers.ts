/**
 * Servers that exist in memory, behind the driver's seam: they answer probes and statements after a latency of fake
 * time, can be killed, frozen, promoted, and keep a record of everything that was asked of them.
 */
import type { QueryResult } from "pg";
import type { NodeConfig } from "../../src/config/config.ts";
import type {
  ConnectOptions,
  Connection,
  ConnectionPool,
  Driver,
  PoolCounts,
  PooledConnection,
  QueryCallback,
  QueryInput,
} from "../../src/driver/driver.ts";
import { NUDGE_SQL, PROBE_SQL } from "../../src/driver/probe-sql.ts";
import { textOf } from "../../src/driver/query-config.ts";
import { RouterError } from "../../src/errors.ts";
import { formatLsn } from "../../src/routing/lsn.ts";
import { withDeadline } from "../../src/runtime/clock.ts";
import type { FakeClock } from "./fake-clock.ts";

/** An error as `pg` throws it when PostgreSQL said it. */
export function pgError(code: string, options: { severity?: string; routine?: string } = {}): Error {
  const { severity = "ERROR", routine } = options;
  return Object.assign(new Error(`error ${code}`), { code, severity, routine });
}

export type Answer =
  | { readonly rows?: readonly object[]; readonly command?: string; readonly status?: "I" | "T" | "E" }
  | { readonly error: Error }
  /** It never answers. */
  | "silence"
  /** The connection breaks instead. */
  | "break";

export interface Asked {
  readonly text: string;
  readonly name: string | undefined;
  readonly at: number;
  readonly connection: FakeConnection;
}

export class FakeServer {
  readonly name: string;
  readonly #clock: FakeClock;
  role: "primary" | "replica";
  systemId = "7301";
  timeline = 1;
  /** Insert position of a primary, replay position of a replica. */
  position = 0x1000000;
  paused = false;
  state: "up" | "refusing" | "silent" = "up";
  latencyMs = 1;
  /** A pooler stands before it: the process that answers is not the one that said hello. */
  behindPooler = false;
  /** What its connections say about being a standby; `undefined` for nothing. */
  saysStandby = true;
  /** How it answers statements; a row with its name by default. */
  answer: (asked: Asked) => Answer | undefined = () => undefined;
  /** How it answers a probe; with what is true of it by default. */
  answerToProbe: () => Answer | undefined = () => undefined;
  /** Statements of the traffic, in order. */
  readonly asked: Asked[] = [];
  /** When each probe arrived. */
  readonly probedAt: number[] = [];
  readonly nudgedAt: number[] = [];
  readonly cancelled: Connection[] = [];
  readonly connections: Set<FakeConnection> = new Set<FakeConnection>();
  connectsAsked = 0;

  constructor(name: string, role: "primary" | "replica", clock: FakeClock) {
    this.name = name;
    this.role = role;
    this.#clock = clock;
  }

  /** Its sockets are closed, and new ones refused. */
  kill(): void {
    this.state = "refusing";
    for (const connection of this.connections)
      connection.lose(new Error("Connection terminated unexpectedly"));
  }

  /** Nothing answers any more, and no socket is closed. */
  freeze(): void {
    this.state = "silent";
  }

  start(): void {
    this.state = "up";
  }

  promote(): void {
    this.role = "primary";
    this.timeline += 1;
  }

  /** @internal */
  connected(connection: FakeConnection): void {
    this.connections.add(connection);
  }

  /** @internal What is asked arrives, and its answer leaves, unless the server does not answer. */
  receive(input: QueryInput, connection: FakeConnection, callback: QueryCallback): void {
    if (this.state === "silent") return;
    const text = textOf(input);
    const answer = this.#answerTo(text, input, connection);
    if (answer === "silence") return;
    if (answer === "break") {
      connection.lose(new Error("Connection terminated unexpectedly"));
      return;
    }
    this.#clock.arrive(this.latencyMs, () => {
      if (this.state === "silent" || !connection.isOpen) return;
      if ("error" in answer) callback(answer.error, undefined as unknown as QueryResult);
      else {
        connection.status = answer.status ?? "I";
        callback(null, {
          rows: answer.rows ?? [{ node: this.name }],
          command: answer.command ?? "SELECT",
        } as QueryResult);
      }
    });
  }

  #answerTo(text: string, input: QueryInput, connection: FakeConnection): Answer {
    if (text === PROBE_SQL) {
      this.probedAt.push(this.#clock.now());
      return this.answerToProbe() ?? { rows: [this.#probeRow(connection)] };
    }
    if (text === NUDGE_SQL) {
      this.nudgedAt.push(this.#clock.now());
      return {};
    }
    if (text.includes("signature")) return { rows: [{ signature: "1" }] };
    if (text.includes("pg_catalog")) return { rows: [] };
    const asked: Asked = {
      text,
      name: typeof input === "string" ? undefined : input.name,
      at: this.#clock.now(),
      connection,
    };
    this.asked.push(asked);
    return this.answer(asked) ?? {};
  }

  #probeRow(connection: FakeConnection): object {
    const isReplica = this.role === "replica";
    const position = formatLsn(this.position);
    return {
      recovery: isReplica,
      backend_pid: this.behindPooler ? 999 : connection.processID,
      version: 180_004,
      system_id: this.systemId,
      timeline: this.timeline,
      insert_lsn: isReplica ? null : position,
      flush_lsn: isReplica ? null : position,
      replay_lsn: isReplica ? position : null,
      pause_state: isReplica ? (this.paused ? "paused" : "not paused") : null,
      receivers: isReplica ? 1 : 0,
      receiver_status: isReplica ? "streaming" : null,
      block_bytes: 8192,
      segment_bytes: "16777216",
      wal_writer_delay_ms: 200,
    };
  }
}

let nextProcessId = 1000;

export class FakeConnection implements Connection {
  readonly processID: number = nextProcessId++;
  readonly #server: FakeServer;
  readonly #clock: FakeClock;
  readonly #onLost: (error: Error, connection: FakeConnection) => void;
  #running: QueryCallback | undefined;
  isOpen = true;
  status: "I" | "T" | "E" = "I";

  constructor(
    server: FakeServer,
    clock: FakeClock,
    onLost: (error: Error, connection: FakeConnection) => void,
  ) {
    this.#server = server;
    this.#clock = clock;
    this.#onLost = onLost;
    server.connected(this);
  }

  get inHotStandby(): boolean | undefined {
    return this.#server.saysStandby ? this.#server.role === "replica" : undefined;
  }

  getTransactionStatus(): "I" | "T" | "E" {
    return this.status;
  }

  query(input: QueryInput, _values: unknown[] | undefined, callback: QueryCallback): void {
    if (!this.isOpen) {
      const error = new Error("Client has encountered a connection error and is not queryable");
      this.#clock.arrive(0, () => callback(error, undefined as unknown as QueryResult));
      return;
    }
    const running: QueryCallback = (error, result) => {
      if (this.#running !== running) return;
      this.#running = undefined;
      callback(error, result);
    };
    this.#running = running;
    this.#server.receive(input, this, running);
  }

  /** The socket breaks: what runs on it fails, else its owner is told. */
  lose(error: Error): void {
    if (!this.isOpen) return;
    this.#close();
    this.#clock.arrive(0, () => {
      if (this.#running === undefined) this.#onLost(error, this);
      else this.#running(error, undefined as unknown as QueryResult);
    });
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.#close();
    const error = new Error("Connection terminated unexpectedly");
    this.#clock.arrive(0, () => this.#running?.(error, undefined as unknown as QueryResult));
  }

  async end(): Promise<void> {
    this.#close();
  }

  #close(): void {
    this.isOpen = false;
    this.#server.connections.delete(this);
  }
}

class FakePooledConnection extends FakeConnection implements PooledConnection {
  /** How often it has been handed out, and given back. */
  checkouts = 0;
  releases = 0;
  giveBack: (destroy: boolean) => void = () => {};

  release(destroy = false): void {
    this.releases += 1;
    if (this.releases > this.checkouts) throw new Error("a connection was given back twice");
    this.giveBack(destroy);
  }
}

interface Waiting {
  readonly callback: (error: Error | undefined, connection: PooledConnection | undefined) => void;
  done: boolean;
}

class FakePool implements ConnectionPool {
  readonly #node: NodeConfig;
  readonly #server: FakeServer;
  readonly #clock: FakeClock;
  readonly #onLost: (error: Error) => void;
  readonly #all = new Set<FakePooledConnection>();
  #connecting = 0;
  #destroyed = false;
  #idle: FakePooledConnection[] = [];
  #waiting: Waiting[] = [];
  #ended: (() => void) | undefined;
  #ending: Promise<void> | undefined;

  constructor(node: NodeConfig, server: FakeServer, clock: FakeClock, onLost: (error: Error) => void) {
    this.#node = node;
    this.#server = server;
    this.#clock = clock;
    this.#onLost = onLost;
  }

  checkout(callback: Waiting["callback"]): void {
    if (this.#ending !== undefined) {
      callback(new Error("Cannot use a pool after calling end on the pool"), undefined);
      return;
    }
    const waiting: Waiting = { callback, done: false };
    const { connectionTimeoutMs, max } = this.#node.pool;
    this.#waiting.push(waiting);
    const timer = this.#clock.schedule(connectionTimeoutMs, () => {
      if (waiting.done) return;
      waiting.done = true;
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      const isFull = this.#all.size >= max;
      callback(
        isFull
          ? new RouterError("POOL_EXHAUSTED", "the pool is full")
          : new Error("Connection terminated due to connection timeout"),
        undefined,
      );
    });
    const { callback: original } = waiting;
    Object.assign(waiting, {
      callback: (error: Error | undefined, connection: PooledConnection | undefined) => {
        this.#clock.cancel(timer);
        original(error, connection);
      },
    });
    this.#clock.arrive(0, () => this.#serve());
    if (this.#idle.length === 0 && this.#all.size + this.#connecting < max) this.#connect(waiting);
  }

  /** As `pg.Pool` does: a failure to connect is told to whoever it was made for. */
  #connect(waiting: Waiting): void {
    this.#connecting += 1;
    this.#server.connectsAsked += 1;
    let settled = false;
    const timer = this.#clock.schedule(this.#node.pool.connectionTimeoutMs, () => {
      if (settled || this.#destroyed) return;
      settled = true;
      this.#connecting -= 1;
    });
    this.#clock.arrive(this.#server.latencyMs, () => {
      if (this.#destroyed) this.#clock.cancel(timer);
      if (this.#server.state === "silent" || this.#destroyed || settled) return;
      settled = true;
      this.#clock.cancel(timer);
      this.#connecting -= 1;
      if (this.#server.state === "refusing") {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        if (waiting.done) return;
        waiting.done = true;
        waiting.callback(
          Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
          undefined,
        );
        return;
      }
      if (this.#ending !== undefined) {
        this.#check();
        return;
      }
      const connection = new FakePooledConnection(this.#server, this.#clock, (error, lost) => {
        this.#remove(lost as FakePooledConnection);
        this.#onLost(error);
      });
      connection.giveBack = (destroy) => this.#released(connection, destroy);
      this.#all.add(connection);
      this.#idle.push(connection);
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#ending !== undefined) return;
    while (this.#idle.length > 0 && this.#waiting.length > 0) {
      const waiting = this.#waiting.shift() as Waiting;
      const connection = this.#idle.pop() as FakePooledConnection;
      waiting.done = true;
      connection.checkouts += 1;
      waiting.callback(undefined, connection);
    }
  }

  #released(connection: FakePooledConnection, destroy: boolean): void {
    if (destroy || !connection.isOpen || this.#ending !== undefined) {
      this.#remove(connection);
      void connection.end();
    } else this.#idle.push(connection);
    this.#check();
    // Somebody may wait for the place that has become free.
    const next = this.#waiting[0];
    if (next !== undefined && this.#idle.length === 0 && this.#ending === undefined) this.#connect(next);
    this.#clock.arrive(0, () => this.#serve());
  }

  #remove(connection: FakePooledConnection): void {
    this.#all.delete(connection);
    this.#idle = this.#idle.filter((other) => other !== connection);
  }

  #check(): void {
    if (this.#ending !== undefined && this.#all.size === 0) this.#ended?.();
  }

  counts(): PoolCounts {
    return {
      total: this.#all.size + this.#connecting,
      idle: this.#idle.length,
      waiting: this.#waiting.length,
    };
  }

  end(): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(new Error("Called end on pool more than once"));
    this.#ending = new Promise((resolve) => (this.#ended = resolve));
    for (const connection of Array.from(this.#idle)) {
      this.#remove(connection);
      void connection.end();
    }
    this.#check();
    return this.#ending;
  }

  destroy(): void {
    this.#destroyed = true;
    this.#connecting = 0;
    for (const connection of this.#all) connection.destroy();
  }
}

/** Every node's server, by the node's name. */
export class FakeDriver implements Driver {
  readonly #servers: ReadonlyMap<string, FakeServer>;
  readonly #clock: FakeClock;
  /** Connects although nobody waits any more, as a driver may that cannot be stopped. */
  ignoresSignals = false;
  readonly pools: { readonly node: NodeConfig; readonly pool: ConnectionPool }[] = [];

  constructor(servers: ReadonlyMap<string, FakeServer>, clock: FakeClock) {
    this.#servers = servers;
    this.#clock = clock;
  }

  server(name: string): FakeServer {
    const server = this.#servers.get(name);
    if (server === undefined) throw new Error(`there is no server called ${name}`);
    return server;
  }

  openPool(node: NodeConfig, onLost: (error: Error) => void): ConnectionPool {
    const pool = new FakePool(node, this.server(node.name), this.#clock, onLost);
    this.pools.push({ node, pool });
    return pool;
  }

  connect(node: NodeConfig, { timeoutMs, onLost, signal }: ConnectOptions): Promise<Connection> {
    const server = this.server(node.name);
    server.connectsAsked += 1;
    const connected = new Promise<Connection>((resolve, reject) => {
      if (!this.ignoresSignals) {
        signal?.addEventListener("abort", () => reject(new Error("Connection terminated unexpectedly")));
      }
      this.#clock.arrive(server.latencyMs, () => {
        if (server.state === "silent" || (signal?.aborted === true && !this.ignoresSignals)) return;
        if (server.state === "refusing") {
          reject(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }));
        } else resolve(new FakeConnection(server, this.#clock, (error) => onLost?.(error)));
      });
    });
    return withDeadline(this.#clock, connected, { what: `connecting to ${node.name}`, timeoutMs });
  }

  cancel(node: NodeConfig, connection: Connection): void {
    this.server(node.name).cancelled.push(connection);
  }
}
