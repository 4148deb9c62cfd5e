/** The catalogue of `objects.sql`, as a server gave it. The integration test compares it with a live one. */
import { readFileSync } from "node:fs";
import { createCatalogue } from "../../../src/routing/catalogue.ts";
import type { CatalogueRow, CatalogueSnapshot } from "../../../src/routing/catalogue.ts";

export const FIXTURE_PATH: string = new URL("catalogue.jsonl", import.meta.url).pathname;
export const OBJECTS_SQL: string = readFileSync(new URL("objects.sql", import.meta.url), "utf8");

export function capturedCatalogue(): CatalogueSnapshot {
  const rows = readFileSync(FIXTURE_PATH, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as CatalogueRow);
  return createCatalogue(rows, "captured");
}

/** Rows in an order and with OIDs that do not depend on what the server had done before. */
export function normalised(rows: readonly CatalogueRow[]): CatalogueRow[] {
  const sorted = rows.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  const renumbered = new Map<number, number>();
  for (const row of sorted) {
    if ("oid" in row && row.oid >= 16_384) renumbered.set(row.oid, 16_384 + renumbered.size);
  }
  const oid = (old: number): number => renumbered.get(old) ?? old;
  return sorted.map((row) => ({
    ...row,
    ...("oid" in row && { oid: oid(row.oid) }),
    ...("function" in row && { function: oid(row.function) }),
    ...("refs" in row && {
      refs: row.refs
        .map((ref) => {
          const [field, target] = ref.split(" ");
          return `${String(field)} ${oid(Number(target))}`;
        })
        .sort(),
    }),
  }));
}

/** Unique, and free of OIDs: of two homonyms the one with other properties comes first. */
function sortKey(row: CatalogueRow): string {
  const parts: unknown[] = [row.kind];
  if ("schema" in row) parts.push(row.schema);
  if ("name" in row) parts.push(row.name);
  if ("volatility" in row) parts.push(row.volatility);
  if ("takesRow" in row) parts.push(row.takesRow);
  if (row.kind === "builtin-function") parts.push(row.oid);
  if (row.kind === "cast") parts.push(row.source, row.target);
  return JSON.stringify(parts);
}
