/**
 * What the database's own objects do when a statement reads through them: a view over a writing function writes, a
 * table with an unlogged partition cannot be read on a standby, an operator is as good as its function.
 *
 * `pg_depend` does not show the half of this, so the rows carry what the stored expressions name, and the worst that
 * can be reached from an object is its verdict. Pure: `src/driver/catalogue-sql.ts` reads the rows.
 *
 * One thing cannot be seen: a function that is labelled STABLE or IMMUTABLE and writes nevertheless.
 */
import type { PrimaryReason } from "./classification.ts";
import { builtinFunction } from "./builtin-functions.ts";
import { builtinRelation } from "./builtin-relations.ts";

/** One object as the catalogue query gives it. `refs` are `<field> <oid>`, the fields being those of node trees. */
export type CatalogueRow =
  | {
      readonly kind: "function";
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
      readonly volatility: "i" | "s" | "v";
      /** It can be called as `row.name`, with one argument of a row type. */
      readonly takesRow: boolean;
      readonly refs: readonly string[];
    }
  | {
      readonly kind: "builtin-function";
      readonly oid: number;
      readonly name: string;
      readonly volatility: "i" | "s" | "v";
    }
  | {
      readonly kind: "relation";
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
      /** `pg_class.relkind` */
      readonly type: string;
      readonly unlogged: boolean;
      readonly refs: readonly string[];
    }
  | {
      readonly kind: "builtin-relation";
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
    }
  | {
      readonly kind: "type";
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
      readonly refs: readonly string[];
    }
  | {
      readonly kind: "operator";
      readonly oid: number;
      readonly name: string;
      readonly function: number;
      /** A member of a B-tree or hash operator family: sorting, grouping and joining call it unnamed. */
      readonly implicit: boolean;
    }
  | {
      readonly kind: "cast";
      readonly source: string;
      readonly target: string;
      readonly function: number;
      /** `pg_cast.castcontext`: implicit, assignment, explicit. */
      readonly context: "i" | "a" | "e";
    }
  /** A support function of a user's B-tree or hash operator class: sorting and hashing call it unnamed. */
  | { readonly kind: "support-function"; readonly function: number };

/** How bad: 0 reads · 1 reads, but belongs to one node · 2 not proven to read · 3 needs the primary. */
type Rank = 0 | 1 | 2 | 3;

export interface Verdict {
  readonly rank: Rank;
  readonly reason?: PrimaryReason;
  readonly detail?: string;
}

export const SAFE: Verdict = { rank: 0 };

/** The worse of two; the first of two equals. */
export function worse(one: Verdict, other: Verdict): Verdict {
  return other.rank > one.rank ? other : one;
}

export interface CatalogueSnapshot {
  /** Equal for equal catalogues; a snapshot of the same signature is not worth taking. */
  readonly signature: string;
  /** The worst of all functions of that name (in that schema), or undefined when there is none. */
  function(name: string, schema?: string): Verdict | undefined;
  relation(name: string, schema?: string): Verdict | undefined;
  type(name: string, schema?: string): Verdict | undefined;
  /** The worst of the user's operators of that name; safe when there is none. */
  operator(name: string): Verdict;
  /** What an explicit cast to a type of that name may call. */
  castTo(type: string): Verdict;
  /** What `row.name` may call. */
  attribute(name: string): Verdict;
  /** What any statement at all may call: implicit casts, comparisons. */
  readonly everywhere: Verdict;
  /** How many objects it knows. */
  readonly objects: number;
}

/** For when no database can be asked: every relation is an ordinary table, no function or type is the user's. */
export const assumedCatalogue: CatalogueSnapshot = {
  signature: "assumed",
  function: () => undefined,
  relation: () => SAFE,
  type: () => undefined,
  operator: () => SAFE,
  castTo: () => SAFE,
  attribute: () => SAFE,
  everywhere: SAFE,
  objects: 0,
};

