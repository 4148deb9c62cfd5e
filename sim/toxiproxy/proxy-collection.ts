/** All proxies of a server, by name. Adding, replacing and removing happen one at a time. */
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import { ApiError } from "./api-error.ts";
import { ProxyMetrics } from "./metrics.ts";
import { Mutex } from "./mutex.ts";
import { Proxy } from "./proxy.ts";
import type { NewProxy } from "./request-bodies.ts";

export interface ProxyCollectionOptions {
  readonly clock: Clock;
  readonly random: Prng;
  readonly strict: boolean;
}

export class ProxyCollection {
  readonly metrics: ProxyMetrics = new ProxyMetrics();
  readonly #options: ProxyCollectionOptions;
  readonly #changes = new Mutex();
  readonly #proxies = new Map<string, Proxy>();
  #isClosed = false;

  constructor(options: ProxyCollectionOptions) {
    this.#options = options;
  }

  /** All proxies, by name in the order of their bytes, as Go prints a map. */
  list(): Proxy[] {
    return [...this.#proxies.values()].sort((a, b) =>
      Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
    );
  }

  /** @throws ApiError 404 */
  get(name: string): Proxy {
    const proxy = this.#proxies.get(name);
    if (proxy === undefined) throw new ApiError(404, "proxy not found");
    return proxy;
  }

  /** @throws ApiError 409 when the name is taken, AddressError when it cannot listen: then it is not added */
  add(wanted: NewProxy): Promise<Proxy> {
    return this.#changes.run(async () => {
      if (this.#proxies.has(wanted.name)) throw new ApiError(409, "proxy already exists");
      return await this.#create(wanted);
    });
  }

  /**
   * Adds a proxy, or puts it in the place of one with the same name that differs. One that does not differ is
   * kept as it is, enabled or not.
   */
  addOrReplace(wanted: NewProxy): Promise<Proxy> {
    return this.#changes.run(async () => {
      const existing = this.#proxies.get(wanted.name);
      if (existing !== undefined) {
        if (!(await existing.differs(wanted))) return existing;
        await existing.stop();
      }
      return await this.#create(wanted);
    });
  }

  /** @throws ApiError 404 */
  remove(name: string): Promise<void> {
    return this.#changes.run(async () => {
      await this.get(name).stop();
      this.#proxies.delete(name);
    });
  }

  /** Stops them all and takes no more. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#changes.run(async () => {
      await Promise.all(Array.from(this.#proxies.values(), (proxy) => proxy.stop()));
      this.#proxies.clear();
    });
  }

  async #create({ name, listen, upstream, enabled }: NewProxy): Promise<Proxy> {
    if (this.#isClosed) throw new ApiError(503, "the server is closing");
    const { clock, random, strict } = this.#options;
    const proxy = new Proxy({
      name,
      listen,
      upstream,
      clock,
      strict,
      random: random.stream(name),
      metrics: this.metrics,
    });
    if (enabled) await proxy.start();
    this.#proxies.set(name, proxy);
    return proxy;
  }
}
