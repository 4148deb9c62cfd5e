/** Talks to a Toxiproxy's HTTP API in the plainest way, so that every header and byte can be looked at. */
import { Agent, request } from "node:http";

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly userAgent?: string;
}

export function send(url: string, { method, path, body, userAgent }: RawRequest): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const headers = { "User-Agent": userAgent ?? "fairlead-test" };
    const agent = new Agent({ keepAlive: false });
    const sent = request({ host: hostname, port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A Toxiproxy with one call for each thing that the tests ask of it. */
export class ToxiproxyApi {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** @throws Error when the answer is not a 2xx */
  async call(method: string, path: string, body?: unknown): Promise<RawResponse> {
    const response = await this.tryCall(method, path, body);
    if (response.status >= 300) throw new Error(`${method} ${path}: ${response.status} ${response.body}`);
    return response;
  }

  tryCall(method: string, path: string, body?: unknown): Promise<RawResponse> {
    return send(this.url, { method, path, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /** Gives the port on which the proxy listens. */
  async createProxy(name: string, upstreamPort: number): Promise<number> {
    const upstream = `127.0.0.1:${upstreamPort}`;
    const { body } = await this.call("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream });
    return Number((JSON.parse(body) as { listen: string }).listen.split(":").at(-1));
  }

  async addToxic(proxy: string, toxic: object): Promise<void> {
    await this.call("POST", `/proxies/${proxy}/toxics`, toxic);
  }

  async removeToxic(proxy: string, name: string): Promise<void> {
    await this.call("DELETE", `/proxies/${proxy}/toxics/${name}`);
  }

  async removeAllProxies(): Promise<void> {
    const { body } = await this.call("GET", "/proxies");
    for (const name of Object.keys(JSON.parse(body) as object)) {
      // A name with a slash cannot be addressed.
      if (!name.includes("/")) await this.call("DELETE", `/proxies/${name}`);
    }
  }
}
