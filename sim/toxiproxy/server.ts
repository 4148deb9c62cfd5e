/**
 * The built-in Toxiproxy: its HTTP API on a port, and the proxies it is told to make, in this process and thread.
 * The harness runs it in a thread of its own: see `start.ts`.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DeadlineError, systemClock, withDeadline } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { createPrng, drawSeed } from "../../src/runtime/prng.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import { handleRequest, populateFrom } from "./api.ts";
import type { ApiOptions, ApiResponse } from "./api.ts";
import { ProxyCollection } from "./proxy-collection.ts";

export interface ToxiproxyServerOptions {
  /** Where the API listens. @defaultValue "127.0.0.1" */
  readonly host?: string;
  /** The API's port; 0 takes a free one. @defaultValue 0 */
  readonly port?: number;
  /**
   * Whether to be Toxiproxy 2.12.0 to the letter, surprises included. Otherwise chance follows from the seed and
   * is drawn once per connection and toxic, attributes that cannot work are refused with 400, reset_peer sends an
   * RST on connections that were there before it, and `/populate` with `[]` answers with a list.
   *
   * @defaultValue false
   */
  readonly strict?: boolean;
  /** What toxicity, jitter and slices are drawn from. @defaultValue a random one */
  readonly seed?: number;
  /** Whether `GET /metrics` tells the bytes moved. @defaultValue false */
  readonly proxyMetrics?: boolean;
  /** A JSON array of proxies to begin with, as `/populate` takes it. */
  readonly populate?: string;
  readonly clock?: Clock;
}

export interface ToxiproxyServer {
  /** `http://host:port` of the API, without a slash at the end. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Closes the API, every proxy and every connection; resolves when nothing is open any more. */
  close(): Promise<void>;
}

/** A request is answered within this, or with 503: taking out a toxic may have to wait for a connection. */
const HANDLER_TIMEOUT_MS = 25_000;
/** Toxiproxy reads bodies of any size. A list of proxies is far below this; more only costs memory. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/**
 * Starts a server in this thread.
 *
 * @throws the error of `listen` (`EADDRINUSE`, …), or what is wrong with `populate`
 */
export async function createToxiproxyServer(options: ToxiproxyServerOptions = {}): Promise<ToxiproxyServer> {
  const { host = "127.0.0.1", port = 0, strict = false, proxyMetrics = false } = options;
  const clock = options.clock ?? systemClock;
  const random = createPrng(options.seed ?? drawSeed());
  const collection = new ProxyCollection({ clock, strict, random: random.stream("proxies") });
  const api: ApiOptions = { collection, strict, proxyMetrics };
  const requestIds = random.stream("request-ids");
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 15_000, headersTimeout: 15_000 });
  server.on("request", (request, response) => {
    serve({ api, clock, requestIds }, request, response).catch(() => response.destroy());
  });
  server.on("clientError", (_error, socket) => {
    const head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close";
    if (socket.writable) socket.end(`${head}\r\n\r\n400 Bad Request`);
    else socket.destroy();
  });

  try {
    if (options.populate !== undefined)
      await populateFrom(collection, Buffer.from(options.populate), () => {});
    await listen(server, host, port);
  } catch (error) {
    await collection.close();
    throw error;
  }
  const actualPort = (server.address() as AddressInfo).port;
  return {
    host,
    port: actualPort,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actualPort}`,
    close: async () => {
      await Promise.all([closeHttp(server), collection.close()]);
    },
  };
}

interface ServeContext {
  readonly api: ApiOptions;
  readonly clock: Clock;
  readonly requestIds: Prng;
}

async function serve(
  context: ServeContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(context, request);
  response.statusCode = answer.status;
  if (answer.isRouted) response.setHeader("X-Toxiproxy-Request-Id", nextRequestId(context.requestIds));
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  // Given at once, so that Node states its length instead of sending chunks.
  response.end(answer.body);
}

async function answerTo({ api, clock }: ServeContext, request: IncomingMessage): Promise<ApiResponse> {
  const path = readPath(request.url ?? "/");
  if (path === undefined) return plain(400, "400 Bad Request");
  const body = await readBody(request);
  if (body === undefined) return plain(413, "413 Request Entity Too Large");
  const { method = "GET" } = request;
  const answering = handleRequest(api, {
    method,
    path,
    userAgent: request.headers["user-agent"] ?? "",
    body,
  });
  try {
    return await withDeadline(clock, answering, { what: `${method} ${path}`, timeoutMs: HANDLER_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    const html = "<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>";
    return { ...plain(503, html), headers: { "Content-Type": "text/html; charset=utf-8" }, isRouted: true };
  }
}

function plain(status: number, body: string): ApiResponse {
  const headers = { "Content-Type": "text/plain; charset=utf-8", Connection: "close" };
  return { status, headers, body, isRouted: false };
}

/** The decoded path, or undefined when its escapes are malformed. */
function readPath(url: string): string | undefined {
  const target = url.startsWith("/") ? url : url.replace(/^[a-z]+:\/\/[^/?#]*/i, "");
  try {
    return decodeURIComponent(target.replace(/[?#].*$/, "")) || "/";
  } catch {
    return undefined;
  }
}

/** The whole body, or undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read on to the end, so that the client gets to read the answer, but keep nothing.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

/** Twenty characters that do not repeat, in the alphabet of Toxiproxy's own. */
function nextRequestId(random: Prng): string {
  const parts = [random.nextUint32(), random.nextUint32(), random.nextUint32()];
  return parts
    .map((part) => part.toString(32).padStart(7, "0"))
    .join("")
    .slice(1);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve();
    });
  });
}

function closeHttp(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
