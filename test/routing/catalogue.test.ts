import { describe, expect, test } from "vitest";
import { createCatalogue } from "../../src/routing/catalogue.ts";
import type { CatalogueRow, CatalogueSnapshot } from "../../src/routing/catalogue.ts";

function func(oid: number, name: string, volatility: "i" | "s" | "v", refs: string[] = []): CatalogueRow {
  return { kind: "function", oid, schema: "public", name, volatility, takesRow: false, refs };
}

function relation(oid: number, name: string, refs: string[] = [], type = "v"): CatalogueRow {
  return { kind: "relation", oid, schema: "public", name, type, unlogged: false, refs };
}

function catalogueOf(...rows: CatalogueRow[]): CatalogueSnapshot {
  return createCatalogue(rows, "test");
}

describe("a verdict", () => {
  test("reaches through as many objects as lie between", () => {
    const rows = [func(1, "f", "v"), relation(100, "v0", ["funcid 1"])];
    for (let i = 1; i <= 500; i++) rows.push(relation(100 + i, `v${i}`, [`relid ${99 + i}`]));
    expect(catalogueOf(...rows).relation("v500")).toMatchObject({ rank: 2, reason: "writing-view" });
  });

  test("ends where objects name each other in a circle", () => {
    const catalogue = catalogueOf(
      relation(1, "a", ["relid 2"]),
      relation(2, "b", ["relid 3"]),
      relation(3, "c", ["relid 1", "funcid 4"]),
      func(4, "f", "v"),
    );
    expect(catalogue.relation("a")).toMatchObject({ rank: 2, detail: "view a → view b → view c → f()" });
    expect(catalogueOf(relation(1, "a", ["relid 2"]), relation(2, "b", ["relid 1"])).relation("a")).toEqual({
      rank: 0,
    });
  });

  test("is the worst of everything below, not the first", () => {
    const catalogue = catalogueOf(
      func(1, "f", "v"),
      { kind: "builtin-function", oid: 2, name: "nextval", volatility: "v" },
      { kind: "builtin-function", oid: 3, name: "pg_backend_pid", volatility: "s" },
      relation(10, "v", ["funcid 3", "funcid 1", "funcid 2"]),
      relation(11, "w", ["funcid 3"]),
    );
    expect(catalogue.relation("v")).toMatchObject({ rank: 3, detail: "view v → nextval()" });
    expect(catalogue.relation("w")).toMatchObject({ rank: 1, reason: "node-local" });
  });

  test("on a built-in that nobody reviewed follows its volatility, inside stored expressions", () => {
    const catalogue = catalogueOf(
      { kind: "builtin-function", oid: 1, name: "int4pl", volatility: "i" },
      { kind: "builtin-function", oid: 2, name: "brand_new", volatility: "v" },
      relation(10, "fine", ["funcid 1"]),
      relation(11, "unproven", ["funcid 2"]),
    );
    expect(catalogue.relation("fine")).toEqual({ rank: 0 });
    expect(catalogue.relation("unproven")).toMatchObject({ rank: 2 });
  });
});

describe("a name", () => {
  const elsewhere: CatalogueRow = {
    kind: "function",
    oid: 2,
    schema: "other",
    name: "f",
    volatility: "v",
    takesRow: true,
    refs: [],
  };

  test("without a schema speaks for every schema, with one only for that", () => {
    const catalogue = catalogueOf(func(1, "f", "i"), elsewhere);
    expect(catalogue.function("f")).toMatchObject({ rank: 2 });
    expect(catalogue.function("f", "public")).toEqual({ rank: 0 });
    expect(catalogue.function("f", "other")).toMatchObject({ rank: 2 });
    expect(catalogue.function("f", "third")).toBeUndefined();
    expect(catalogue.function("g")).toBeUndefined();
  });

  test("of a function that takes a row can be called as an attribute", () => {
    const catalogue = catalogueOf(elsewhere, func(1, "g", "v"));
    expect(catalogue.attribute("f")).toMatchObject({ rank: 2 });
    expect(catalogue.attribute("g")).toEqual({ rank: 0 });
  });
});

describe("every statement", () => {
  const writing = func(1, "f", "v");

  test("is tainted by an implicit cast that writes, not by an explicit one", () => {
    const cast = { kind: "cast", source: "a", target: "b", function: 1 } as const;
    expect(catalogueOf(writing, { ...cast, context: "i" }).everywhere).toMatchObject({
      rank: 2,
      reason: "tainted-cast",
    });
    const explicit = catalogueOf(writing, { ...cast, context: "e" });
    expect(explicit.everywhere).toEqual({ rank: 0 });
    expect(explicit.castTo("b")).toMatchObject({ rank: 2 });
  });

  test("is tainted by a comparison that writes, because grouping and sorting use it unnamed", () => {
    const operator = { kind: "operator", oid: 5, function: 1, implicit: false } as const;
    expect(catalogueOf(writing, { ...operator, name: "=" }).everywhere).toMatchObject({ rank: 2 });
    expect(catalogueOf(writing, { ...operator, name: "###" }).everywhere).toEqual({ rank: 0 });
    expect(catalogueOf(writing, { ...operator, name: "===", implicit: true }).everywhere).toMatchObject({
      rank: 2,
    });
    expect(catalogueOf(writing, { kind: "support-function", function: 1 }).everywhere).toMatchObject({
      rank: 2,
    });
  });
});
