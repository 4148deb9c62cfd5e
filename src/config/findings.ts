/** What the schema found wrong, in words: what must hold, what was found, what was probably meant. */
import type { z } from "zod";
import type { Finding, Path } from "./place.ts";
import { suggest } from "./suggest.ts";
import { UNREADABLE } from "./yaml-source.ts";

type Issue = z.core.$ZodIssue;

export interface FindingsOptions {
  /** The value of the section `db`. */
  readonly input: unknown;
  /** The names a section may hold, by its path below `db`. */
  readonly knownKeys: (path: Path) => readonly string[];
  /** Must the value at this path (from `db` on) be kept out of errors? Passwords are in any case. */
  readonly isSecret: (path: Path) => boolean;
}

export function schemaFindings(issues: readonly Issue[], options: FindingsOptions): Finding[] {
  const { input, knownKeys, isSecret } = options;
  return issues.flatMap((issue) => {
    const path = issue.path as (string | number)[];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => unknownKey([...path, key], key, knownKeys(path)));
    }
    const value = valueAt(input, path);
    // Its problem has been reported where the value was read.
    if (value === UNREADABLE) return [];
    const place = ["db", ...path];
    if (value === undefined) return [{ path: place, message: `is missing: ${issue.message}` }];
    const found = path.at(-1) === "password" || isSecret(place) ? kindOf(value) : shown(value);
    const needsQuotes =
      issue.code === "invalid_type" && issue.expected === "string" && typeof value !== "object";
    return [
      { path: place, message: `${issue.message}, got ${found}${needsQuotes ? ": put it in quotes" : ""}` },
    ];
  });
}

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const meant = suggest(key, known);
  const hint = meant === undefined ? "" : `: did you mean ${meant}?`;
  return { path: ["db", ...path], at: "key", message: `is not a known setting${hint}` };
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    return (value as Record<string | number, unknown>)[step];
  }, input);
}

/** A value for an error: short, on one line, and none that looks like a secret. */
function shown(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return `the ${typeof value} ${value}`;
  // A connection string in place of a host, or a key in place of its path.
  if (typeof value !== "string" || /@|PRIVATE KEY|\n/.test(value)) return kindOf(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a section" : `a ${typeof value} that is not shown`;
}
