/**
 * A caller's query config as the router hands it on. A copy: older `pg` writes its own callback into the object that it
 * is given, which the caller may use again. By name, because a config may be an object whose properties are inherited
 * (a tagged template's result).
 */
import type { QueryInput } from "./driver.ts";

/** What `pg` reads from a config, beyond what its types say. */
export interface FullQueryConfig {
  readonly text: string;
  readonly values?: unknown[] | undefined;
  readonly name?: string | undefined;
  readonly types?: unknown;
  readonly rowMode?: unknown;
  readonly binary?: unknown;
  readonly queryMode?: unknown;
  readonly portal?: unknown;
  readonly rows?: unknown;
  readonly query_timeout?: unknown;
}

/** The same statement in an object that is ours. */
export function ownConfig(input: QueryInput): QueryInput {
  if (typeof input === "string" || input === null || typeof input !== "object") return input;
  const config = input as FullQueryConfig;
  return {
    text: config.text,
    values: config.values,
    name: config.name,
    types: config.types,
    rowMode: config.rowMode,
    binary: config.binary,
    queryMode: config.queryMode,
    portal: config.portal,
    rows: config.rows,
    query_timeout: config.query_timeout,
  } as unknown as QueryInput;
}

/** The text to classify; "" where there is none, which no replica is asked to run. */
export function textOf(input: unknown): string {
  if (typeof input === "string") return input;
  const text = (input as { text?: unknown } | null | undefined)?.text;
  return typeof text === "string" ? text : "";
}

/** The name of a prepared statement, when it has one. */
export function nameOf(input: unknown): string | undefined {
  if (typeof input !== "object" || input === null || !("name" in input)) return undefined;
  const { name } = input;
  return typeof name === "string" && name !== "" ? name : undefined;
}

/** The same statement, to be planned afresh instead of by its name. */
export function unnamed(input: QueryInput): QueryInput {
  return typeof input === "string"
    ? input
    : ({ ...(ownConfig(input) as object), name: undefined } as QueryInput);
}
