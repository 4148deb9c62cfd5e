/** The driver seam over the application's own `pg`. */
import type { Socket } from "node:net";
import { Client, Pool } from "pg";
import type { ClientConfig, PoolConfig } from "pg";
import type { NodeConfig } from "../config/config.ts";
import { RouterError } from "../errors.ts";
import { withDeadline } from "../runtime/clock.ts";
import type { Clock } from "../runtime/clock.ts";
import type {
  ConnectOptions,
  ConnectionPool,
  Driver,
  PoolCounts,
  PoolListener,
  PooledConnection,
} from "./driver.ts";
import { isTlsRefused, meaningOf } from "./sqlstate.ts";

/** How long a server may take to close its side of a connection that has been ended. */
const GOODBYE_MS = 500;

/** Parts of `pg`'s client that its types leave out. */
interface ClientInternals {
  readonly connection: NodeJS.EventEmitter & {
    readonly stream: { destroy(): void };
    readonly _connecting?: boolean;
  };
  readonly secretKey: number | null;
  readonly readyForQuery?: boolean;
  readonly _ended?: boolean;
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

interface ReadyForQuery {
  readonly status: "I" | "T" | "E";
}

/**
 * `pg.Client` that remembers whether the server says it is a standby (`in_hot_standby` comes as a ParameterStatus from
 * PostgreSQL 14 on, and again when it changes), that always has an error listener, and whose end is certain.
 */
class RoleAwareClient extends Client {
  inHotStandby: boolean | undefined;
  declare readonly processID: number | null;
  readonly #clock: Clock;
  #transactionStatus: ReadyForQuery["status"] | null = null;

  constructor(config: ClientConfig, clock: Clock) {
    super(config);
    this.#clock = clock;
    const { connection } = internals(this);
    connection.on("parameterStatus", (message: ParameterStatus) => {
      if (message.parameterName === "in_hot_standby") this.inHotStandby = message.parameterValue === "on";
    });
    // Older `pg` does not tell it. This listener comes before that of `pg`, which calls back.
    connection.on("readyForQuery", (message: ReadyForQuery) => {
      this.#transactionStatus = message.status;
    });
    // The query that was running is failed by `pg` itself; without a listener the event would end the process.
    this.on("error", () => {});
  }

  get client(): this {
    return this;
  }

  override getTransactionStatus(): ReadyForQuery["status"] | null {
    return this.#transactionStatus;
  }

  /** `pg` fails a query at the server's ERROR, before its ReadyForQuery, which `drain` follows. */
  whenReady(callback: () => void): void {
    const { readyForQuery, _ended } = internals(this);
    if (readyForQuery === true || _ended === true) {
      callback();
      return;
    }
    const ready = (): void => {
      this.off("drain", ready);
      this.off("end", ready);
      callback();
    };
    this.on("drain", ready);
    this.on("end", ready);
  }

  /** Closes the socket at once. `pg` then fails what was running. */
  destroy(): void {
    internals(this).connection.stream.destroy();
  }

  /** `pg` waits for the server to close its side, which one that is frozen or cut off never does. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    const { connection, _ended } = internals(this);
    if (connection._connecting === true && _ended !== true) {
      const timer = this.#clock.schedule(GOODBYE_MS, () => this.destroy());
      connection.once("end", () => this.#clock.cancel(timer));
    }
    return callback === undefined ? super.end() : super.end(callback);
  }
}

/** A checked-out client is the connection itself: no wrapper on the way of a query. */
type PooledClient = RoleAwareClient & PooledConnection;

function internals(client: Client): ClientInternals {
  return client as unknown as ClientInternals;
}

export function createPgDriver(clock: Clock): Driver {
  const door = new Door(clock);
  return {
    openPool: (node, onLost, onEvent) => new PgConnectionPool(node, door, { onLost, onEvent }),
    connect: (node, options) => connectByAttempts(node, options, door),
    cancel: (node, connection, timeoutMs) => {
      if (connection instanceof RoleAwareClient) cancel(node, connection, { timeoutMs, door });
    },
  };
}

/** How a node is entered: which of its sslmode's attempts it accepted last; `allow` and `prefer` have two. */
class Door {
  readonly clock: Clock;
  readonly #accepted = new WeakMap<NodeConfig, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  attempt(node: NodeConfig): number {
    return this.#accepted.get(node) ?? 0;
  }

