/**
 * YAML text → the plain value of its `db` section, variables replaced, and the place of everything in it.
 * Knows nothing of what the settings mean. Every problem is worded here: the parser's own messages quote the
 * text, which may be a password.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, ErrorCode, Node, Pair, YAMLError } from "yaml";
import { interpolate } from "./interpolate.ts";
import type { Variables } from "./interpolate.ts";
import { pathKey } from "./place.ts";
import type { Finding, Path, Place, SettingOrigin } from "./place.ts";

export interface YamlSource {
  readonly value: unknown;
  readonly origins: ReadonlyMap<string, SettingOrigin>;
  readonly problems: readonly PlacedFinding[];
}

interface PlacedFinding extends Finding {
  readonly place: Place;
}

/** Far above any real configuration; an alias bomb passes it within a few lines. */
const MAX_VALUES = 10_000;
const MAX_DEPTH = 50;
const MAX_LENGTH = 1024 * 1024;

/** Reads the section `db` of `text`; the other sections belong to the application and are not looked into. */
export function readYaml(text: string, environment: Variables): YamlSource {
  if (text.length > MAX_LENGTH)
    return failed(`is ${text.length} characters long, the limit is ${MAX_LENGTH}`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = syntaxProblems(document.errors, text, lines);
  if (document.errors.some((error) => error.code !== "DUPLICATE_KEY")) {
    return { value: undefined, origins: new Map(), problems: syntax };
  }
  if (document.contents === null) return failed('is empty: a top-level section "db" is needed');
  if (!isMap(document.contents)) return failed('must be a mapping with a section "db" at its top');
  const pair = document.contents.items.find(({ key }) => isScalar(key) && key.value === "db");
  if (pair === undefined) return failed('has no top-level section "db"');
  const reader = new Reader(document, lines, environment);
  const value = reader.readPair(pair, [], 0);
  // What was cut short would only be reported as missing.
  const tooLarge = reader.problems.filter(({ message }) => message === TOO_LARGE);
  if (tooLarge.length > 0) return { value: undefined, origins: reader.origins, problems: tooLarge };
  return { value, origins: reader.origins, problems: [...syntax, ...reader.problems] };
}

function failed(message: string): YamlSource {
  return {
    value: undefined,
    origins: new Map(),
    problems: [{ path: [], message, place: { line: 1, column: 1 } }],
  };
}

/** Walks the parsed nodes, aliases and merge keys included, and keeps where each value stood. */
class Reader {
  readonly origins = new Map<string, SettingOrigin>();
  readonly problems: PlacedFinding[] = [];
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #environment: Variables;
  #values = 0;

  constructor(document: Document, lines: LineCounter, environment: Variables) {
    this.#document = document;
    this.#lines = lines;
    this.#environment = environment;
  }

  readPair(pair: Pair<Node, Node | null>, parent: Path, depth: number): unknown {
    const path = [...parent, String(isScalar(pair.key) ? pair.key.value : "")];
    return this.#read(pair.value ?? pair.key, path, {
      key: this.#placeOf(pair.key),
      depth,
      missing: pair.value === null,
    });
  }

  #read(
    node: Node,
    path: Path,
    where: { readonly key?: Place; readonly depth: number; readonly missing?: boolean },
  ): unknown {
    const place = this.#placeOf(node);
    const key = where.key ?? place;
    this.#values += 1;
    if (this.#values > MAX_VALUES || where.depth > MAX_DEPTH) {
      // Said once: a bomb would repeat it at every level.
      if (!this.problems.some(({ message }) => message === TOO_LARGE))
        this.#report(path.slice(0, 1), place, TOO_LARGE);
      return undefined;
    }
    this.origins.set(pathKey(path), { value: place, key, variables: [] });
    if (where.missing === true) return null;
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) return this.#report(path, place, "is an alias whose anchor does not exist");
      return this.#read(target, path, { key, depth: where.depth + 1 });
    }
    if (node.tag !== undefined && !node.tag.startsWith("tag:yaml.org,2002:")) {
      return this.#report(path, place, "has a YAML tag that is not known here");
    }
    if (isMap<Node, Node | null>(node)) return this.#readMap(node.items, path, where.depth);
    if (isSeq<Node>(node)) {
      return node.items.map((item, index) => this.#read(item, [...path, index], { depth: where.depth + 1 }));
    }
    if (!isScalar(node) || typeof node.value !== "string") return isScalar(node) ? node.value : undefined;
    const { text, variables, problems } = interpolate(node.value, this.#environment);
    this.origins.set(pathKey(path), { value: place, key, variables });
    for (const message of problems) this.#report(path, place, message);
    // A value with a problem of its own is reported once, not again for what it is not.
    return problems.length > 0 ? UNREADABLE : text;
  }

  #readMap(items: readonly Pair<Node, Node | null>[], path: Path, depth: number): object {
    // First what is merged, so that the mapping's own keys come over it, whatever their order.
    const entries = new Map<string, unknown>();
    for (const { value } of items.filter(isMerge)) {
      if (value !== null) this.#merge(value, path, depth).forEach((merged, key) => entries.set(key, merged));
    }
    for (const pair of items.filter((item) => !isMerge(item))) {
      if (isScalar(pair.key)) entries.set(String(pair.key.value), this.readPair(pair, path, depth + 1));
      else this.#report(path, this.#placeOf(pair.key), "has a key that is not plain text");
    }
    // fromEntries defines properties, so a key such as __proto__ stays a key.
    return Object.fromEntries(entries);
  }

  /** `<<: *other` takes over what the mapping does not say itself. */
  #merge(node: Node, path: Path, depth: number): Map<string, unknown> {
    const sources = isSeq<Node>(node) ? node.items.toReversed() : [node];
    const merged = new Map<string, unknown>();
    for (const source of sources) {
      const target = isAlias(source) ? source.resolve(this.#document) : source;
      if (!isMap<Node, Node | null>(target)) {
        this.#report(path, this.#placeOf(source), "merges (<<) something that is not a mapping");
        continue;
      }
      // Read at the path of the mapping that merges it, so that problems point into the source.
      const own = this.#readMap(target.items, path, depth + 1);
      for (const [key, value] of Object.entries(own)) merged.set(key, value);
    }
    return merged;
  }

  #report(path: Path, place: Place, message: string): typeof UNREADABLE {
    this.problems.push({ path, place, message });
    return UNREADABLE;
  }

  #placeOf(node: Node): Place {
    return placeAt(this.#lines, node.range?.[0] ?? 0);
  }
}

