/**
 * What a parsed statement names and does, whatever those names turn out to mean. Every kind of node that a read may
 * hold is listed; one that is not makes the statement unproven, so a new grammar cannot slip through.
 */

export interface ObjectName {
  readonly schema: string | undefined;
  readonly name: string;
}

export interface StatementFacts {
  readonly functions: readonly ObjectName[];
  readonly relations: readonly ObjectName[];
  readonly types: readonly ObjectName[];
  /** Operators written out, `=` of IN and `~~` of LIKE included. */
  readonly operators: readonly string[];
  /** Last parts of `a.b` and `(a).b`, which may call the function b. */
  readonly attributes: readonly string[];
  /** What writes, locks or is unheard of, in its own syntax. */
  readonly writes: readonly SyntacticWrite[];
  /** `set_config(…, true)` alone, which lasts as long as the transaction. */
  readonly localSettings: boolean;
}

export interface SyntacticWrite {
  readonly kind:
    | "writing-cte"
    | "locking-clause"
    | "select-into"
    | "select-into-temp"
    | "ddl"
    | "unknown-node";
  readonly detail: string;
}

/** Collects the facts of one statement's node. The walk keeps its own stack: texts may nest deeper than ours. */
export function statementFacts(statement: unknown): StatementFacts {
  const collector = new Collector();
  const stack: Frame[] = [{ value: statement, key: "", scope: undefined }];
  for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) collector.visit(frame, stack);
  return collector.facts();
}

/** A part of the tree, the field it stands in, and the WITH names that are visible there. */
interface Frame {
  readonly value: unknown;
  readonly key: string;
  readonly scope: Scope | undefined;
}

interface Scope {
  readonly names: ReadonlySet<string>;
  readonly outer: Scope | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

class Collector {
  readonly #functions = new Map<string, ObjectName>();
  readonly #relations = new Map<string, ObjectName>();
  readonly #types = new Map<string, ObjectName>();
  readonly #operators = new Set<string>();
  readonly #attributes = new Set<string>();
  readonly #writes: SyntacticWrite[] = [];
  #settings = 0;
  #localSettings = 0;

  facts(): StatementFacts {
    return {
      functions: [...this.#functions.values()],
      relations: [...this.#relations.values()],
      types: [...this.#types.values()],
      operators: [...this.#operators],
      attributes: [...this.#attributes],
      writes: this.#writes,
      localSettings: this.#settings > 0 && this.#settings === this.#localSettings,
    };
  }

  visit(frame: Frame, stack: Frame[]): void {
    const { value, key, scope } = frame;
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) stack.push({ value: item, key, scope });
      return;
    }
    const fields = value as Fields;
    // A field of a fixed type holds its node bare; any other holds it under the name of its type.
    const bare = BARE_FIELDS.get(key);
    const names = Object.keys(fields);
    const wrapped = names.length === 1 && isNodeName(names[0] ?? "") ? names[0] : undefined;
    if (wrapped !== undefined) this.#node(wrapped, (fields[wrapped] ?? {}) as Fields, scope, stack);
    else if (bare !== undefined) this.#node(bare, fields, scope, stack);
    else this.#children(fields, scope, stack);
  }

  #node(type: string, fields: Fields, scope: Scope | undefined, stack: Frame[]): void {
    switch (type) {
      case "SelectStmt":
        this.#select(fields, scope, stack);
        return;
      case "FuncCall":
        this.#functionCall(fields);
        break;
      case "RangeVar":
        this.#relation(fields, scope);
        return;
      case "TypeName":
        this.#type(fields);
        break;
      case "RangeTableSample":
        this.#sampling(fields);
        break;
      case "A_Expr":
        this.#operator(fields["name"]);
        break;
      case "SubLink":
        this.#operator(fields["operName"]);
        break;
      case "SortBy":
        this.#operator(fields["useOp"]);
        break;
      case "ColumnRef":
        this.#attribute(fields["fields"], 2);
        return;
      case "A_Indirection":
        this.#attribute(fields["indirection"], 1);
        break;
      case "LockingClause":
        this.#writes.push({ kind: "locking-clause", detail: lockStrength(fields) });
        return;
      case "IntoClause":
        this.#into(fields);
        return;
      case "InsertStmt":
      case "UpdateStmt":
      case "DeleteStmt":
      case "MergeStmt":
        this.#writes.push({ kind: "writing-cte", detail: type.slice(0, -4).toUpperCase() });
        break;
      case "CreateTableAsStmt":
      case "RefreshMatViewStmt":
        this.#writes.push({ kind: "ddl", detail: type });
        break;
      default:
        if (!READING_NODES.has(type)) this.#writes.push({ kind: "unknown-node", detail: type });
    }
    this.#children(fields, scope, stack);
  }

  #children(fields: Fields, scope: Scope | undefined, stack: Frame[]): void {
    for (const key in fields) {
      const value = fields[key];
      if (typeof value === "object") stack.push({ value, key, scope });
    }
  }

  /** WITH names hide relations: all of them in the statement, only the earlier ones in each WITH query itself. */
  #select(fields: Fields, scope: Scope | undefined, stack: Frame[]): void {
    const { withClause, ...rest } = fields;
    if (typeof withClause !== "object" || withClause === null) {
      this.#children(fields, scope, stack);
      return;
    }
    const { ctes, recursive } = withClause as Fields;
    const queries = Array.isArray(ctes) ? (ctes as readonly unknown[]) : [];
    const names = queries.map((query) => String(fieldsOf(query, "CommonTableExpr")["ctename"]));
    for (const [i, query] of queries.entries()) {
      const visible = recursive === true ? names : names.slice(0, i);
      stack.push({ value: query, key: "", scope: { names: new Set(visible), outer: scope } });
    }
    this.#children(rest, { names: new Set(names), outer: scope }, stack);
  }

