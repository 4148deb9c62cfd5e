/**
 * A proxy: where it listens, where it leads, its toxics, and the connections that are on it. Changes are made
 * one at a time.
 */
import { connect } from "node:net";
import type { Socket, TcpNetConnectOpts } from "node:net";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { ActiveToxic, Direction, ToxicChange } from "./active-toxic.ts";
import { formatTcpAddress, parseHostAndPort, resolveTcpAddress } from "./addresses.ts";
import { ApiError } from "./api-error.ts";
import { Connection } from "./connection.ts";
import { listen, WRITE_BUFFER_BYTES } from "./listener.ts";
import type { Listener } from "./listener.ts";
import type { ProxyMetrics } from "./metrics.ts";
import { Mutex } from "./mutex.ts";

export interface ProxySettings {
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

export interface ProxyOptions {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly clock: Clock;
  /** Chance for this proxy alone. */
  readonly random: Prng;
  readonly strict: boolean;
  readonly metrics: ProxyMetrics;
}

export class Proxy {
  readonly name: string;
  readonly #options: ProxyOptions;
  readonly #changes = new Mutex();
  #listen: string;
  #upstream: string;
  #listener: Listener | undefined;
  #connectionsEver = 0;
  /** Clients whose upstream is still being connected to, with that attempt. */
  readonly #dialling = new Map<Socket, Socket>();
  readonly #connections = new Set<Connection>();
  readonly #toxics: Record<Direction, ActiveToxic[]> = { upstream: [], downstream: [] };

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.name = options.name;
    this.#listen = options.listen;
    this.#upstream = options.upstream;
  }

  /** The address as asked for, until it has been bound: then the actual one. */
  get listen(): string {
    return this.#listen;
  }

  get upstream(): string {
    return this.#upstream;
  }

  get enabled(): boolean {
    return this.#listener !== undefined;
  }