/** Works out the verdicts of all objects. */
export function createCatalogue(rows: readonly CatalogueRow[], signature: string): CatalogueSnapshot {
  const verdicts = propagate(graphOf(rows));
  const functions = new NameIndex();
  const relations = new NameIndex();
  const types = new NameIndex();
  const operators = new Map<string, Verdict>();
  const casts = new Map<string, Verdict>();
  const attributes = new Map<string, Verdict>();
  let everywhere = SAFE;
  const verdictOf = (key: string): Verdict => verdicts.get(key) ?? SAFE;
  const add = (map: Map<string, Verdict>, name: string, verdict: Verdict): void => {
    if (verdict.rank > 0) map.set(name, worse(map.get(name) ?? SAFE, verdict));
  };

  for (const row of rows) {
    switch (row.kind) {
      case "function": {
        const verdict = verdictOf(`f${row.oid}`);
        functions.add(row.schema, row.name, verdict);
        if (row.takesRow) add(attributes, row.name, verdict);
        break;
      }
      case "relation":
        relations.add(row.schema, row.name, verdictOf(`r${row.oid}`));
        break;
      case "type":
        types.add(row.schema, row.name, verdictOf(`t${row.oid}`));
        break;
      case "operator": {
        const verdict = because(verdictOf(`f${row.function}`), "tainted-operator", `operator ${row.name}`);
        add(operators, row.name, verdict);
        if (row.implicit || COMPARISONS.has(row.name)) everywhere = worse(everywhere, verdict);
        break;
      }
      case "cast": {
        const label = `cast ${row.source} → ${row.target}`;
        const verdict = because(verdictOf(`f${row.function}`), "tainted-cast", label);
        add(casts, row.target, verdict);
        if (row.context === "i") everywhere = worse(everywhere, verdict);
        break;
      }
      case "support-function":
        everywhere = worse(
          everywhere,
          because(verdictOf(`f${row.function}`), "tainted-operator", "operator class"),
        );
        break;
      case "builtin-function":
      case "builtin-relation":
        break;
    }
  }
  return {
    signature,
    function: (name, schema) => functions.get(name, schema),
    relation: (name, schema) => relations.get(name, schema),
    type: (name, schema) => types.get(name, schema),
    operator: (name) => operators.get(name) ?? SAFE,
    castTo: (type) => casts.get(type) ?? SAFE,
    attribute: (name) => attributes.get(name) ?? SAFE,
    everywhere,
    objects: rows.length,
  };
}

/** Objects by name, and by schema and name; overloads and homonyms answer with the worst among them. */
class NameIndex {
  readonly #anywhere = new Map<string, Verdict>();
  readonly #qualified = new Map<string, Verdict>();

  add(schema: string, name: string, verdict: Verdict): void {
    this.#anywhere.set(name, worse(this.#anywhere.get(name) ?? SAFE, verdict));
    const key = qualified(schema, name);
    this.#qualified.set(key, worse(this.#qualified.get(key) ?? SAFE, verdict));
  }

  get(name: string, schema: string | undefined): Verdict | undefined {
    return schema === undefined ? this.#anywhere.get(name) : this.#qualified.get(qualified(schema, name));
  }
}

/** A schema may contain any character but NUL. */
function qualified(schema: string, name: string): string {
  return `${schema}\0${name}`;
}

interface GraphNode {
  /** How details name it. */
  readonly label: string;
  /** What it does by itself. */
  readonly own: Verdict;
  /** The reason of whoever reaches something bad through it. */
  readonly reason: PrimaryReason | undefined;
  readonly refs: readonly string[];
}

function graphOf(rows: readonly CatalogueRow[]): Map<string, GraphNode> {
  const graph = new Map<string, GraphNode>();
  for (const row of rows) {
    switch (row.kind) {
      case "function":
        graph.set(`f${row.oid}`, {
          label: `${row.name}()`,
          own: row.volatility === "v" ? verdict(2, "volatile-function", `${row.name}()`) : SAFE,
          reason: undefined,
          refs: keysOf(row.refs),
        });
        break;
      case "builtin-function":
        graph.set(`f${row.oid}`, { ...LEAF, label: `${row.name}()`, own: builtinVerdict(row) });
        break;
      case "relation":
        graph.set(`r${row.oid}`, relationNode(row));
        break;
      case "builtin-relation":
        graph.set(`r${row.oid}`, {
          ...LEAF,
          label: row.name,
          own: builtinRelation(row.schema, row.name) === "safe" ? SAFE : verdict(1, "node-local", row.name),
        });
        break;
      case "type":
        graph.set(`t${row.oid}`, {
          label: `type ${row.name}`,
          own: SAFE,
          reason: "tainted-type",
          refs: keysOf(row.refs),
        });
        break;
      case "operator":
        graph.set(`o${row.oid}`, {
          label: `operator ${row.name}`,
          own: SAFE,
          reason: "tainted-operator",
          refs: [`f${row.function}`],
        });
        break;
      case "cast":
      case "support-function":
        break;
    }
  }
  // What stored expressions say beside the objects they name.
  graph.set(LOCKING, { ...LEAF, label: "FOR UPDATE", own: verdict(3, "locking-clause", "FOR UPDATE") });
  graph.set(NEXTVAL, { ...LEAF, label: "nextval()", own: verdict(3, "primary-only-function", "nextval()") });
  return graph;
}

function relationNode(row: Extract<CatalogueRow, { kind: "relation" }>): GraphNode {
  const label = `${RELATION_TYPES.get(row.type) ?? "relation"} ${row.name}`;
  return {
    label,
    own: ownRelationVerdict(row, label),
    reason: row.type === "v" ? "writing-view" : "writing-policy",
    refs: keysOf(row.refs),
  };
}

