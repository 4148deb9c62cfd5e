import { beforeAll, describe, expect, test } from "vitest";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import type { SqlParser } from "../../src/driver/sql-parser.ts";
import { createClassifier } from "../../src/routing/classify.ts";

const repeat = (text: string, times: number): string => text.repeat(times);

/** More than the parser's stack can hold, each below 32 KB. */
const OVERWHELMING: Readonly<Record<string, string>> = {
  sum: `SELECT 1${repeat("+1", 12_000)}`,
  concatenation: `SELECT a${repeat("||a", 6_000)}`,
  not: `SELECT ${repeat("NOT ", 8_000)}true`,
  cast: `SELECT 1${repeat("::int", 6_000)}`,
  subselects: `SELECT ${repeat("(SELECT ", 3_000)}1${repeat(")", 3_000)}`,
};

const HOSTILE: Readonly<Record<string, string>> = {
  ...OVERWHELMING,
  case: `SELECT ${repeat("CASE WHEN true THEN ", 1_300)}1${repeat(" END", 1_300)}`,
  parentheses: `SELECT ${repeat("(", 15_000)}1${repeat(")", 15_000)}`,
  functions: `SELECT ${repeat("abs(", 6_000)}1${repeat(")", 6_000)}`,
  arrays: `SELECT ${repeat("ARRAY[", 5_000)}1${repeat("]", 5_000)}`,
  "one megabyte": `SELECT '${repeat("x", 1_000_000)}'`,
  "one megabyte of list": `SELECT 1 IN (${repeat("1,", 500_000)}1)`,
  unions: `SELECT 1${repeat(" UNION SELECT 1", 2_000)}`,
  NUL: "SELECT 1\0; DELETE FROM t",
  "lone surrogate": "SELECT '\uD800', \"\uDC00\"",
  "open quote": "SELECT 'abc",
  "open identifier": 'SELECT "abc',
  "open dollar quote": "SELECT $a$ abc",
  "open comment": "SELECT 1 /* /* */",
  "open escape": "SELECT E'abc\\",
  nonsense: "SELECT ￿ \u0001 \u{10FFFF} ' \" $$ /*",
};

describe("the parser", () => {
  let parser: SqlParser;

  beforeAll(async () => {
    parser = await createSqlParser();
  });

  test("gives the statements of a text", () => {
    const outcome = parser.parse("SELECT 1; SELECT 2");
    expect(outcome).toMatchObject({ kind: "parsed", statements: [{ SelectStmt: {} }, { SelectStmt: {} }] });
  });

  test("keeps its instance over a syntax error", () => {
    const { retired } = parser;
    expect(parser.parse("SELECT FROM FROM")).toEqual({ kind: "syntax-error" });
    expect(parser.parse("SELECT 1").kind).toBe("parsed");
    expect(parser.retired).toBe(retired);
  });

  test("gives up an instance that ran out of stack, and has another one soon", async () => {
    const { retired } = parser;
    expect(parser.parse(OVERWHELMING["sum"] ?? "")).toEqual({ kind: "overwhelmed" });
    expect(parser.retired).toBe(retired + 1);
    expect(parser.parse("SELECT 1")).toEqual({ kind: "unavailable" });
    await parser.ready();
    expect(parser.parse("SELECT 1").kind).toBe("parsed");
  });

  // One instance fails for good after 35 of these.
  test("parses as before after being overwhelmed forty times", async () => {
    const texts = Object.values(OVERWHELMING);
    for (let i = 0; i < 40; i++) {
      parser.parse(texts[i % texts.length] ?? "");
      await parser.ready();
    }
    expect(parser.parse("SELECT a FROM t").kind).toBe("parsed");
  });
});

describe("classification", () => {
  test.each(Object.entries(HOSTILE))("survives %s, twice, and goes on", async (_name, text) => {
    const parser = await createSqlParser();
    const classifier = createClassifier({ parser, catalogue: () => undefined });
    for (let i = 0; i < 2; i++) {
      expect(["primary", "replica"]).toContain(classifier.classify(text).target);
      await parser.ready();
    }
    expect(classifier.classify("SELECT 1")).toMatchObject({ target: "replica" });
  });

  test.each(Object.entries(OVERWHELMING))(
    "sends %s to the primary, and overwhelms once",
    async (_name, text) => {
      const parser = await createSqlParser();
      const classifier = createClassifier({ parser, catalogue: () => undefined, maxBytes: 65_536 });
      for (let i = 0; i < 3; i++) {
        expect(classifier.classify(text)).toMatchObject({ target: "primary", reason: "unparsable" });
        await parser.ready();
      }
      expect(parser.retired).toBe(1);
    },
  );
});
