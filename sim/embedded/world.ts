/**
 * A world of real servers without containers: PostgreSQL as child processes, every path between them and to them
 * through a Toxiproxy proxy of its own, and a nemesis that believes only what it sees.
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { LinkName, NodeName } from "../../chaos/faults/fault.ts";
import type { Capability, Endpoint, Rig, World } from "../../chaos/world.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { createPrng, drawSeed } from "../../src/runtime/prng.ts";
import type { Estate } from "../nemesis/estate.ts";
import { ObservedNemesis } from "../nemesis/nemesis.ts";
import { type FaultTable, kindsIn } from "../nemesis/procedure.ts";
import { databaseFaults, harnessSchema } from "../postgres/database-faults.ts";
import { type OwnConnection, openConnection } from "../postgres/direct-connection.ts";
import { servingFaults } from "../postgres/serving-faults.ts";
import { ToxiproxyUnavailable } from "../toxiproxy/client.ts";
import { linkFaults } from "../toxiproxy/link-faults.ts";
import { type Link, Links } from "../toxiproxy/links.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "./cluster.ts";
import { findFreePort } from "./free-port.ts";
import { type NodeProcess, processFaults } from "./process-faults.ts";
import { type OpenToxiproxy, openToxiproxy, type ToxiproxyChoice } from "./toxiproxy.ts";

export interface EmbeddedWorldOptions {
  /** Default 3. */
  readonly replicas?: number;
  /** A folder with PostgreSQL's programs, 14 to 18. Default: those of the npm package. */
  readonly pgBin?: string;
  /** Which Toxiproxy the links run through. Default `builtin`. */
  readonly toxiproxy?: ToxiproxyChoice;
  /** The run folder, new or empty, removed with the world. Default: a new one in the system's temporary folder. */
  readonly directory?: string;
  /** What chance in this world follows from. */
  readonly seed: number;
  /** Gives up starting: everything that was begun is undone. */
  readonly signal?: AbortSignal;
  /** Told what is being done, in a few words, for a progress line. */
  readonly onProgress?: (step: string) => void;
}

const linkTimeoutMs = 10_000;

/**
 * From nothing to a primary whose replicas stream through their links.
 * @throws ToxiproxyUnavailable when the Toxiproxy asked for is not there
 * @throws Error when PostgreSQL cannot be started
 */
export async function startEmbeddedWorld(options: EmbeddedWorldOptions): Promise<EmbeddedWorld> {
  const { signal, seed, onProgress = () => {} } = options;
  const startedAt = systemClock.now();
  const failed = new AbortController();
  const either = AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])]);

  onProgress("starting Toxiproxy and PostgreSQL");
  const openingToxiproxy = openToxiproxy({
    choice: options.toxiproxy ?? "builtin",
    seed,
    clock: systemClock,
    signal: either,
  });
  // What others provide is looked at before anything of ours is started; what is ours starts meanwhile.
  if (options.toxiproxy !== undefined && options.toxiproxy !== "builtin") await openingToxiproxy;
  const openingLinks = openingToxiproxy.then(linksThrough);
  const openingCluster = startEmbeddedCluster({
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    ...(options.pgBin === undefined ? {} : { pgBin: options.pgBin }),
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    upstreamOf: async (replica, primary) =>
      (await (await openingLinks).lead(`replication:${replica}`, primary)).address,
    signal: either,
    clock: systemClock,
  });
  // Whichever fails first takes the other along.
  const firstFailure = Promise.all([openingLinks, openingCluster]).catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  try {
    await firstFailure;
    const [toxiproxy, links, cluster] = await Promise.all([openingToxiproxy, openingLinks, openingCluster]);
    onProgress("opening the links");
    const world = new EmbeddedWorld({ toxiproxy, links, cluster, seed });
    await world.open(startedAt);
    signal?.throwIfAborted();
    onProgress("ready");
    return world;
  } catch (error) {
    await closeAll(openingLinks, openingCluster, openingToxiproxy);
    throw error;
  }
}

