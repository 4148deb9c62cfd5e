import { array, assert, constantFrom, integer, letrec, oneof, property, record, tuple } from "fast-check";
import type { Arbitrary } from "fast-check";
import { loadModule, scanSync } from "libpg-query";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import type { SqlParser } from "../../src/driver/sql-parser.ts";
import { readWith } from "../../src/routing/parser.ts";
import { leadingKeyword } from "../../src/routing/sql-lexer.ts";
import { shapeOf } from "../../src/routing/statement-shape.ts";
import { READING_EXPRESSIONS, WRITING_EXPRESSIONS, statementsAround } from "./sql/combinations.ts";
import { STATEMENTS } from "./sql/statements.ts";

let parser: SqlParser;

beforeAll(async () => {
  parser = await createSqlParser();
  await loadModule();
});

// A listed statement overwhelms the parser.
beforeEach(() => parser.ready());

function textOf(text: string): string {
  const shape = shapeOf(text);
  return shape.kind === "statement" ? shape.text : shape.kind;
}

describe("the shape", () => {
  test.each([
    ["SELECT * FROM t WHERE id = 42 AND v = 'it''s'", "SELECT * FROM t WHERE id = 0 AND v = ''"],
    ["select  1 -- a\n , /* b */ 2 ;; -- c", "select 0,0"],
    ["select $1::int, $22, 1.5e-3, 7., .5", "select $1::int,$1,0,0,.0"],
    ["select e'\\'', N'a', b'1', X'f', $$a$$, $q$ ' $$ $q$", "select e'',N'',b'',X'','',''"],
    ["select e/**/'a', e 'a', 'b'and a$$b, x=$$a$$", "select e '',e '',''and a$$b,x= ''"],
    ['select "a""b 1" from "c 2"', 'select "a""b 1" from "c 2"'],
    ["select 1 where a in (1, 2, 3) or a in ( 'x' , 'y', 5, $1, $2, -3, -4, null, 6, NULL)", null],
    ["select a = any (array[[1, 2], [3, 4]])", "select a = any(array[[0]])"],
    ["values (1, 'a'), (2, 'b'), (3, null), (4, 'd'), (5, null) limit 3", "values(0,''),(0,null)limit 0"],
    ["select 1 where (a, b) in ((1, 'x'), (2, 'y'), (-3, 'z'))", "select 0 where(a,b)in((0,''),(-0,''))"],
    ["select 1 where a in ('1'::uuid, '2'::uuid, date '3')", "select 0 where a in(''::uuid,date '')"],
  ])("of %s", (text, expected) => {
    const longList = "select 0 where a in(0)or a in('',0,$1,-0,null,NULL)";
    expect(textOf(text)).toBe(expected ?? longList);
  });

  test("keeps what decides", () => {
    // gram.y: a precision of up to 24 is float4, of up to 53 float8.
    expect(textOf("SELECT 1::float(24), 2::FLOAT /* */ (53)")).toBe("SELECT 0::float(24),0::FLOAT(53)");
    expect(textOf("EXPLAIN (ANALYZE 'on', WAL 1) SELECT 1")).toBe("EXPLAIN(ANALYZE 'on',WAL 1)SELECT 0");
    // The third argument tells a local setting from one that stays.
    expect(textOf("SELECT set_config('a', 'b', true)")).toBe("SELECT set_config('','',true)");
    expect(textOf("SELECT f(1, 1, 'a', 'a')")).toBe("SELECT f(0,0,'','')");
    expect(textOf("SELECT x.values (1), (1), y.in(1, 1)")).toBe("SELECT x.values(0),(0),y.in(0,0)");
    expect(textOf("SELECT 1 ORDER BY 1, 2")).toBe("SELECT 0 ORDER BY 0,0");
  });

  test.each([
    "select 1a",
    "select 1_000",
    "select 0x1f",
    "select 1..2",
    "select $1a",
    "select $1$$a$$",
    "select 'a'\n'b'",
    "select e'a' -- c\n 'b;'",
    "select U&'\\0061'",
    "select U&$$a$$",
    "select U&\"d!0061t\" UESCAPE '!'",
    "select 'a",
    'select "a',
    "select $a$ b",
    "select e'\\'",
    "select 1 /* a",
    "select 1; /* a",
    "select (1",
    "select 1)",
  ])("of %s there is none, or it is not one statement", (text) => {
    expect(shapeOf(text).kind).not.toBe("statement");
  });

  test("of several statements is not taken", () => {
    expect(shapeOf("SELECT 1; SELECT 2").kind).toBe("several");
    expect(shapeOf("SELECT 1;; /* a */ ; DELETE FROM t").kind).toBe("several");
    expect(shapeOf("SELECT ';', \";\", $$;$$ /* ; */ -- ;\n;").kind).toBe("statement");
  });

  test("is its own shape, and does not grow with its lists", () => {
    const list = (items: number): string =>
      `SELECT * FROM t WHERE id IN (${Array.from({ length: items }, (_, i) => `${i * 7}`).join(", ")})`;
    expect(textOf(list(4_000))).toBe(textOf(list(1)));
    assert(
      property(reads, (text) => {
        const shape = shapeOf(text);
        if (shape.kind !== "statement") return;
        expect(shapeOf(shape.text)).toEqual(shape);
        expect(shape.text.length).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

/** What the classifier goes by must be the same in a text and in its shape. */
function expectSameReading(text: string): boolean {
  const shape = shapeOf(text);
  if (shape.kind !== "statement") return false;
  const read = readWith(parser, text);
  if (read.kind !== "read") return false;
  expect({ text, shape: shape.text, read: readWith(parser, shape.text) }).toEqual({
    text,
    shape: shape.text,
    read,
  });
  expect(leadingKeyword(shape.text)).toBe(leadingKeyword(text));
  return true;
}

describe("what is read of a shape is what is read of the text", () => {
  test("for every listed statement", () => {
    const read = STATEMENTS.filter(([text]) => expectSameReading(text));
    expect(read.length).toBeGreaterThan(200);
  });

  test("for expressions that read or write, wherever they stand", () => {
    assert(
      property(statementsAround([...READING_EXPRESSIONS, ...WRITING_EXPRESSIONS]), (text) => {
        expect(expectSameReading(text)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test("for lists, rows, typed and signed values, calls and settings", () => {
    let read = 0;
    assert(
      property(reads, (text) => {
        if (expectSameReading(text)) read++;
      }),
      { numRuns: 4_000 },
    );
    expect(read).toBeGreaterThan(3_000);
  });

  test("for listed statements with something in between", () => {
    let read = 0;
    const spoilt = record({
      text: constantFrom(...STATEMENTS.map(([text]) => text)),
      at: integer({ min: 0, max: 80 }),
      piece: constantFrom(...PIECES),
    }).map(({ text, at, piece }) => text.slice(0, at) + piece + text.slice(at));
    assert(
      property(spoilt, (text) => {
        if (expectSameReading(text)) read++;
      }),
      { numRuns: 4_000 },
    );
    expect(read).toBeGreaterThan(500);
  });
});

describe("the tokens of a shape", () => {
  test("are those that PostgreSQL's own scanner finds in the text", () => {
    let compared = 0;
    assert(
      property(array(constantFrom(...PIECES), { minLength: 1, maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const shape = shapeOf(text);
        if (shape.kind !== "statement") return;
        const tokens = scanned(text);
        if (tokens === undefined) return;
        compared++;
        expect({ text, tokens: scanned(shape.text) }).toEqual({ text, tokens });
      }),
      { numRuns: 10_000 },
    );
    expect(compared).toBeGreaterThan(1_000);
  });
});

/** Kinds of tokens without comments, trailing semicolons and the difference between two kinds of numbers. */
function scanned(text: string): string[] | undefined {
  try {
    const kinds = scanSync(text)
      .tokens.filter(({ tokenName }) => !tokenName.endsWith("COMMENT"))
      .map(({ tokenName, text }) => (isName(tokenName) ? text : tokenName.replace("FCONST", "ICONST")));
    while (kinds.at(-1) === "ASCII_59") kinds.pop();
    return kinds;
  } catch {
    return undefined;
  }
}

function isName(tokenName: string): boolean {
  return tokenName === "IDENT" || tokenName === "UIDENT";
}

/** Pieces that mean something else beside each other. None makes a list. */
const PIECES: readonly string[] = [
  ..."'\"$\\.,;()[]+-*/<=>@&|:%^!~?_ \n\t\r".split(""),
  ..."''|--|/*|*/|$$|$a$|$1|1|0x|1_0|.5|1.|1e5|e|E'|e'\\'|N'|b'|x'|U&|U&'|a|ab|é|a$|select |float|'a'|\"b\"|::|:=|->>|/* c */|-- d\n".split(
    "|",
  ),
];

/** Reads full of values, most of them valid. */
const reads: Arbitrary<string> = letrec<{ value: string; read: string }>((tie) => {
  const literal = constantFrom(
    "1",
    "-2",
    "+3",
    "4.5",
    "-6e7",
    "99999999999",
    "'a'",
    "'it''s'",
    "E'\\''",
    "$$b$$",
    "$1",
    "$2",
    "NULL",
    "true",
    "B'1'",
    "X'f'",
    "N'n'",
    "date '2020-01-01'",
    "interval '1' day",
    "interval(3) '1 day'",
    "'1'::uuid",
    "1::float(24)",
    "1::float(25)",
    "1::numeric(10, 2)",
    "'{1,2}'::int[]",
    "'t'::regclass",
    "DATE'2020-01-02'",
    "f(1)",
    "g('a', 'a')",
    "set_config('a', 'b', true)",
    "set_config('a', 'b', false)",
    "a.b",
    "t.values",
    "(1, 2)",
    "nextval('s')",
    "- 1",
    "-'1'",
    "@ -1",
    "1 + 1",
    "'a' || 'b'",
    "x[1:2]",
    "ROW(1, 1)",
    "CAST('1' AS mood)",
    "extract('year' from now())",
    "'[1]' IS JSON",
    "json_value('{}', '$.a' DEFAULT 0 ON EMPTY)",
    "(1)",
  );
  const blank = constantFrom("", "", " ", "\n", " /* 1, 2 */ ", " -- x\n");
  const list = tuple(array(tie("value"), { minLength: 1, maxLength: 6 }), blank).map(([items, blank]) =>
    items.join(`${blank},${blank}`),
  );
  const lists: Arbitrary<string> = oneof(
    list.map((items) => `x IN (${items})`),
    list.map((items) => `(x, y) NOT IN ((${items}), (${items}), (1, 2), (3, 4))`),
    list.map((items) => `x = ANY (ARRAY [${items}])`),
    list.map((items) => `ARRAY[[${items}],[${items}]] IS NULL`),
    list.map((items) => `f(${items})`),
    list.map((items) => `(VALUES (${items}) , (${items}), (1), (2)) IS NULL`),
    list.map((items) => `x IN (SELECT ${items} FROM u, u WHERE y IN (${items}))`),
    list.map((items) => `x IN (WITH q AS (SELECT ${items}), r AS (SELECT 1) SELECT 1, 1 FROM q, r, r, q)`),
    list.map((items) => `x IN (SELECT 1, 2 UNION SELECT ${items}, 2 UNION SELECT 3)`),
    list.map((items) => `(SELECT count(*) FROM (VALUES (${items}),(${items})) AS v, (SELECT 1) AS w) > 1`),
    list.map((items) => `CASE x WHEN 1 THEN 'a' ELSE (ARRAY[${items}])[1] END`),
  );
  return {
    value: oneof({ depthSize: "small", withCrossShrink: true }, literal, literal, literal, lists),
    read: tuple(
      constantFrom(
        (a: string, b: string) => `SELECT ${a} FROM t WHERE ${b}`,
        (a: string, b: string) => `select ${a}, ${b} from t order by 1, 2 limit 3 offset 4`,
        (a: string, b: string) => `VALUES (${a}, ${b}), (${a}, ${b}), (${b}, ${a})`,
        (a: string, b: string) => `EXPLAIN (ANALYZE 'off', COSTS 0) SELECT ${a} WHERE ${b}`,
        (a: string, b: string) =>
          `/* fairlead: replica */ WITH q AS (SELECT ${a}) SELECT ${b} FROM q; -- end`,
        (a: string, b: string) => `SELECT ${a} GROUP BY 1, ROLLUP (${b}, 2) FETCH FIRST 5 ROWS ONLY`,
        (a: string, b: string) =>
          `SELECT * FROM t TABLESAMPLE bernoulli (10) REPEATABLE (1) WHERE ${a} IN (${b}, ${b})`,
      ),
      tie("value"),
      tie("value"),
    ).map(([statement, a, b]) => statement(a, b)),
  };
}).read;
