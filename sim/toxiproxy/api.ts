/**
 * Toxiproxy's HTTP API, without the HTTP: a request's method, path and body in, a response's status, type and
 * bytes out. Statuses, bodies and error texts are those of Toxiproxy 2.12.0.
 */
import type { ActiveToxic } from "./active-toxic.ts";
import { ApiError } from "./api-error.ts";
import { encodeGoJson } from "./go-json-encode.ts";
import type { Encodable } from "./go-json-encode.ts";
import type { ProxyCollection } from "./proxy-collection.ts";
import type { Proxy } from "./proxy.ts";
import {
  readNewProxies,
  readNewProxy,
  readNewToxic,
  readProxyUpdate,
  readToxicUpdate,
} from "./request-bodies.ts";

/** The version whose wire contract this is. */
export const TOXIPROXY_VERSION = "2.12.0";

export interface ApiRequest {
  readonly method: string;
  /** Decoded and without the query. */
  readonly path: string;
  readonly userAgent: string;
  readonly body: Buffer;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether a route matched: only then has the response a request id. */
  readonly isRouted: boolean;
}

export interface ApiOptions {
  readonly collection: ProxyCollection;
  readonly strict: boolean;
  /** Whether `GET /metrics` is there. */
  readonly proxyMetrics: boolean;
}

type Answer = Omit<ApiResponse, "isRouted">;
/** `names` are the path's parts in place of `{proxy}` and `{toxic}`. */
type Handler = (api: ApiOptions, body: Buffer, names: readonly string[]) => Answer | Promise<Answer>;

export async function handleRequest(api: ApiOptions, request: ApiRequest): Promise<ApiResponse> {
  const cleaned = cleanPath(request.path);
  if (cleaned !== request.path) {
    return { status: 301, headers: { Location: encodeURI(cleaned) }, body: "", isRouted: false };
  }
  const route = findRoute(request.path, api.proxyMetrics);
  if (route === undefined) return { ...plainError(404, "404 page not found"), isRouted: false };
  const handler = route.handlers[request.method];
  // Without an Allow header, unlike what the standard asks for.
  if (handler === undefined) return { status: 405, headers: {}, body: "", isRouted: false };
  if (request.userAgent.startsWith("Mozilla/")) {
    return { ...plainError(403, "User agent not allowed"), isRouted: true };
  }
  try {
    return { ...(await handler(api, request.body, route.names)), isRouted: true };
  } catch (error) {
    return { ...plainError(statusOf(error), encodeError(error)), isRouted: true };
  }
}

const updateProxy: Handler = async ({ collection }, body, [name = ""]) => {
  const proxy = collection.get(name);
  await proxy.update(readProxyUpdate(body, proxy));
  return json(200, describeProxy(proxy));
};

const updateToxic: Handler = async (api, body, [proxyName = "", toxicName = ""]) => {
  const rules = { checksAttributes: !api.strict };
  const proxy = api.collection.get(proxyName);
  const toxic = await proxy.updateToxic(toxicName, (current) => readToxicUpdate(body, current, rules));
  return json(200, describeToxic(toxic));
};

interface Route {
  readonly path: RegExp;
  readonly handlers: Readonly<Record<string, Handler>>;
}

