/** Statements built around one expression: whatever it does, it does wherever it stands. */
import { array, constantFrom, record } from "fast-check";
import type { Arbitrary } from "fast-check";

/** Expressions that read; each is made text by the places that use it. */
export const READING_EXPRESSIONS: readonly string[] = [
  "1",
  "now()",
  "random()",
  "rfn(1)",
  "ifn(2)",
  "lpad('a', 3)",
  "(SELECT max(id) FROM t)",
  "(SELECT count(*) FROM rview)",
  "(SELECT ragg(id) FROM t)",
  "(WITH wview AS (SELECT 1 AS n) SELECT n FROM wview)",
  "'ok'::mood",
  "current_setting('work_mem')",
  "(SELECT relname FROM pg_class LIMIT 1)",
];

/** Expressions that write, lock, or are refused or wrong on a standby. */
export const WRITING_EXPRESSIONS: readonly string[] = [
  "nextval('s')",
  "wfn()",
  "mixed('a')",
  "defaulted()",
  "atomic()",
  "pg_advisory_lock(1)",
  "pg_try_advisory_xact_lock(1)",
  "txid_current()",
  "set_config('a.b', 'c', false)",
  "query_to_xml('SELECT wfn()', true, true, '')",
  "(SELECT n FROM wview2)",
  "(SELECT n FROM seqview)",
  "(SELECT id FROM lockview LIMIT 1)",
  "(SELECT id FROM t LIMIT 1 FOR UPDATE)",
  "(SELECT id FROM u LIMIT 1)",
  "(SELECT id FROM dirty LIMIT 1)",
  "(SELECT wagg(id) FROM t)",
  "(SELECT x.total FROM t x LIMIT 1)",
  "(SELECT bool_and(a ### b) FROM t a, t b)",
  "1::wdomain",
  "('ok'::mood::pair)",
  "(SELECT id FROM secret LIMIT 1)",
];

/** Where an expression of type text may stand inside another one. */
const WRAPPERS: readonly ((inner: string) => string)[] = [
  (inner) => `coalesce(${inner}, '')`,
  (inner) => `CASE WHEN ${inner} IS NULL THEN 'a' ELSE 'b' END`,
  (inner) => `(ARRAY[${inner}, 'a'])[1]`,
  (inner) => `(SELECT ${inner})`,
  (inner) => `(SELECT x.c FROM (SELECT ${inner} AS c) x WHERE x.c IS NOT NULL)`,
  (inner) => `(WITH y AS (SELECT ${inner} AS c) SELECT c FROM y)`,
  (inner) => `(SELECT c FROM (VALUES (${inner})) v (c))`,
  (inner) => `upper(concat(${inner}, 'a'))`,
  (inner) => `(SELECT min(z.v) FROM t z WHERE z.v <> ${inner})`,
  (inner) => `nullif(${inner}, 'q')`,
  (inner) => `(SELECT string_agg(${inner}, ',') FROM t)`,
  (inner) => `(SELECT c FROM (SELECT 'a' AS c UNION ALL SELECT ${inner}) w LIMIT 1)`,
  (inner) => `(${inner} || 'a')`,
  (inner) => `(ROW(${inner}) IS NULL)::text`,
  (inner) => `(${inner} IN ('a', 'b'))::text`,
];

/** Statements with a hole for an expression of type text. */
const STATEMENTS: readonly ((inner: string) => string)[] = [
  (inner) => `SELECT ${inner}`,
  (inner) => `select ${inner} from t where id = 1`,
  (inner) => `/* a /* b */ */ SELECT v FROM t WHERE v = ${inner} -- end`,
  (inner) => `SELECT v FROM t ORDER BY ${inner}, id LIMIT 3`,
  (inner) => `SELECT count(*) FROM t GROUP BY v HAVING ${inner} IS NOT NULL;`,
  (inner) => `VALUES (1, ${inner})`,
  (inner) => `(SELECT ${inner})`,
  (inner) => `WITH q AS (SELECT ${inner} AS c) SELECT * FROM q`,
  (inner) =>
    `WITH RECURSIVE q AS (SELECT 1 AS n, ${inner} AS c UNION ALL SELECT n + 1, c FROM q WHERE n < 2) TABLE q`,
  (inner) => `SELECT * FROM t LEFT JOIN t o ON o.v = ${inner}`,
  (inner) => `SELECT * FROM t, LATERAL (SELECT ${inner} AS c) l`,
  (inner) => `SELECT 'a' EXCEPT SELECT ${inner}`,
  (inner) => `SELECT row_number() OVER (PARTITION BY ${inner} ORDER BY id) FROM t`,
  (inner) => `SELECT count(*) FILTER (WHERE ${inner} = 'a') FROM t`,
  (inner) => `SELECT * FROM unnest(ARRAY[${inner}]) AS f (c)`,
  (inner) => `EXPLAIN (ANALYZE, COSTS off) SELECT ${inner}`,
];

/** Whole statements around one of `expressions`, up to three levels deep. */
export function statementsAround(expressions: readonly string[]): Arbitrary<string> {
  return record({
    expression: constantFrom(...expressions),
    wrappers: array(constantFrom(...WRAPPERS), { maxLength: 3 }),
    statement: constantFrom(...STATEMENTS),
  }).map(({ expression, wrappers, statement }) =>
    statement(wrappers.reduce((inner, wrap) => wrap(inner), `(${expression})::text`)),
  );
}
