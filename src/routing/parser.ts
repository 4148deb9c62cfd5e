/** What the router needs of a parser. The real one is WebAssembly and lives in `src/driver/sql-parser.ts`. */

export type ParseOutcome =
  /** Each statement's node, `{ SelectStmt: { … } }`, as PostgreSQL's own parser gives it in JSON. */
  | { readonly kind: "parsed"; readonly statements: readonly unknown[] }
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
