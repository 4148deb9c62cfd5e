/** What the API reads from a request's body, field by field, with Toxiproxy's defaults and checks. */
import type { ActiveToxic, Direction, ToxicChange } from "./active-toxic.ts";
import { valuesOf } from "./active-toxic.ts";
import { ApiError } from "./api-error.ts";
import { decodeStruct, decodeStructs } from "./go-json-decode.ts";
import type { Decoded, Shape } from "./go-json-decode.ts";
import { JsonError, parseGoJson } from "./go-json-parse.ts";
import type { JsonValue } from "./go-json-parse.ts";
import type { ProxySettings } from "./proxy.ts";
import type { ToxicType } from "./toxics/pipe.ts";
import { toxicTypes } from "./toxics/registry.ts";

export interface NewProxy extends ProxySettings {
  readonly name: string;
}

// `Logger` is a field of Toxiproxy's own that its JSON shows and takes: clients send back what they were given.
const proxyFields: Shape["fields"] = {
  name: "string",
  listen: "string",
  upstream: "string",
  enabled: "bool",
  Logger: { name: "Logger", goType: "zerolog.Logger", fields: {} },
};

const proxyShape: Shape = { name: "Proxy", goType: "toxiproxy.Proxy", fields: proxyFields };

const POPULATE_ELEMENT = String.raw`struct { toxiproxy.Proxy; Enabled *bool "json:\"enabled\"" }`;
const populateShape: Shape = { name: "", goType: POPULATE_ELEMENT, fields: proxyFields };

/** @throws ApiError 400 */
export function readNewProxy(body: Buffer): NewProxy {
  const proxy = toNewProxy(read(body, (value) => decodeStruct(value, proxyShape)) ?? {});
  requireFields(proxy, "");
  return proxy;
}

/** Every proxy of a list; all are checked before any is given. @throws ApiError 400 */
export function readNewProxies(body: Buffer): NewProxy[] {
  const proxies = read(body, (value) => decodeStructs(value, `[]${POPULATE_ELEMENT}`, populateShape));
  return proxies.map(toNewProxy).map((proxy, index) => {
    requireFields(proxy, ` at proxy ${index + 1}`);
    return proxy;
  });
}

/** What is not given stays as it is. @throws ApiError 400 */
export function readProxyUpdate(body: Buffer, current: ProxySettings): ProxySettings {
  const given = read(body, (value) => decodeStruct(value, proxyShape)) ?? {};
  return {
    listen: stringOr(given["listen"], current.listen),
    upstream: stringOr(given["upstream"], current.upstream),
    enabled: booleanOr(given["enabled"], current.enabled),
  };
}

export interface ToxicRules {
  /** Whether attributes that cannot work are refused. */
  readonly checksAttributes: boolean;
  readonly isTaken: (name: string) => boolean;
}

/** @throws ApiError 400 or 409, in the order in which Toxiproxy looks */
export function readNewToxic(body: Buffer, rules: ToxicRules): ActiveToxic {
  // First with attributes of no type, because the type is not known yet.
  const attributes: Shape = { name: "NoopToxic", goType: "toxics.NoopToxic", fields: {} };
  const fields = {
    attributes,
    name: "string",
    type: "string",
    stream: "string",
    toxicity: "float32",
  } as const;
  const wrapperShape: Shape = { name: "ToxicWrapper", goType: "toxics.ToxicWrapper", fields };
  const given = read(body, (value) => decodeStruct(value, wrapperShape)) ?? {};

  const stream = stringOr(given["stream"], "downstream");
  const direction = parseDirection(stream);
  const typeName = stringOr(given["type"], "");
  const name = stringOr(given["name"], "") || `${typeName}_${stream}`;
  const type = toxicTypes.get(typeName);
  if (type === undefined) throw new ApiError(400, "invalid toxic type");
  if (rules.isTaken(name)) throw new ApiError(409, "toxic already exists");

  const typed = read(body, (value) => decodeStruct(value, attributesShape(type, "", {}))) ?? {};
  const toxic: ActiveToxic = {
    name,
    type,
    stream,
    direction,
    attributes: attributesOr(typed["attributes"], zeroes(type)),
    toxicity: numberOr(given["toxicity"], 1),
  };
  if (rules.checksAttributes) refuseImpossible(toxic);
  return toxic;
}

/** Attributes and toxicity; what is not given stays as it is. @throws ApiError 400 */
export function readToxicUpdate(
  body: Buffer,
  current: ActiveToxic,
  rules: Pick<ToxicRules, "checksAttributes">,
): ToxicChange {
  const goType = String.raw`struct { Attributes interface {} "json:\"attributes\""; Toxicity float32 "json:\"toxicity\"" }`;
  const shape = attributesShape(current.type, goType, { toxicity: "float32" });
  const given = read(body, (value) => decodeStruct(value, shape)) ?? {};
  const changed = {
    attributes: attributesOr(given["attributes"], current.attributes),
    toxicity: numberOr(given["toxicity"], current.toxicity),
  };
  if (rules.checksAttributes) refuseImpossible({ ...current, ...changed });
  return changed;
}

function attributesShape(type: ToxicType, goType: string, others: Shape["fields"]): Shape {
  const fields = Object.fromEntries(type.attributes.map(({ name, goType }) => [name, goType]));
  const attributes: Shape = { name: type.goName, goType: `toxics.${type.goName}`, fields };
  return { name: "", goType, fields: { attributes, ...others } };
}

function refuseImpossible(toxic: ActiveToxic): void {
  const isShare = toxic.toxicity >= 0 && toxic.toxicity <= 1;
  const problem = isShare
    ? toxic.type.refuse(valuesOf(toxic))
    : `toxicity must be between 0 and 1, got ${toxic.toxicity}`;
  if (problem !== undefined) throw badBody(`${toxic.type.type}: ${problem}`);
}

function read<T>(body: Buffer, decode: (value: JsonValue) => T): T {
  try {
    return decode(parseGoJson(body));
  } catch (error) {
    if (error instanceof JsonError) throw badBody(error.message);
    throw error;
  }
}

function badBody(problem: string): ApiError {
  return new ApiError(400, `bad request body: ${problem}`);
}

function toNewProxy(given: Decoded): NewProxy {
  return {
    name: stringOr(given["name"], ""),
    listen: stringOr(given["listen"], ""),
    upstream: stringOr(given["upstream"], ""),
    enabled: booleanOr(given["enabled"], true),
  };
}

function requireFields(proxy: NewProxy, where: string): void {
  for (const field of ["name", "upstream"] as const) {
    if (proxy[field] === "") throw new ApiError(400, `missing required field: ${field}${where}`);
  }
}

function parseDirection(stream: string): Direction {
  const direction = stream.toLowerCase();
  if (direction === "upstream" || direction === "downstream") return direction;
  throw new ApiError(400, "stream was invalid, can be either upstream or downstream");
}

function zeroes(type: ToxicType): Record<string, bigint> {
  return Object.fromEntries(type.attributes.map(({ name }) => [name, 0n]));
}

function attributesOr(
  given: Decoded[string],
  current: Readonly<Record<string, bigint>>,
): Readonly<Record<string, bigint>> {
  if (typeof given !== "object") return current;
  return { ...current, ...(given as Record<string, bigint>) };
}

function stringOr(given: Decoded[string], otherwise: string): string {
  return typeof given === "string" ? given : otherwise;
}

function booleanOr(given: Decoded[string], otherwise: boolean): boolean {
  return typeof given === "boolean" ? given : otherwise;
}

function numberOr(given: Decoded[string], otherwise: number): number {
  return typeof given === "number" ? given : otherwise;
}