function ownRelationVerdict(row: Extract<CatalogueRow, { kind: "relation" }>, label: string): Verdict {
  if (row.unlogged) return verdict(3, "unlogged-table", label);
  if (row.type === "f") return verdict(2, "foreign-table", label);
  // A replica shows a sequence up to 32 values ahead of the primary, because WAL is written ahead.
  return row.type === "S" ? verdict(1, "node-local", label) : SAFE;
}

/** Inside stored expressions PostgreSQL's unlisted functions are mostly those of its own operators and casts. */
function builtinVerdict(row: Extract<CatalogueRow, { kind: "builtin-function" }>): Verdict {
  const label = `${row.name}()`;
  switch (builtinFunction(row.name)) {
    case "safe":
      return SAFE;
    case "node-local":
      return verdict(1, "node-local", label);
    case "opaque":
      return verdict(2, "opaque-function", label);
    case "primary-only":
      return verdict(3, "primary-only-function", label);
    case undefined:
      return row.volatility === "v" ? verdict(2, "unknown-function", label) : SAFE;
  }
}

function verdict(rank: Rank, reason: PrimaryReason, detail: string): Verdict {
  return { rank, reason, detail };
}

/** A verdict seen from whoever calls: the same rank, its own reason, and the way there. */
function because(verdict: Verdict, reason: PrimaryReason | undefined, label: string): Verdict {
  if (verdict.rank === 0) return SAFE;
  const kept =
    reason === undefined || (verdict.reason !== undefined && SPEAKS_FOR_ITSELF.has(verdict.reason));
  const effective = kept ? verdict.reason : reason;
  return {
    rank: verdict.rank,
    ...(effective && { reason: effective }),
    detail: `${label} → ${verdict.detail ?? ""}`,
  };
}

/** Node-tree fields to graph keys; what cannot be reached is not followed. */
function keysOf(refs: readonly string[]): string[] {
  return refs.flatMap((ref) => {
    const [field = "", oid = ""] = ref.split(" ");
    const prefix = FIELDS.get(field);
    if (prefix === undefined) return [];
    return [prefix.length > 1 ? prefix : `${prefix}${oid}`];
  });
}

/**
 * Spreads verdicts from what is bad to whoever reaches it, the worst first, so that each object is settled once and
 * cycles end by themselves.
 */
function propagate(graph: ReadonlyMap<string, GraphNode>): Map<string, Verdict> {
  const callers = new Map<string, string[]>();
  for (const [key, node] of graph) {
    for (const ref of node.refs) {
      const known = callers.get(ref);
      if (known === undefined) callers.set(ref, [key]);
      else known.push(key);
    }
  }
  const settled = new Map<string, Verdict>();
  for (const rank of [3, 2, 1] as const) {
    const queue: [string, Verdict][] = [];
    for (const [key, node] of graph) if (node.own.rank === rank) queue.push([key, node.own]);
    // Grows while it is walked: breadth first gives the shortest way as the detail.
    for (const [key, verdict] of queue) {
      if (settled.has(key)) continue;
      settled.set(key, verdict);
      for (const caller of callers.get(key) ?? []) {
        const node = graph.get(caller);
        if (node !== undefined && !settled.has(caller)) {
          queue.push([caller, because(verdict, node.reason, node.label)]);
        }
      }
    }
  }
  return settled;
}

const LOCKING = "locking";
const NEXTVAL = "nextval";

const LEAF = { reason: undefined, refs: [] } as const;

/** The fields of a node tree that name objects. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ["funcid", "f"],
  ["aggfnoid", "f"],
  ["winfnoid", "f"],
  ["tsmhandler", "f"],
  ["opno", "o"],
  ["eqop", "o"],
  ["sortop", "o"],
  ["relid", "r"],
  ["resulttype", "t"],
  ["seqid", NEXTVAL],
  ["rowmark", LOCKING],
]);

/** These stay the reason, however many views lie between. */
const SPEAKS_FOR_ITSELF: ReadonlySet<PrimaryReason> = new Set([
  "unlogged-table",
  "foreign-table",
  "node-local",
  "tainted-type",
]);

/** Grouping, sorting, joining, IN and BETWEEN use these without naming them. */
const COMPARISONS: ReadonlySet<string> = new Set(["=", "<>", "<", ">", "<=", ">="]);

const RELATION_TYPES: ReadonlyMap<string, string> = new Map([
  ["r", "table"],
  ["p", "table"],
  ["v", "view"],
  ["m", "materialized view"],
  ["f", "foreign table"],
  ["S", "sequence"],
]);
