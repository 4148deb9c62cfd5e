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
import { isTlsRefused } from "./sqlstate.ts";

/** Parts of `pg`'s client that its types leave out. */
interface ClientInternals {
  readonly connection: NodeJS.EventEmitter & { readonly stream: { destroy(): void } };
  readonly secretKey: number | null;
  readonly readyForQuery?: boolean;
  readonly _ended?: boolean;
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/**
 * `pg.Client` that remembers whether the server says it is a standby (`in_hot_standby` comes as a ParameterStatus from
 * PostgreSQL 14 on, and again when it changes), and that always has an error listener.
 */
class RoleAwareClient extends Client {
  inHotStandby: boolean | undefined;
  declare readonly processID: number | null;

  constructor(config?: string | ClientConfig) {
    super(config);
    const { connection } = internals(this);
    connection.on("parameterStatus", (message: ParameterStatus) => {
      if (message.parameterName === "in_hot_standby") this.inHotStandby = message.parameterValue === "on";
    });
    // The query that was running is failed by `pg` itself; without a listener the event would end the process.
    this.on("error", () => {});
  }

  get client(): this {
    return this;
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
}

/** A checked-out client is the connection itself: no wrapper on the way of a query. */
type PooledClient = RoleAwareClient & PooledConnection;

function internals(client: Client): ClientInternals {
  return client as unknown as ClientInternals;
}

export function createPgDriver(clock: Clock): Driver {
  // Which of an sslmode's attempts the node accepted last; `allow` and `prefer` have two.
  const acceptedAttempt = new Map<string, number>();
  return {
    openPool: (node, onLost, onEvent) =>
      new PgConnectionPool(node, acceptedAttempt.get(node.name) ?? 0, { onLost, onEvent }),
    connect: async (node, options) => {
      const { client, attempt } = await connectByAttempts(
        node,
        options,
        clock,
        acceptedAttempt.get(node.name) ?? 0,
      );
      acceptedAttempt.set(node.name, attempt);
      return client;
    },
    cancel: (node, connection, timeoutMs) => {
      if (connection instanceof RoleAwareClient) {
        cancel(node, connection, { timeoutMs, attempt: acceptedAttempt.get(node.name) ?? 0 });
      }
    },
  };
}

/** Tries an sslmode's attempts in order, the one that worked last time first. */
async function connectByAttempts(
  node: NodeConfig,
  options: ConnectOptions,
  clock: Clock,
  preferred: number,
): Promise<{ client: RoleAwareClient; attempt: number }> {
  const count = node.tls.attempts.length;
  let lastError: unknown;
  for (let i = 0; i < count; i++) {
    const attempt = (preferred + i) % count;
    try {
      return { client: await connectOnce(node, options, clock, attempt), attempt };
    } catch (error) {
      lastError = error;
      if (!isTlsRefused(error)) break;
    }
  }
  throw lastError;
}

async function connectOnce(
  node: NodeConfig,
  { timeoutMs, onLost }: ConnectOptions,
  clock: Clock,
  attempt: number,
): Promise<RoleAwareClient> {
  const client = new RoleAwareClient(clientConfig(node, attempt));
  if (onLost !== undefined) client.on("error", onLost);
  try {
    await withDeadline(clock, client.connect(), {
      what: `connecting to "${node.name}" (${node.host}:${node.port})`,
      timeoutMs,
      onTimeout: () => client.destroy(),
    });
  } catch (error) {
    client.destroy();
    throw error;
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

  constructor(node: NodeConfig, attempt: number, { onLost, onEvent }: PoolListeners) {
    this.#node = node;
    this.#idleMax = node.pool.idleMax;
    const config: PoolConfig = {
      ...clientConfig(node, attempt),
      Client: RoleAwareClient,
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
    this.#pool.connect((error, client) => {
      if (error !== undefined && error !== null) callback(checkoutError(this.#node, error), undefined);
      else callback(undefined, this.#keepFewIdle(client as unknown as PooledClient));
    });
  }

  #tell(onEvent: PoolListener): void {
    for (const event of ["connect", "acquire", "remove"] as const)
      this.#pool.on(event, (client) => onEvent(event, client as unknown as Client, undefined));
    for (const event of ["release", "error"] as const)
      this.#pool.on(event, (error, client) => onEvent(event, client as unknown as Client, error));
  }

  /** `pg.Pool` keeps every connection that is given back; beyond `maxIdleConns` it is closed instead. */
  #keepFewIdle(client: PooledClient): PooledClient {
    if (this.#idleMax < this.#node.pool.max && this.#pool.idleCount >= this.#idleMax) {
      const release = client.release.bind(client);
      client.release = (destroy) => release(destroy === true || this.#pool.idleCount >= this.#idleMax);
    }
    return client;
  }

  counts(): PoolCounts {
    const { totalCount, idleCount, waitingCount, expiredCount } = this.#pool;
    return { total: totalCount, idle: idleCount, waiting: waitingCount, expired: expiredCount };
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }
}

/** Told apart here, once: a full pool is not a failed node. */
function checkoutError(node: NodeConfig, error: Error): Error {
  if (error.message !== "timeout exceeded when trying to connect") return error;
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
  { timeoutMs, attempt }: { readonly timeoutMs: number; readonly attempt: number },
): void {
  const { processID } = running;
  const { secretKey } = internals(running);
  if (processID === null || secretKey === null) return;
  const messenger = new RoleAwareClient({
    ...clientConfig(node, attempt),
    connectionTimeoutMillis: timeoutMs,
  });
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

