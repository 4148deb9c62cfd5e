/** Weighs what a statement names: PostgreSQL's own objects by the reviewed tables, the user's by the catalogue. */
import { SESSION_FUNCTIONS, builtinFunction } from "./builtin-functions.ts";
import { builtinRelation, isBuiltinType } from "./builtin-relations.ts";
import { SAFE, worse } from "./catalogue.ts";
import type { CatalogueSnapshot, Verdict } from "./catalogue.ts";
import type { PrimaryReason } from "./classification.ts";
import type { ObjectName, StatementFacts, SyntacticWrite } from "./statement-facts.ts";

export interface Judgement {
  readonly verdict: Verdict;
  readonly pinsSession: boolean;
  /** It names something that neither the tables nor the catalogue know. */
  readonly missed: boolean;
}

/** The worst of everything the statement names; the first among equals gives the reason. */
export function judge(facts: StatementFacts, catalogue: CatalogueSnapshot | undefined): Judgement {
  let verdict = SAFE;
  let missed = false;
  let pinsSession = false;
  const weigh = (next: Verdict): void => {
    verdict = worse(verdict, next);
    if (next.reason !== undefined && MISSES.has(next.reason)) missed = true;
  };

  for (const write of facts.writes) {
    weigh(syntacticVerdict(write));
    if (write.kind === "select-into-temp") pinsSession = true;
  }
  for (const called of facts.functions) {
    weigh(functionVerdict(called, catalogue));
    if (leavesState(called, facts)) pinsSession = true;
  }
  for (const relation of facts.relations) {
    weigh(relationVerdict(relation, catalogue));
    if (isTemporary(relation)) pinsSession = true;
  }
  for (const type of facts.types) weigh(typeVerdict(type, catalogue));
  if (catalogue !== undefined) {
    weigh(catalogue.everywhere);
    for (const operator of facts.operators) weigh(catalogue.operator(operator));
    for (const attribute of facts.attributes) weigh(catalogue.attribute(attribute));
  }
  return { verdict, pinsSession, missed };
}

/** Equal for statements that name the same things, whatever their values. */
export function fingerprintOf(facts: StatementFacts): string {
  const { relations, functions, types, operators } = facts;
  return [namesOf(relations), namesOf(functions), namesOf(types), operators.toSorted().join(",")].join("|");
}

function namesOf(objects: readonly ObjectName[]): string {
  return objects
    .map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`))
    .sort()
    .join(",");
}

function syntacticVerdict(write: SyntacticWrite): Verdict {
  if (write.kind === "unknown-node") return verdict(2, "unknown-statement", write.detail);
  return verdict(3, write.kind === "select-into-temp" ? "temp-object" : write.kind, write.detail);
}

/**
 * An unqualified name may mean PostgreSQL's function or a user's of the same name, as the search path has it, so it
 * counts as the worst of both. `type(x)` is a cast.
 */
function functionVerdict(called: ObjectName, catalogue: CatalogueSnapshot | undefined): Verdict {
  const { schema, name } = called;
  const own = schema === undefined || schema === "pg_catalog" ? builtinVerdict(name) : undefined;
  const users = catalogue?.function(name, schema);
  const casts = catalogue?.castTo(name) ?? SAFE;
  if (own !== undefined || users !== undefined) return worse(worse(own ?? SAFE, users ?? SAFE), casts);
  const type = catalogue?.type(name, schema);
  if (type !== undefined) return worse(type, casts);
  return verdict(2, catalogue === undefined ? "catalogue-not-loaded" : "unknown-function", `${name}()`);
}

function builtinVerdict(name: string): Verdict | undefined {
  switch (builtinFunction(name)) {
    case "safe":
      return SAFE;
    case "node-local":
      return verdict(1, "node-local", `${name}()`);
    case "opaque":
      return verdict(2, "opaque-function", `${name}()`);
    case "primary-only":
      return verdict(3, "primary-only-function", `${name}()`);
    case undefined:
      return undefined;
  }
}

function relationVerdict(relation: ObjectName, catalogue: CatalogueSnapshot | undefined): Verdict {
  const { schema, name } = relation;
  if (isTemporary(relation)) return verdict(3, "temp-object", `${String(schema)}.${name}`);
  const builtin = builtinRelation(schema, name);
  const own = builtin === "node-local" ? verdict(1, "node-local", name) : SAFE;
  const users = catalogue?.relation(name, schema);
  if (builtin !== undefined || users !== undefined) return worse(own, users ?? SAFE);
  return verdict(2, catalogue === undefined ? "catalogue-not-loaded" : "unknown-relation", name);
}

function typeVerdict(type: ObjectName, catalogue: CatalogueSnapshot | undefined): Verdict {
  const { schema, name } = type;
  const casts = catalogue?.castTo(name) ?? SAFE;
  const users = catalogue?.type(name, schema);
  if (users !== undefined) return worse(users, casts);
  if (schema === "information_schema") return casts;
  if ((schema === undefined || schema === "pg_catalog") && isBuiltinType(name)) return casts;
  return verdict(2, catalogue === undefined ? "catalogue-not-loaded" : "unknown-type", name);
}

function leavesState(called: ObjectName, facts: StatementFacts): boolean {
  if (!SESSION_FUNCTIONS.has(called.name)) return false;
  return called.name !== "set_config" || !facts.localSettings;
}

function isTemporary(name: ObjectName): boolean {
  return name.schema !== undefined && /^pg_temp(_\d+)?$/.test(name.schema);
}

function verdict(rank: Verdict["rank"], reason: PrimaryReason, detail: string): Verdict {
  return { rank, reason, detail };
}

const MISSES: ReadonlySet<PrimaryReason> = new Set([
  "unknown-function",
  "unknown-relation",
  "unknown-type",
  "catalogue-not-loaded",
]);
