/** What the router needs of a parser. The real one is WebAssembly and lives in `src/driver/sql-parser.ts`. */
import { statementFacts } from "./statement-facts.ts";
import type { StatementFacts } from "./statement-facts.ts";

export type ParseOutcome =
  /** Each statement's node, `{ SelectStmt: { … } }`, as PostgreSQL's own parser gives it in JSON. */
  { readonly kind: "parsed"; readonly statements: readonly unknown[] } | ParseFailure;

export type ParseFailure =
  /** PostgreSQL would refuse it too. */
  | { readonly kind: "syntax-error" }
  /** The text is more than the parser can take; it will be the next time, too. */
  | { readonly kind: "overwhelmed" }
  /** No parser is loaded just now. */
  | { readonly kind: "unavailable" };

export interface Parser {
  /** Never throws. */
  parse(text: string): ParseOutcome;
}

/** All that is kept of a statement once it has been parsed. */
export interface ReadStatement {
  readonly facts: StatementFacts;
  /** EXPLAIN that runs what it explains. */
  readonly analyzes: boolean;
}

export type ReadOutcome =
  | { readonly kind: "read"; readonly statements: readonly ReadStatement[] }
  | ParseFailure;

/** Reads texts elsewhere, so that a long one holds nobody up. */
export interface AsideReader {
  /**
   * Calls `done` once, later, with what was read. False when it takes no text now: then `done` is not called.
   * Never throws.
   */
  read(text: string, done: (outcome: ReadOutcome) => void): boolean;
}

/** Parses a text and keeps what counts. */
export function readWith(parser: Parser, text: string): ReadOutcome {
  const outcome = parser.parse(text);
  if (outcome.kind !== "parsed") return outcome;
  return {
    kind: "read",
    statements: outcome.statements.map((statement) => ({
      facts: statementFacts(statement),
      analyzes: isAnalyzed(statement),
    })),
  };
}

/** ANALYZE in any form counts, `ANALYZE off` too: being wrong that way costs nothing. */
function isAnalyzed(statement: unknown): boolean {
  const explain = (statement as { ExplainStmt?: { options?: unknown } }).ExplainStmt;
  return explain !== undefined && JSON.stringify(explain.options ?? []).includes('"analyze"');
}
