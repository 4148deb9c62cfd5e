/**
 * Reads what {@link createCatalogue} needs from PostgreSQL 14–18: any role may run it, on a primary or a standby.
 * Temporary objects are left out; they belong to somebody's session.
 */
import { createCatalogue } from "../routing/catalogue.ts";
import type { CatalogueRow, CatalogueSnapshot } from "../routing/catalogue.ts";

/** Runs one statement without parameters and gives its rows. */
export type RunQuery = (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/**
 * Reads the catalogue, or gives `previous` back when nothing has changed since, which one cheap statement tells.
 */
export async function loadCatalogue(run: RunQuery, previous?: CatalogueSnapshot): Promise<CatalogueSnapshot> {
  const signature = String((await run(CATALOGUE_SIGNATURE_SQL))[0]?.["signature"]);
  if (previous?.signature === signature) return previous;
  const rows = await run(CATALOGUE_SQL);
  return createCatalogue(
    // The type is what the statement below builds; the integration test reads it on a real server.
    rows.map((row) => JSON.parse(String(row["object"])) as CatalogueRow),
    signature,
  );
}

/**
 * A figure that changes when a user's object does: rows are told by their OID and by the transaction that wrote
 * them, both the same on every standby.
 */
const CATALOGUE_SIGNATURE_SQL: string = `
WITH lasting AS MATERIALIZED (
  SELECT oid FROM pg_catalog.pg_class WHERE oid >= 16384 AND relpersistence <> 't'
), passing AS MATERIALIZED (
  SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(temp|toast)'
)
SELECT string_agg(part, ',' ORDER BY part) AS signature FROM (
  ${[
    signatureOf("pg_proc", "oid", "pronamespace NOT IN (SELECT oid FROM passing)"),
    signatureOf("pg_class", "oid", "relpersistence <> 't'"),
    signatureOf("pg_type", "oid", "typnamespace NOT IN (SELECT oid FROM passing)"),
    signatureOf("pg_rewrite", "oid", "ev_class IN (SELECT oid FROM lasting)"),
    signatureOf("pg_policy", "oid"),
    signatureOf("pg_constraint", "oid", "contypid <> 0"),
    signatureOf("pg_operator", "oid"),
    signatureOf("pg_cast", "oid"),
    signatureOf("pg_amop", "oid"),
    signatureOf("pg_amproc", "oid"),
    signatureOf("pg_namespace", "oid", "nspname !~ '^pg_'"),
    signatureOf("pg_inherits", "inhrelid", "inhrelid IN (SELECT oid FROM lasting)", "inhparent"),
    signatureOf(
      "pg_attribute",
      "attrelid",
      "atttypid >= 16384 AND attrelid IN (SELECT oid FROM lasting)",
      "attnum",
    ),
    signatureOf(
      "pg_attrdef",
      "adrelid",
      `EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = adrelid AND a.attnum = adnum AND a.attgenerated = 'v')`,
      "adnum",
    ),
  ].join("\n  UNION ALL ")}
) AS parts`;

/** How many rows of the user's, and the sum of a hash of each. `more` completes the key where the OID is not one. */
function signatureOf(table: string, oid: string, condition = "true", more = "0"): string {
  return `SELECT '${table}:' || pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(
    pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', ${oid}, ${more}, xmin), 0)), 0) AS part
    FROM pg_catalog.${table} WHERE ${oid} >= 16384 AND ${condition}`;
}

/** The fields of stored expressions that name an object; see `FIELDS` in the catalogue. */
const FIELDS = "funcid|aggfnoid|winfnoid|tsmhandler|opno|eqop|sortop|relid|resulttype|seqid";

/**
 * One row an object, as JSON. Stored expressions are searched where they lie, because they can be a hundred times
 * larger than what they name. Operators and types below 16384 are PostgreSQL's own and safe.
 */