  /** The node turned an attempt down: another comes first from now on. */
  refused(node: NodeConfig, attempt: number): void {
    if (this.attempt(node) === attempt) this.#accepted.set(node, (attempt + 1) % node.tls.attempts.length);
  }
}

/** Tries an sslmode's attempts in order, the one that worked last time first. */
async function connectByAttempts(
  node: NodeConfig,
  options: ConnectOptions,
  door: Door,
): Promise<RoleAwareClient> {
  for (let left = node.tls.attempts.length - 1; ; left--) {
    const attempt = door.attempt(node);
    try {
      return await connectOnce(node, options, door.clock, attempt);
    } catch (error) {
      if (left === 0 || !isTlsRefused(error)) throw error;
      door.refused(node, attempt);
    }
  }
}

async function connectOnce(
  node: NodeConfig,
  { timeoutMs, onLost, signal }: ConnectOptions,
  clock: Clock,
  attempt: number,
): Promise<RoleAwareClient> {
  signal?.throwIfAborted();
  const client = new RoleAwareClient(clientConfig(node, attempt), clock);
  if (onLost !== undefined) client.on("error", onLost);
  const giveUp = (): void => client.destroy();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    await withDeadline(clock, client.connect(), {
      what: `connecting to "${node.name}" (${node.host}:${node.port})`,
      timeoutMs,
      onTimeout: giveUp,
    });
  } catch (error) {
    client.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  return client;
}

function clientConfig(node: NodeConfig, attempt: number): ClientConfig {
  const tls = node.tls.attempts[attempt] ?? false;
  return {
    host: node.host,
    port: node.port,
    user: node.user,
    password: node.password,
    database: node.database,
    application_name: node.applicationName,
    // `pg` hides the key on the object it is given: it gets a copy.
    ssl: tls === false ? false : { ...tls, ...serverName(node.host) },
    keepAlive: true,
  };
}

/** SNI takes host names only. */
function serverName(host: string): { servername?: string } {
  return /^[\d.]+$|:|^\//.test(host) ? {} : { servername: host };
}

interface PoolListeners {
  readonly onLost: (error: Error) => void;
  readonly onEvent: PoolListener | undefined;
}

class PgConnectionPool implements ConnectionPool {
  readonly #pool: Pool;
  readonly #idleMax: number;
  readonly #node: NodeConfig;
  readonly #door: Door;
  /** Everything that has a socket, also while it connects and while it says goodbye. */
  readonly #clients = new Set<RoleAwareClient>();
  #whenClosed: (() => void) | undefined;
  #ended: Promise<void> | undefined;

  constructor(node: NodeConfig, door: Door, { onLost, onEvent }: PoolListeners) {
    this.#node = node;
    this.#door = door;
    this.#idleMax = node.pool.idleMax;
    const config: PoolConfig = {
      Client: this.#clientClass(),
      max: node.pool.max,
      idleTimeoutMillis: node.pool.idleTimeoutMs,
      connectionTimeoutMillis: node.pool.connectionTimeoutMs,
      maxLifetimeSeconds: Math.ceil(node.pool.maxLifetimeMs / 1000),
    };
    this.#pool = new Pool(config);
    this.#pool.on("error", onLost);
    if (onEvent !== undefined) this.#tell(onEvent);
  }

  checkout(callback: (error: Error | undefined, connection: PooledConnection | undefined) => void): void {
    this.#checkout(this.#node.tls.attempts.length - 1, callback);
  }