function isMerge({ key }: Pair<Node, Node | null>): boolean {
  return isScalar(key) && key.value === "<<";
}

/** Stands for a value whose problem has been reported already. */
export const UNREADABLE: unique symbol = Symbol("unreadable");

const TOO_LARGE = `holds more than ${MAX_VALUES} values or ${MAX_DEPTH} levels, aliases expanded`;

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** Every duplicate key, and the first of the other errors: what follows it is mostly its echo. */
function syntaxProblems(errors: readonly YAMLError[], text: string, lines: LineCounter): PlacedFinding[] {
  const first = errors.find((error) => error.code !== "DUPLICATE_KEY");
  return errors
    .filter((error) => error === first || error.code === "DUPLICATE_KEY")
    .map((error) => {
      const place = placeAt(lines, error.pos[0]);
      const line = text.split("\n")[place.line - 1] ?? "";
      const hint =
        error !== first || !line.includes("${") ? "" : '; a value with ${…} may need quotes: "${NAME}"';
      return { path: [], place, message: `${SYNTAX[error.code] ?? "is not valid YAML"}${hint}` };
    });
}

const SYNTAX: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_DQ_ESCAPE: "a text in double quotes has an escape that YAML does not know: double the backslash",
  BAD_INDENT: "the indentation does not fit, or a bracket is not closed",
  BAD_SCALAR_START: "a text begins with a character that YAML reserves: put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a second “: ” on one line: put the value in quotes",
  DUPLICATE_KEY: "this key was given before: remove one of the two",
  MISSING_CHAR: "a quote, comma or colon is missing",
  MULTILINE_IMPLICIT_KEY:
    "a key runs over several lines: a colon is missing, or the indentation does not fit",
  MULTIPLE_DOCS: "a second document begins here: a configuration is one document",
  RESOURCE_EXHAUSTION: "the text is nested too deeply",
  TAB_AS_INDENT: "a tab indents this line: use spaces",
  UNEXPECTED_TOKEN: "YAML cannot go on here: look for a missing quote, bracket or colon",
};