function linksThrough(toxiproxy: OpenToxiproxy): Links {
  const prng = createPrng(drawSeed());
  const taken = new Set<number>();
  return new Links({
    toxiproxy: toxiproxy.client,
    clock: systemClock,
    prefix: toxiproxy.isShared ? `fairlead-${randomBytes(4).toString("hex")}-` : "",
    choosePort: async () => {
      const port = await findFreePort(prng, taken);
      taken.add(port);
      return port;
    },
  });
}

/** Closes what could be opened, in this order. */
async function closeAll(...opening: readonly Promise<AsyncDisposable>[]): Promise<void> {
  for (const each of await Promise.allSettled(opening)) {
    // What cannot be closed is not there any more; the error that led here tells more.
    if (each.status === "fulfilled") await Promise.allSettled([each.value[Symbol.asyncDispose]()]);
  }
}

interface Parts {
  readonly toxiproxy: OpenToxiproxy;
  readonly links: Links;
  readonly cluster: EmbeddedCluster;
  readonly seed: number;
}

export class EmbeddedWorld implements World {
  readonly kind = "embedded";
  readonly clock: Clock = systemClock;
  readonly capabilities: ReadonlySet<Capability>;
  readonly cluster: EmbeddedCluster;
  readonly nemesis: ObservedNemesis;
  readonly #parts: Parts;
  readonly #starting = new Map<NodeName, Promise<void>>();
  #startupMs = 0;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.cluster = parts.cluster;
    const table = this.#faultTable();
    this.capabilities = new Set<Capability>([...kindsIn(table), "promote", "rebuild"]);
    this.nemesis = new ObservedNemesis({
      clock: this.clock,
      table,
      sweep: () => this.#sweep(),
      isFatal: (error) => error instanceof ToxiproxyUnavailable,
      diagnose: () => this.#diagnose(),
    });
  }

  get rig(): Rig {
    const { application, database, sslRootCert } = this.cluster.credentials;
    return {
      primary: this.#applicationEnd(this.cluster.primary),
      replicas: this.cluster.replicas.map((node) => this.#applicationEnd(node)),
      database,
      ...application,
      sslRootCert,
    };
  }

  get links(): readonly LinkName[] {
    const { links, cluster } = this.#parts;
    const names = ["app", "replication"].flatMap((user) =>
      cluster.nodes.map((node) => `${user}:${node}` as LinkName),
    );
    return names.filter((name) => links.find(name) !== undefined);
  }

  /** The API of the Toxiproxy that the links run through. */
  get toxiproxyUrl(): string {
    return this.#parts.toxiproxy.client.url;
  }

  /** Opens the application's links and checks each; called once, by {@link startEmbeddedWorld}. */
  async open(startedAt: number): Promise<void> {
    const { links } = this.#parts;
    const { cluster } = this;
    const openLink = async (node: NodeName): Promise<void> => {
      await links.lead(`app:${node}`, cluster.endpoint(node));
      await this.#askThroughLink(node, linkTimeoutMs);
    };
    await Promise.all([...cluster.nodes.map(openLink), this.#createHarnessSchema()]);
    // The replicas have the schema as well then.
    await cluster.settled(linkTimeoutMs);
    this.#startupMs = Math.round(this.clock.now() - startedAt);
  }

  async collectLogs(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    await this.cluster.collectLogs(directory);
    await this.#parts.toxiproxy.copyLog(join(directory, "toxiproxy.log"));
  }

  describe(): Readonly<Record<string, string | number>> {
    const { toxiproxy, seed } = this.#parts;
    return {
      postgresql: this.cluster.serverVersion,
      toxiproxy: toxiproxy.client.version,
      toxiproxyOrigin: toxiproxy.origin,
      node: process.versions.node,
      replicas: this.cluster.replicas.length,
      seed,
      startupMs: this.#startupMs,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { links, cluster, toxiproxy } = this.#parts;
    await this.nemesis[Symbol.asyncDispose]();
    await closeAll(...[links, cluster].map((each) => Promise.resolve<AsyncDisposable>(each)));
    await toxiproxy[Symbol.asyncDispose]();
  }

  #applicationEnd(node: NodeName): Endpoint {
    return { node, ...this.#parts.links.link(`app:${node}`).address };
  }

  #faultTable(): FaultTable {
    const { links, cluster } = this.#parts;
    const estate: Estate = {
      clock: this.clock,
      nodes: cluster.nodes,
      connect: (node) => cluster.connect(node),
      address: (node) => cluster.endpoint(node),
      leaderOf: (node) => this.#leaderOf(node),
    };
    const connectThrough = (link: Link, timeoutMs: number): Promise<OwnConnection> =>
      this.#connectThrough(link, timeoutMs);
    return {
      ...linkFaults({ estate, links, connectThrough }),
      ...processFaults({
        estate,
        processOf: (node) => this.#processOf(node),
        askThroughLink: (node, timeoutMs) => this.#askThroughLink(node, timeoutMs),
      }),
      ...databaseFaults(estate),
      ...servingFaults({
        estate,
        connectAsApplication: (node) => this.#connectAsApplication(node),
        rebuild: (node) => cluster.rebuild(node),
        walFolderOf: (node) => join(cluster.node(node).dataDirectory, "pg_wal"),
      }),
    };
  }

  /** Whom a node's replication link leads to; itself without one. */
  #leaderOf(node: NodeName): NodeName {
    const upstream = this.#parts.links.find(`replication:${node}`)?.upstream;
    return this.cluster.nodes.find((each) => this.cluster.endpoint(each).port === upstream?.port) ?? node;
  }

  async #connectThrough(link: Link, timeoutMs: number): Promise<OwnConnection> {
    const { superuser, database } = this.cluster.credentials;
    const target = { node: link.name, ...link.address, ...superuser, database };
    try {
      return await openConnection(target, { clock: this.clock, timeoutMs });
    } catch (error) {
      // When Toxiproxy is gone no link will come back, and that is what must be told.
      await this.#parts.toxiproxy.client.ping();
      throw error;
    }
  }

  #connectAsApplication(node: NodeName): Promise<OwnConnection> {
    const { application, database } = this.cluster.credentials;
    const target = { ...this.cluster.endpoint(node), ...application, database };
    return openConnection(target, { clock: this.clock });
  }

  async #createHarnessSchema(): Promise<void> {
    await using connection = await this.cluster.connect(this.cluster.primary);
    for (const statement of harnessSchema) await connection.query(statement);
  }

  async #askThroughLink(node: NodeName, timeoutMs: number): Promise<void> {
    const link = this.#parts.links.link(`app:${node}`);
    if (link.isBroken) return;
    await using connection = await this.#connectThrough(link, timeoutMs);
    await connection.query("SELECT 1");
  }

  #processOf(node: NodeName): NodeProcess {
    const server = this.cluster.node(node);
    return {
      get isRunning(): boolean {
        return server.isRunning;
      },
      freeze: () => server.freeze(),
      freezePostmaster: () => server.freezePostmaster(),
      thaw: () => server.thaw(),
      kill: () => server.kill(),
      start: () => this.#startNode(node),
    };
  }

  /** One start at a time: a heal and the sweep may want the same. */
  #startNode(node: NodeName): Promise<void> {
    const starting = this.#starting.get(node) ?? this.cluster.node(node).start();
    this.#starting.set(node, starting);
    return starting.finally(() => this.#starting.delete(node));
  }

  /** Links up, nodes running, nothing frozen or paused, whoever did it. */
  async #sweep(): Promise<void> {
    const { links, cluster } = this.#parts;
    const outcomes = await Promise.allSettled([
      links.restore(),
      ...cluster.nodes.map((node) => this.#reviveNode(node)),
    ]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  async #reviveNode(node: NodeName): Promise<void> {
    await this.cluster.node(node).thaw();
    await this.#startNode(node);
    await this.cluster.sql(node, "SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()");
  }

  async #diagnose(): Promise<Error | undefined> {
    try {
      await this.#parts.toxiproxy.client.ping();
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }
}
