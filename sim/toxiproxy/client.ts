/**
 * Toxiproxy's HTTP API as the harness uses it: through `toxiproxy-node-client`, whichever server answers. The client
 * has no deadlines and tells little; this adds both.
 */
import { type ICreateProxyBody, type ICreateToxicBody, type Proxy, Toxiproxy } from "toxiproxy-node-client";
import { type Clock, withDeadline } from "../../src/runtime/clock.ts";

/** The API at a URL is not there, is something else, or has gone away. The message says what to do about it. */
export class ToxiproxyUnavailable extends Error {
  override readonly name = "ToxiproxyUnavailable";
  readonly url: string;

  constructor(url: string, reason: string, advice: string, options?: ErrorOptions) {
    super(`Toxiproxy at ${url} ${reason}: ${advice}`, options);
    this.url = url;
  }
}

/** Toxiproxy answered a request with an error. The client passes on the status only. */
export class ToxiproxyRefusal extends Error {
  override readonly name = "ToxiproxyRefusal";
  readonly status: number;

  constructor(url: string, what: string, status: number, options?: ErrorOptions) {
    super(`Toxiproxy at ${url} refused ${what} with status ${status}`, options);
    this.status = status;
  }
}

/** Node's `fetch` opens a connection and asks: far below a second, unless the machine is very busy. */
const requestTimeoutMs = 5_000;

export class ToxiproxyClient {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly version: string;
  readonly #clock: Clock;
  readonly #api: Toxiproxy;

  /** @throws ToxiproxyUnavailable when the URL is none, nothing answers there, or something that is no Toxiproxy */
  static async connect(url: string, clock: Clock): Promise<ToxiproxyClient> {
    const base = baseOf(url);
    const api = new Toxiproxy(base);
    const asking = ask(clock, base, "GET /version", () => api.getVersion());
    const answer = await asking.catch((error: unknown) => {
      if (error instanceof ToxiproxyRefusal) return undefined;
      throw error;
    });
    const version = readVersion(answer);
    if (version === undefined) {
      const advice = "give the URL of Toxiproxy's HTTP API, which listens on port 8474 unless told otherwise";
      throw new ToxiproxyUnavailable(base, "is something else", advice);
    }
    return new ToxiproxyClient({ base, version, api, clock });
  }

  private constructor(parts: {
    readonly base: string;
    readonly version: string;
    readonly api: Toxiproxy;
    readonly clock: Clock;
  }) {
    this.url = parts.base;
    this.version = parts.version;
    this.#api = parts.api;
    this.#clock = parts.clock;
  }

  /** @throws ToxiproxyUnavailable unless the API still answers */
  async ping(): Promise<void> {
    await this.#ask("GET /version", () => this.#api.getVersion());
  }

  createProxy(body: ICreateProxyBody): Promise<Proxy> {
    return this.#ask(`a proxy ${body.name} on ${body.listen}`, () => this.#api.createProxy(body));
  }

  updateProxy(
    proxy: Proxy,
    change: { readonly enabled?: boolean; readonly upstream?: string },
  ): Promise<Proxy> {
    // All three, as the client's types want it; what is the same as before changes nothing.
    const { enabled, listen, upstream } = proxy;
    const body = { enabled, listen, upstream, ...change };
    return this.#askAbout(proxy, "a change", () => proxy.update(body));
  }

  removeProxy(proxy: Proxy): Promise<void> {
    return this.#askAbout(proxy, "the removal", () => proxy.remove());
  }

  async addToxic<Attributes>(proxy: Proxy, body: ICreateToxicBody<Attributes>): Promise<void> {
    await this.#askAbout(proxy, `toxic ${body.name}`, () => proxy.addToxic(body));
  }

  /** Does nothing when there is no such toxic. */
  async removeToxic(proxy: Proxy, name: string): Promise<void> {
    try {
      await this.#ask(`the removal of toxic ${name} from ${proxy.name}`, async () =>
        (await proxy.getToxic(name)).remove(),
      );
    } catch (error) {
      if (!(error instanceof ToxiproxyRefusal && error.status === 404)) throw error;
      await this.#askAbout(proxy, "a look", () => this.#api.get(proxy.name));
    }
  }

  /** The names of all toxics on a proxy, whoever added them. */
  async toxicNames(proxy: Proxy): Promise<readonly string[]> {
    const path = `${this.url}/proxies/${proxy.name}/toxics`;
    const answer = await this.#askAbout(proxy, "its toxics", () =>
      this.#api.getApi().get<readonly { readonly name: string }[]>(path),
    );
    return answer.data.map((toxic) => toxic.name);
  }

  async #askAbout<T>(proxy: Proxy, what: string, request: () => Promise<T>): Promise<T> {
    try {
      return await this.#ask(`${what} of proxy ${proxy.name}`, request);
    } catch (cause) {
      if (!(cause instanceof ToxiproxyRefusal && cause.status === 404)) throw cause;
      const advice = "was it restarted, or removed by somebody? Start the world again";
      throw new ToxiproxyUnavailable(this.url, `has no proxy ${proxy.name} any more`, advice, { cause });
    }
  }

  #ask<T>(what: string, request: () => Promise<T>): Promise<T> {
    return ask(this.#clock, this.url, what, request);
  }
}

async function ask<T>(clock: Clock, url: string, what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await withDeadline(clock, request(), { what, timeoutMs: requestTimeoutMs });
  } catch (cause) {
    const text = String((cause as { readonly message?: unknown } | null)?.message ?? cause);
    const status = /status code (\d+)/.exec(text)?.[1];
    if (status !== undefined) throw new ToxiproxyRefusal(url, what, Number(status), { cause });
    const advice = "is it running? Start it there, or use the built-in one";
    throw new ToxiproxyUnavailable(url, `does not answer (${text})`, advice, { cause });
  }
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new ToxiproxyUnavailable(
      url,
      "has no URL that can be used",
      "write http://host:port, such as http://127.0.0.1:8474",
    );
  }
  return parsed.href.replace(/\/+$/, "");
}

/** The client's major version 4 gives either the text or, before 4.1, the whole response. */
function readVersion(answer: unknown): string | undefined {
  const body = typeof answer === "string" ? answer : (answer as { readonly data?: unknown } | null)?.data;
  try {
    const parsed = (typeof body === "string" ? JSON.parse(body) : body) as {
      readonly version?: unknown;
    } | null;
    return typeof parsed?.version === "string" ? parsed.version : undefined;
  } catch {
    return undefined;
  }
}
