/**
 * The links of an estate as Toxiproxy proxies: one proxy a link, so that each path can be broken by itself. A link
 * listens on the loopback, on a port that stays its own while it is down.
 */
import type { Proxy } from "toxiproxy-node-client";
import type { LinkName } from "../../chaos/faults/fault.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { knock, type TcpAddress } from "../nemesis/tcp.ts";
import { HangingPort } from "./hanging-port.ts";
import { type ToxiproxyClient, ToxiproxyRefusal, ToxiproxyUnavailable } from "./client.ts";

export interface LinksOptions {
  readonly toxiproxy: ToxiproxyClient;
  readonly clock: Clock;
  /** A free port of 127.0.0.1 for the next link. It is asked again when somebody else was faster. */
  readonly choosePort: () => Promise<number>;
  /** Before each proxy's name, where the server may have others' proxies. Default: nothing. */
  readonly prefix?: string;
}

/** What delays, swallows, resets or slows down, in one direction: `downstream` is server → client. */
export interface LinkToxic {
  readonly name: string;
  readonly type: "latency" | "timeout" | "reset_peer" | "bandwidth";
  readonly stream: "upstream" | "downstream";
  readonly attributes: Readonly<Record<string, number>>;
}

const host = "127.0.0.1";
const portAttempts = 5;

export class Links implements AsyncDisposable {
  readonly #options: LinksOptions;
  readonly #links = new Map<LinkName, Link>();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** In alphabetical order, as they are created in none. */
  get names(): readonly LinkName[] {
    return [...this.#links.keys()].sort();
  }

  /** @throws Error that names the links there are, when it is none of them */
  link(name: LinkName): Link {
    const link = this.#links.get(name);
    if (link === undefined) throw new Error(`there is no link ${name}: ${this.names.join(", ")}`);
    return link;
  }

  find(name: LinkName): Link | undefined {
    return this.#links.get(name);
  }

  /**
   * Makes the link lead to `upstream`, and creates it when it is new.
   * @throws ToxiproxyUnavailable when Toxiproxy is gone, or listens where this process cannot reach it
   */
  async lead(name: LinkName, upstream: TcpAddress): Promise<Link> {
    const there = this.#links.get(name);
    if (there !== undefined) {
      await there.lead(upstream);
      return there;
    }
    const link = await this.#create(name, upstream);
    this.#links.set(name, link);
    return link;
  }

  /** Enables every link and takes all toxics out, whoever put them in. */
  async restore(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.restore()));
  }

  /** Removes the proxies, so that a Toxiproxy that goes on running is as it was. */
  async [Symbol.asyncDispose](): Promise<void> {
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link.remove()));
  }

  async #create(name: LinkName, upstream: TcpAddress): Promise<Link> {
    const { toxiproxy, clock, choosePort, prefix = "" } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const address = { host, port: await choosePort() };
      try {
        const proxy = await toxiproxy.createProxy({
          name: `${prefix}${name}`,
          listen: formatAddress(address),
          upstream: formatAddress(upstream),
          enabled: true,
        });
        await requireHere(clock, toxiproxy, address);
        return new Link({ name, toxiproxy, clock, proxy, address, upstream });
      } catch (error) {
        // 500: the port was taken between the look and now.
        const isTaken = error instanceof ToxiproxyRefusal && error.status === 500;
        if (!isTaken || attempt === portAttempts) throw error;
      }
    }
  }
}

async function requireHere(clock: Clock, toxiproxy: ToxiproxyClient, address: TcpAddress): Promise<void> {
  if ((await knock(clock, address)) === "accepted") return;
  throw new ToxiproxyUnavailable(
    toxiproxy.url,
    `listens on ${formatAddress(address)}, but not of this machine`,
    "the servers are on the loopback, so run it here, or in a container with the host's network",
  );
}

interface LinkParts {
  readonly name: LinkName;
  readonly toxiproxy: ToxiproxyClient;
  readonly clock: Clock;
  readonly proxy: Proxy;
  readonly address: TcpAddress;
  readonly upstream: TcpAddress;
}

export class Link {
  readonly name: LinkName;
  /** Where to connect in order to go through it. */
  readonly address: TcpAddress;
  readonly #toxiproxy: ToxiproxyClient;
  readonly #clock: Clock;
  #proxy: Proxy;
  #upstream: TcpAddress;
  /** What has the link's port meanwhile. */
  #hangingPort: HangingPort | undefined;
  readonly #toxics = new Set<string>();

  constructor(parts: LinkParts) {
    this.name = parts.name;
    this.address = parts.address;
    this.#toxiproxy = parts.toxiproxy;
    this.#clock = parts.clock;
    this.#proxy = parts.proxy;
    this.#upstream = parts.upstream;
  }

  /** Where it leads to. */
  get upstream(): TcpAddress {
    return this.#upstream;
  }

  /** Whether it was broken here, on purpose. A look through it proves nothing about the server then. */
  get isBroken(): boolean {
    return !this.#proxy.enabled || this.#toxics.size > 0;
  }

  async lead(upstream: TcpAddress): Promise<void> {
    this.#proxy = await this.#toxiproxy.updateProxy(this.#proxy, { upstream: formatAddress(upstream) });
    this.#upstream = upstream;
  }

  /** Closes its connections and refuses new ones. */
  async disable(): Promise<void> {
    this.#proxy = await this.#toxiproxy.updateProxy(this.#proxy, { enabled: false });
  }

  async enable(): Promise<void> {
    this.#proxy = await this.#toxiproxy.updateProxy(this.#proxy, { enabled: true });
  }

  /** Closes its connections; from then on, new ones are neither taken nor refused. */
  async hang(): Promise<void> {
    await this.disable();
    this.#hangingPort ??= await HangingPort.open(this.#clock, this.address);
  }

  /** Undoes {@link hang}. */
  async unhang(): Promise<void> {
    await this.#freePort();
    await this.enable();
  }

  async addToxic(toxic: LinkToxic): Promise<void> {
    this.#toxics.add(toxic.name);
    await this.#toxiproxy.addToxic(this.#proxy, { ...toxic, toxicity: 1 });
  }

  /** Does nothing when it is not there. */
  async removeToxic(name: string): Promise<void> {
    await this.#toxiproxy.removeToxic(this.#proxy, name);
    this.#toxics.delete(name);
  }

  async restore(): Promise<void> {
    await this.unhang();
    for (const name of await this.#toxiproxy.toxicNames(this.#proxy)) await this.removeToxic(name);
    this.#toxics.clear();
  }

  async remove(): Promise<void> {
    await this.#freePort();
    await this.#toxiproxy.removeProxy(this.#proxy);
  }

  async #freePort(): Promise<void> {
    await this.#hangingPort?.[Symbol.asyncDispose]();
    this.#hangingPort = undefined;
  }
}

function formatAddress({ host, port }: TcpAddress): string {
  return `${host}:${port}`;
}