const routes: readonly Route[] = [
  {
    path: /^\/version$/,
    handlers: {
      GET: () => ({
        status: 200,
        headers: { "Content-Type": "application/json;charset=utf-8" },
        body: `{"version": "${TOXIPROXY_VERSION}"}\n`,
      }),
    },
  },
  {
    path: /^\/reset$/,
    handlers: {
      POST: async ({ collection }) => {
        for (const proxy of collection.list()) {
          await proxy.start();
          await proxy.removeAllToxics();
        }
        return noContent();
      },
    },
  },
  { path: /^\/populate$/, handlers: { POST: (api, body) => populate(api, body) } },
  {
    path: /^\/proxies$/,
    handlers: {
      GET: ({ collection }) =>
        json(200, new Map(collection.list().map((proxy) => [proxy.name, describeProxy(proxy)]))),
      POST: async ({ collection }, body) =>
        json(201, describeProxy(await collection.add(readNewProxy(body)))),
    },
  },
  {
    path: /^\/proxies\/([^/]+)$/,
    handlers: {
      GET: ({ collection }, _body, [name = ""]) => json(200, describeProxy(collection.get(name))),
      POST: updateProxy,
      PATCH: updateProxy,
      DELETE: async ({ collection }, _body, [name = ""]) => {
        await collection.remove(name);
        return noContent();
      },
    },
  },
  {
    path: /^\/proxies\/([^/]+)\/toxics$/,
    handlers: {
      GET: ({ collection }, _body, [name = ""]) => json(200, collection.get(name).toxics.map(describeToxic)),
      POST: async ({ collection, strict }, body, [name = ""]) => {
        const proxy = collection.get(name);
        const isTaken = (toxicName: string): boolean => proxy.hasToxic(toxicName);
        const rules = { checksAttributes: !strict, isTaken };
        return json(200, describeToxic(await proxy.addToxic(() => readNewToxic(body, rules))));
      },
    },
  },
  {
    path: /^\/proxies\/([^/]+)\/toxics\/([^/]+)$/,
    handlers: {
      GET: ({ collection }, _body, [proxyName = "", toxicName = ""]) =>
        json(200, describeToxic(collection.get(proxyName).toxic(toxicName))),
      POST: updateToxic,
      PATCH: updateToxic,
      DELETE: async ({ collection }, _body, [proxyName = "", toxicName = ""]) => {
        await collection.get(proxyName).removeToxic(toxicName);
        return noContent();
      },
    },
  },
];

const metricsRoute: Route = {
  path: /^\/metrics$/,
  handlers: {
    GET: ({ collection }) => ({
      status: 200,
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      body: collection.metrics.format(),
    }),
  },
};

/**
 * One after the other, up to the first that fails; those before it stay.
 *
 * @throws ApiError when the list cannot be read, the failure that was met otherwise
 */
export async function populateFrom(
  collection: ProxyCollection,
  body: Buffer,
  onPopulated: (proxy: Proxy) => void,
): Promise<void> {
  for (const wanted of readNewProxies(body)) onPopulated(await collection.addOrReplace(wanted));
}

async function populate({ collection, strict }: ApiOptions, body: Buffer): Promise<Answer> {
  const populated: Proxy[] = [];
  let failure: { status: number; fields: Record<string, Encodable> } | undefined;
  try {
    await populateFrom(collection, body, (proxy) => populated.push(proxy));
  } catch (error) {
    const status = statusOf(error);
    failure = { status, fields: { error: messageOf(error), status: BigInt(status) } };
  }
  const none = strict || failure !== undefined ? null : [];
  const proxies = populated.length === 0 ? none : populated.map(describeProxy);
  return json(failure?.status ?? 201, { ...failure?.fields, proxies });
}

function findRoute(
  path: string,
  hasMetrics: boolean,
): { handlers: Route["handlers"]; names: string[] } | undefined {
  for (const route of hasMetrics ? [...routes, metricsRoute] : routes) {
    const match = route.path.exec(path);
    if (match !== null) return { handlers: route.handlers, names: match.slice(1) };
  }
  return undefined;
}

/** The path without empty, `.` and `..` parts; a slash at the end stays. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}${path.endsWith("/") && parts.length > 0 ? "/" : ""}`;
}

function describeProxy(proxy: Proxy): Encodable {
  return {
    name: proxy.name,
    listen: proxy.listen,
    upstream: proxy.upstream,
    enabled: proxy.enabled,
    Logger: {},
    toxics: proxy.toxics.map(describeToxic),
  };
}

function describeToxic(toxic: ActiveToxic): Encodable {
  const { attributes, name, type, stream, toxicity } = toxic;
  return { attributes, name, type: type.type, stream, toxicity };
}

function json(status: number, value: Encodable): Answer {
  return { status, headers: { "Content-Type": "application/json" }, body: encodeGoJson(value) };
}

function noContent(): Answer {
  return { status: 204, headers: {}, body: "" };
}

/** As `http.Error`: whatever the text is, its type is said to be plain text. */
function plainError(status: number, text: string): Answer {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  return { status, headers, body: `${text}\n` };
}

function encodeError(error: unknown): string {
  return encodeGoJson({ error: messageOf(error), status: BigInt(statusOf(error)) });
}

function statusOf(error: unknown): number {
  return error instanceof ApiError ? error.status : 500;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