  #functionCall(fields: Fields): void {
    const called = objectName(fields["funcname"]);
    this.#functions.set(keyOf(called), called);
    if (called.name !== "set_config") return;
    this.#settings++;
    const last = Array.isArray(fields["args"]) ? (fields["args"] as readonly unknown[])[2] : undefined;
    if ((fieldsOf(last, "A_Const")["boolval"] as Fields | undefined)?.["boolval"] === true) {
      this.#localSettings++;
    }
  }

  #relation(fields: Fields, scope: Scope | undefined): void {
    const schema = typeof fields["schemaname"] === "string" ? fields["schemaname"] : undefined;
    const name = String(fields["relname"]);
    for (let at = schema === undefined ? scope : undefined; at !== undefined; at = at.outer) {
      if (at.names.has(name)) return;
    }
    this.#relations.set(keyOf({ schema, name }), { schema, name });
  }

  #type(fields: Fields): void {
    const type = objectName(fields["names"]);
    // `AS x (a int)` without a type, and the SETOF of a definition, name nothing.
    if (type.name !== "") this.#types.set(keyOf(type), type);
  }

  #sampling(fields: Fields): void {
    const method = objectName(fields["method"]);
    if (method.name !== "bernoulli" && method.name !== "system") this.#functions.set(keyOf(method), method);
  }

  #operator(name: unknown): void {
    if (Array.isArray(name)) this.#operators.add(objectName(name).name);
  }

  #attribute(path: unknown, atLeast: number): void {
    if (!Array.isArray(path) || path.length < atLeast) return;
    for (const part of path.slice(atLeast - 1) as readonly unknown[]) {
      const name = fieldsOf(part, "String")["sval"];
      if (typeof name === "string") this.#attributes.add(name);
    }
  }

  #into(fields: Fields): void {
    const { relname, relpersistence } = (fields["rel"] ?? {}) as Fields;
    this.#writes.push({
      kind: relpersistence === "t" ? "select-into-temp" : "select-into",
      detail: `into ${String(relname)}`,
    });
  }
}

/** The parts of a possibly qualified name; a database in front of the schema is dropped, as PostgreSQL does. */
function objectName(parts: unknown): ObjectName {
  const names = (Array.isArray(parts) ? (parts as readonly unknown[]) : []).map((part) => {
    const name = fieldsOf(part, "String")["sval"];
    return typeof name === "string" ? name : "";
  });
  return { schema: names.at(-2), name: names.at(-1) ?? "" };
}

function fieldsOf(node: unknown, type: string): Fields {
  if (typeof node !== "object" || node === null) return {};
  return ((node as Fields)[type] ?? {}) as Fields;
}

/** `FOR UPDATE`, from `LCS_FORUPDATE`. */
function lockStrength(fields: Fields): string {
  return String(fields["strength"]).replace("LCS_FOR", "FOR ");
}

function keyOf(name: ObjectName): string {
  return name.schema === undefined ? name.name : `${name.schema}\0${name.name}`;
}

/** Node types are in PascalCase, `A_Expr` included; fields are not. */
function isNodeName(name: string): boolean {
  const code = name.charCodeAt(0);
  return code >= 65 && code <= 90;
}

/** Fields whose node type is fixed, so that it is not named in the JSON. */
const BARE_FIELDS: ReadonlyMap<string, string> = new Map([
  ["larg", "SelectStmt"],
  ["rarg", "SelectStmt"],
  ["intoClause", "IntoClause"],
  ["typeName", "TypeName"],
  ["argType", "TypeName"],
  ["search_clause", "CTESearchClause"],
  ["cycle_clause", "CTECycleClause"],
]);

/** What a statement that only reads may be made of, beside the nodes that are looked into. */
const READING_NODES: ReadonlySet<string> = new Set(
  `A_ArrayExpr A_Const A_Indices A_Star Alias BitString Boolean BooleanTest BoolExpr CaseExpr CaseWhen CoalesceExpr
   CollateClause ColumnDef CommonTableExpr CTECycleClause CTESearchClause DefElem ExplainStmt Float GroupingFunc GroupingSet
   Integer JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor
   JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput
   JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec
   JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect RangeTableFunc
   RangeTableFuncCol ResTarget RowExpr SetToDefault SQLValueFunction String TypeCast WindowDef WithClause XmlExpr
   XmlSerialize`.split(/\s+/),
);