export const CATALOGUE_SQL: string = `
WITH tree AS MATERIALIZED (
  SELECT 'r' AS owner, r.ev_class AS oid, r.ev_action::pg_catalog.text AS text
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    WHERE r.ev_type = '1' AND c.relkind = 'v' AND c.oid >= 16384 AND c.relpersistence <> 't'
  UNION ALL
  SELECT 'r', p.polrelid, p.polqual::pg_catalog.text
    FROM pg_catalog.pg_policy p WHERE p.polcmd IN ('r', '*') AND p.polqual IS NOT NULL
  UNION ALL
  SELECT 'r', d.adrelid, d.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef d
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE a.attgenerated = 'v'
  UNION ALL
  SELECT 'f', p.oid, p.prosqlbody::pg_catalog.text
    FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.prosqlbody IS NOT NULL
  UNION ALL
  SELECT 'f', p.oid, p.proargdefaults::pg_catalog.text
    FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.proargdefaults IS NOT NULL
  UNION ALL
  SELECT 't', k.contypid, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k WHERE k.contypid >= 16384 AND k.conbin IS NOT NULL
), found AS (
  SELECT t.owner, t.oid, m[1] AS field, m[2]::pg_catalog.int8 AS target
    FROM tree t, pg_catalog.regexp_matches(t.text, ':(${FIELDS}) (\\d+)', 'g') AS m
  UNION
  SELECT t.owner, t.oid, 'opno', n::pg_catalog.int8
    FROM tree t, pg_catalog.regexp_matches(t.text, ':opnos \\(o ([\\d ]+)\\)', 'g') AS m,
      pg_catalog.string_to_table(m[1], ' ') AS n
  UNION
  SELECT t.owner, t.oid, 'rowmark', 1 FROM tree t WHERE t.text LIKE '%:hasForUpdate true%'
  UNION
  SELECT 'r', i.inhparent, 'relid', i.inhrelid::pg_catalog.int8 FROM pg_catalog.pg_inherits i
  UNION
  SELECT 'r', a.attrelid, 'resulttype', a.atttypid::pg_catalog.int8
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.atttypid >= 16384 AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT 't', c.reltype, 'resulttype', a.atttypid::pg_catalog.int8
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.atttypid >= 16384 AND a.attnum > 0 AND c.reltype <> 0
  UNION
  SELECT 't', t.oid, 'resulttype', x.target FROM pg_catalog.pg_type t,
    LATERAL (VALUES (t.typbasetype::pg_catalog.int8), (t.typelem::pg_catalog.int8),
      ((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)::pg_catalog.int8)) AS x (target)
    WHERE t.oid >= 16384 AND x.target >= 16384
  UNION
  SELECT 't', t.oid, 'funcid', x.target FROM pg_catalog.pg_type t,
    LATERAL (VALUES (t.typinput::pg_catalog.oid), (t.typoutput::pg_catalog.oid),
      (t.typreceive::pg_catalog.oid), (t.typsend::pg_catalog.oid),
      ((SELECT r.rngcanonical FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)::pg_catalog.oid))
      AS x (target)
    WHERE t.oid >= 16384 AND x.target >= 16384
  UNION
  SELECT 'f', g.aggfnoid, 'funcid', x.target FROM pg_catalog.pg_aggregate g,
    LATERAL (VALUES (g.aggtransfn::pg_catalog.oid), (g.aggfinalfn::pg_catalog.oid),
      (g.aggcombinefn::pg_catalog.oid), (g.aggserialfn::pg_catalog.oid), (g.aggdeserialfn::pg_catalog.oid),
      (g.aggmtransfn::pg_catalog.oid), (g.aggminvtransfn::pg_catalog.oid), (g.aggmfinalfn::pg_catalog.oid))
      AS x (target)
    WHERE g.aggfnoid >= 16384 AND x.target <> 0
), ref AS MATERIALIZED (
  -- An array is what its elements are.
  SELECT DISTINCT f.owner, f.oid, f.field, coalesce(e.typelem::pg_catalog.int8, f.target) AS target
  FROM found f LEFT JOIN pg_catalog.pg_type e
    ON f.field = 'resulttype' AND e.oid = f.target AND e.typcategory = 'A' AND e.typelem <> 0
  WHERE target >= 16384 OR field IN ('funcid', 'aggfnoid', 'winfnoid', 'relid', 'seqid', 'rowmark')
), named AS (
  SELECT owner, oid, pg_catalog.array_agg(field || ' ' || target) AS refs FROM ref GROUP BY owner, oid
)
SELECT pg_catalog.json_build_object('kind', 'function', 'oid', p.oid::pg_catalog.int8, 'schema', n.nspname,
    'name', p.proname, 'volatility', p.provolatile,
    'takesRow', p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND a.typtype IN ('c', 'p'),
    'refs', coalesce(r.refs, '{}'))::pg_catalog.text AS object
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_catalog.pg_type a ON a.oid = p.proargtypes[0]
  LEFT JOIN named r ON r.owner = 'f' AND r.oid = p.oid
  WHERE p.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_temp\\_%'
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'builtin-function', 'oid', p.oid::pg_catalog.int8,
    'name', p.proname, 'volatility', p.provolatile)::pg_catalog.text
  FROM pg_catalog.pg_proc p
  WHERE p.oid < 16384 AND (
    p.oid IN (SELECT target FROM ref WHERE field IN ('funcid', 'aggfnoid', 'winfnoid') AND target < 16384)
    OR p.oid IN (SELECT oprcode FROM pg_catalog.pg_operator WHERE oid >= 16384)
    OR p.oid IN (SELECT castfunc FROM pg_catalog.pg_cast WHERE oid >= 16384))
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'relation', 'oid', c.oid::pg_catalog.int8, 'schema', n.nspname,
    'name', c.relname, 'type', c.relkind, 'unlogged', c.relpersistence = 'u',
    'refs', coalesce(r.refs, '{}'))::pg_catalog.text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN named r ON r.owner = 'r' AND r.oid = c.oid
  WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND n.nspname <> 'pg_toast'
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'builtin-relation', 'oid', c.oid::pg_catalog.int8,
    'schema', n.nspname, 'name', c.relname)::pg_catalog.text
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid < 16384 AND c.oid IN (SELECT target FROM ref WHERE field = 'relid')
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'type', 'oid', t.oid::pg_catalog.int8, 'schema', n.nspname,
    'name', t.typname, 'refs', coalesce(r.refs, '{}'))::pg_catalog.text
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN named r ON r.owner = 't' AND r.oid = t.oid
  WHERE t.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'
    AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'operator', 'oid', o.oid::pg_catalog.int8, 'name', o.oprname,
    'function', o.oprcode::pg_catalog.oid::pg_catalog.int8,
    'implicit', EXISTS (SELECT 1 FROM pg_catalog.pg_amop x
      WHERE x.amopopr = o.oid AND x.amopmethod IN (403, 405)))::pg_catalog.text
  FROM pg_catalog.pg_operator o WHERE o.oid >= 16384
UNION ALL
SELECT pg_catalog.json_build_object('kind', 'cast', 'source', s.typname, 'target', t.typname,
    'function', k.castfunc::pg_catalog.int8, 'context', k.castcontext)::pg_catalog.text
  FROM pg_catalog.pg_cast k
  JOIN pg_catalog.pg_type s ON s.oid = k.castsource
  JOIN pg_catalog.pg_type t ON t.oid = k.casttarget
  WHERE k.oid >= 16384 AND k.castfunc <> 0
UNION ALL
SELECT DISTINCT pg_catalog.jsonb_build_object('kind', 'support-function',
    'function', x.amproc::pg_catalog.oid::pg_catalog.int8)::pg_catalog.text
  FROM pg_catalog.pg_amproc x JOIN pg_catalog.pg_opfamily f ON f.oid = x.amprocfamily
  WHERE x.amproc::pg_catalog.oid >= 16384 AND f.opfmethod IN (403, 405)`;