  /** The toxics that go to the server, then those that come from it, each in the order of adding. */
  get toxics(): readonly ActiveToxic[] {
    return [...this.#toxics.upstream, ...this.#toxics.downstream];
  }

  hasToxic(name: string): boolean {
    return this.toxics.some((toxic) => toxic.name === name);
  }

  /** @throws ApiError 404 */
  toxic(name: string): ActiveToxic {
    const toxic = this.toxics.find((toxic) => toxic.name === name);
    if (toxic === undefined) throw new ApiError(404, "toxic not found");
    return toxic;
  }

  /** @throws AddressError when it cannot listen; it stays disabled then */
  start(): Promise<void> {
    return this.#changes.run(() => this.#start());
  }

  stop(): Promise<void> {
    return this.#changes.run(() => this.#stop());
  }

  /**
   * Brings the proxy to these settings. Another address or upstream cuts every connection.
   *
   * @throws AddressError when the address cannot be listened on; it is disabled then
   */
  update(settings: ProxySettings): Promise<void> {
    return this.#changes.run(async () => {
      if (await this.#differs(settings)) {
        this.#stop();
        this.#listen = settings.listen;
        this.#upstream = settings.upstream;
      }
      if (settings.enabled && !this.enabled) await this.#start();
      else if (!settings.enabled && this.enabled) this.#stop();
    });
  }

  /** Whether an update to these would cut connections: a wildcard `0.0.0.0:p` always does. */
  differs(settings: Omit<ProxySettings, "enabled">): Promise<boolean> {
    return this.#changes.run(() => this.#differs(settings));
  }

  /** Adds what `create` makes, to live connections too; `create` runs when no other change is under way. */
  addToxic(create: () => ActiveToxic): Promise<ActiveToxic> {
    return this.#changes.run(async () => {
      const toxic = create();
      this.#toxics[toxic.direction].push(toxic);
      await this.#onEachLink(toxic, "add");
      return toxic;
    });
  }

  /** Gives a toxic new attributes or another toxicity, on live connections too. @throws ApiError 404 */
  updateToxic(name: string, change: (toxic: ActiveToxic) => ToxicChange): Promise<ActiveToxic> {
    return this.#changes.run(async () => {
      const toxic = this.toxic(name);
      Object.assign(toxic, change(toxic));
      await this.#onEachLink(toxic, "update");
      return toxic;
    });
  }

  /** Resolves when every live connection is without it. @throws ApiError 404 */
  removeToxic(name: string): Promise<void> {
    return this.#changes.run(() => this.#removeToxic(this.toxic(name)));
  }

  removeAllToxics(): Promise<void> {
    return this.#changes.run(async () => {
      for (const toxic of this.toxics) await this.#removeToxic(toxic);
    });
  }

  async #differs(settings: Omit<ProxySettings, "enabled">): Promise<boolean> {
    const resolved = formatTcpAddress(await resolveTcpAddress(settings.listen));
    return resolved !== this.#listen || settings.upstream !== this.#upstream;
  }

  async #start(): Promise<void> {
    if (this.enabled) return;
    this.#listener = await listen(this.#listen, (client) => this.#accept(client));
    this.#listen = this.#listener.address;
  }

  #stop(): void {
    this.#listener?.close();
    this.#listener = undefined;
    for (const [client, upstream] of this.#dialling) {
      client.destroy();
      upstream.destroy();
    }
    this.#dialling.clear();
    for (const connection of this.#connections) connection.close();
  }

  async #removeToxic(toxic: ActiveToxic): Promise<void> {
    const chain = this.#toxics[toxic.direction];
    chain.splice(chain.indexOf(toxic), 1);
    await this.#onEachLink(toxic, "remove");
  }

  async #onEachLink(toxic: ActiveToxic, change: "add" | "update" | "remove"): Promise<void> {
    await Promise.all(
      Array.from(this.#connections, async (connection) => {
        await connection.link(toxic.direction)[change](toxic);
      }),
    );
  }

  /** The client is connected already; when the upstream cannot be reached it is closed again. */
  #accept(client: Socket): void {
    const ordinal = this.#connectionsEver++;
    client.on("error", () => {});
    if (!this.enabled) {
      client.destroy();
      return;
    }
    const upstream = this.#dial();
    if (upstream === undefined) {
      client.destroy();
      return;
    }
    this.#dialling.set(client, upstream);
    upstream.on("error", () => {});
    upstream.once("close", () => {
      if (this.#dialling.delete(client)) client.destroy();
    });
    upstream.once("connect", () => {
      if (this.#dialling.delete(client)) this.#join(client, upstream, ordinal);
    });
  }

  #dial(): Socket | undefined {
    try {
      const { host, port } = parseHostAndPort(this.#upstream);
      // highWaterMark is a stream's option, which sockets hand on although their type does not list it.
      const options: TcpNetConnectOpts & { highWaterMark: number } = {
        host: host === "" ? "localhost" : host,
        port,
        noDelay: true,
        allowHalfOpen: true,
        highWaterMark: WRITE_BUFFER_BYTES,
      };
      return connect(options);
    } catch {
      return undefined;
    }
  }

  #join(client: Socket, upstream: Socket, ordinal: number): void {
    if (client.destroyed) {
      upstream.destroy();
      return;
    }
    const { clock, random, strict, metrics } = this.#options;
    const listenAddress = this.#listen;
    const upstreamAddress = this.#upstream;
    const connection = new Connection({
      clock,
      client,
      upstream,
      strict,
      random: random.stream(`connection-${ordinal}`),
      toxics: this.#toxics,
      onClosed: () => {
        this.#connections.delete(connection);
        for (const direction of ["upstream", "downstream"] as const) {
          const { receivedBytes, sentBytes } = connection.link(direction);
          const labels = { direction, proxy: this.name, listener: listenAddress, upstream: upstreamAddress };
          metrics.add(labels, { receivedBytes, sentBytes });
        }
      },
    });
    this.#connections.add(connection);
    connection.start();
  }
}
