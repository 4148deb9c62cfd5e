/**
 * PostgreSQL's own parser, compiled to WebAssembly. Each instance is loaded anew from the package, because one that
 * has run out of stack cannot be trusted again: after some dozens of those it fails for good, or spins.
 */
import { createRequire } from "node:module";
import type * as libpgQuery from "libpg-query";
import type { ParseOutcome, Parser } from "../routing/parser.ts";

export interface SqlParser extends Parser {
  /** Resolves when no instance is being loaded. Statements need not wait: until then they go to the primary. */
  ready(): Promise<void>;
  /** How many instances were given up. */
  readonly retired: number;
}

/** Loads the parser; it can be used when the promise resolves. Parsing itself is synchronous. */
export async function createSqlParser(): Promise<SqlParser> {
  const parser = new WasmParser();
  await parser.ready();
  return parser;
}

type Module = Pick<typeof libpgQuery, "loadModule" | "parseSync" | "SqlError">;

class WasmParser implements SqlParser {
  #module: Module | undefined;
  #loading: Promise<void>;
  #failed = false;
  #retired = 0;

  constructor() {
    this.#loading = this.#load();
  }

  get retired(): number {
    return this.#retired;
  }

  ready(): Promise<void> {
    return this.#loading;
  }

  parse(text: string): ParseOutcome {
    const module = this.#module;
    if (module === undefined) {
      if (this.#failed) this.#reload();
      return UNAVAILABLE;
    }
    try {
      const statements = module.parseSync(text).stmts ?? [];
      return { kind: "parsed", statements: statements.map((raw) => raw.stmt) };
    } catch (error) {
      if (error instanceof module.SqlError) return SYNTAX_ERROR;
      this.#retire();
      return OVERWHELMED;
    }
  }

  #retire(): void {
    this.#module = undefined;
    this.#retired++;
    this.#reload();
  }

  #reload(): void {
    this.#failed = false;
    this.#loading = this.#load();
    // Whoever waits for ready() hears of a failure; the next statement tries again.
    this.#loading.catch(() => {
      this.#failed = true;
    });
  }

  async #load(): Promise<void> {
    const module = freshModule();
    await module.loadModule();
    this.#module = module;
  }
}

/**
 * The package makes one WebAssembly instance when its entry is evaluated, so forgetting the entry makes another.
 * A `require` of its own each time lets the old instance go: it remembers whatever it has loaded.
 */
function freshModule(): Module {
  const require = createRequire(import.meta.url);
  const entry = require.resolve("libpg-query");
  delete require.cache[entry];
  const module = require(entry) as Module;
  delete require.cache[entry];
  return module;
}

const SYNTAX_ERROR: ParseOutcome = { kind: "syntax-error" };
const OVERWHELMED: ParseOutcome = { kind: "overwhelmed" };
const UNAVAILABLE: ParseOutcome = { kind: "unavailable" };