  #checkout(
    attemptsLeft: number,
    callback: (error: Error | undefined, connection: PooledConnection | undefined) => void,
  ): void {
    const attempt = this.#door.attempt(this.#node);
    this.#pool.connect((error, client) => {
      if (error === undefined || error === null) {
        callback(undefined, this.#keepFewIdle(client as unknown as PooledClient));
      } else if (attemptsLeft > 0 && isTlsRefused(error)) {
        this.#door.refused(this.#node, attempt);
        this.#checkout(attemptsLeft - 1, callback);
      } else callback(checkoutError(this.#node, error), undefined);
    });
  }

  /** What `pg.Pool` makes its connections of: each asks anew how the node is entered, and is kept count of. */
  #clientClass(): new () => RoleAwareClient {
    const node = this.#node;
    const door = this.#door;
    const opened = (client: RoleAwareClient): void => {
      this.#clients.add(client);
      internals(client).connection.once("end", () => {
        this.#clients.delete(client);
        if (this.#clients.size === 0) this.#whenClosed?.();
      });
    };
    return class PooledRoleAwareClient extends RoleAwareClient {
      constructor() {
        super(clientConfig(node, door.attempt(node)), door.clock);
        opened(this);
      }
    };
  }

  #tell(onEvent: PoolListener): void {
    for (const event of ["connect", "acquire", "remove"] as const)
      this.#pool.on(event, (client) => onEvent(event, client as unknown as Client, undefined));
    for (const event of ["release", "error"] as const)
      this.#pool.on(event, (error, client) => onEvent(event, client as unknown as Client, error));
  }

  /** `pg.Pool` keeps every connection that is given back; beyond `maxIdleConns` it is closed instead. */
  #keepFewIdle(client: PooledClient): PooledClient {
    if (this.#idleMax < this.#node.pool.max) {
      const release = client.release.bind(client);
      client.release = (destroy) => release(destroy === true || this.#pool.idleCount >= this.#idleMax);
    }
    return client;
  }

  counts(): PoolCounts {
    const { totalCount, idleCount, waitingCount, expiredCount } = this.#pool;
    return { total: totalCount, idle: idleCount, waiting: waitingCount, expired: expiredCount };
  }

  /** Safe to call twice: who waits too long for connections that are out asks again, after destroying them. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await this.#pool.end();
    if (this.#clients.size === 0) return;
    // Those that were ended close by themselves; one that failed to connect may have been left as it was.
    const { clock } = this.#door;
    const timer = clock.schedule(GOODBYE_MS, () => this.#destroySockets());
    await new Promise<void>((resolve) => (this.#whenClosed = resolve));
    clock.cancel(timer);
  }

  destroy(): void {
    // Ended first, so that `pg` does not take what follows for a loss. It was ended before when `end` takes too long.
    void this.end();
    this.#destroySockets();
  }

  #destroySockets(): void {
    for (const client of this.#clients) client.destroy();
  }
}

/** Told apart here, once: a full pool is not a failed node. What else keeps us from connecting is one to us. */
function checkoutError(node: NodeConfig, error: Error): Error {
  if (error.message !== "timeout exceeded when trying to connect") {
    // A certificate that does not hold, a password that is not there: words of TLS or `pg`, not of the statement.
    if (meaningOf(error) !== "statement") return error;
    return new RouterError("NODE_LOST", error.message, { node: node.name, cause: error });
  }
  return new RouterError(
    "POOL_EXHAUSTED",
    `no connection to "${node.name}" came free within ${node.pool.connectionTimeoutMs} ms: ` +
      `all ${node.pool.max} are in use. Raise maxConnections, or shorten what holds them`,
    { node: node.name, cause: error },
  );
}

function cancel(
  node: NodeConfig,
  running: RoleAwareClient,
  { timeoutMs, door }: { readonly timeoutMs: number; readonly door: Door },
): void {
  const { processID } = running;
  const { secretKey } = internals(running);
  if (processID === null || secretKey === null) return;
  const attempt = door.attempt(node);
  const messenger = new RoleAwareClient(clientConfig(node, attempt), door.clock);
  const { connection } = internals(messenger) as unknown as { connection: CancellingConnection };
  connection.on("error", () => {});
  connection.on("connect", () => {
    if (node.tls.attempts[attempt] === false || node.tls.attempts[attempt] === undefined) {
      connection.cancel(processID, secretKey);
    } else connection.requestSsl();
  });
  connection.on("sslconnect", () => connection.cancel(processID, secretKey));
  connection.stream.setTimeout(timeoutMs, () => connection.stream.destroy());
  if (node.host.startsWith("/")) connection.connect(`${node.host}/.s.PGSQL.${node.port}`);
  else connection.connect(node.port, node.host);
}

interface CancellingConnection extends NodeJS.EventEmitter {
  readonly stream: Pick<Socket, "destroy" | "setTimeout">;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}
