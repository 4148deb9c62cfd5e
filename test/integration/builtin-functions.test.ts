import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DirectConnection } from "../../chaos/world.ts";
import { builtinFunction, builtinFunctions } from "../../src/routing/builtin-functions.ts";
import { builtinRelation, isBuiltinType } from "../../src/routing/builtin-relations.ts";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";

// Another version's programs may be named, to run the same checks on PostgreSQL 14 to 17.
const pgBin = process.env["FAIRLEAD_TEST_PG_BIN"];

let cluster: EmbeddedCluster;
let standby: DirectConnection;
let major: number;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ replicas: 1, ...(pgBin !== undefined && { pgBin }) });
  await cluster.sql(
    "primary",
    "CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TABLE t (id int); CREATE SEQUENCE s",
  );
  await cluster.settled(20_000);
  standby = await cluster.connect("replica-1");
  const [row] = await standby.query<{ version: string }>(
    "SELECT current_setting('server_version_num') AS version",
  );
  major = Math.floor(Number(row?.version) / 10_000);
});

afterAll(async () => {
  await standby?.close();
  await cluster?.[Symbol.asyncDispose]();
});

interface Overload {
  readonly name: string;
  /** `pg_proc.prokind` */
  readonly kind: "f" | "a" | "w" | "p";
  /** `n` normal, `o` ordered-set, `h` hypothetical-set */
  readonly aggregate: "n" | "o" | "h" | null;
  readonly directArguments: number;
  readonly arguments: string[];
  readonly variadic: boolean;
  /** It gives `record` without saying of what. */
  readonly needsColumns: boolean;
  readonly volatility: "i" | "s" | "v";
}

/** Every overload of PostgreSQL's own functions that SQL can call. */
function overloads(): Promise<Overload[]> {
  return standby.query<Overload>(`
    SELECT p.proname AS name, p.prokind AS kind, a.aggkind AS aggregate,
      coalesce(a.aggnumdirectargs, 0)::int AS "directArguments",
      ARRAY(SELECT pg_catalog.format_type(t, NULL) FROM unnest(p.proargtypes) AS t) AS arguments,
      p.provariadic <> 0 AS variadic,
      p.prorettype = 'record'::regtype AND p.proargmodes IS NULL AS "needsColumns",
      p.provolatile AS volatility
    FROM pg_proc p LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid < 16384
      AND NOT ARRAY['internal', 'cstring', 'trigger', 'event_trigger']::regtype[]::oid[] && (p.proargtypes::oid[] || p.prorettype)
    ORDER BY p.proname, p.oid`);
}

/** A call with an argument of each type: NULL, or a value, since a strict function does not run on NULLs. */
function callOf(overload: Overload, useValues: boolean): string {
  const args = overload.arguments.map((type, i) => {
    const concrete = stand(overload.name, type);
    const value = concrete.endsWith("[]") ? "{}" : (VALUES.get(concrete) ?? undefined);
    const argument = useValues && value !== undefined ? `'${value}'::${concrete}` : `NULL::${concrete}`;
    const last = i === overload.arguments.length - 1;
    return last && overload.variadic && concrete.endsWith("[]") ? `VARIADIC ${argument}` : argument;
  });
  const name = `pg_catalog."${overload.name}"`;
  if (overload.aggregate === "o" || overload.aggregate === "h") {
    const direct = args.slice(0, overload.directArguments).join(", ");
    const sorted = args.slice(overload.directArguments);
    const order = overload.aggregate === "h" ? args.slice(0, 1) : sorted;
    return `SELECT ${name}(${direct === "" ? "" : (args[0] ?? "")}) WITHIN GROUP (ORDER BY ${order.join(", ")})`;
  }
  const call = `${name}(${args.join(", ")})`;
  if (overload.kind === "w") return `SELECT ${call} OVER ()`;
  return overload.needsColumns ? `SELECT * FROM ${call} AS x (a int)` : `SELECT ${call}`;
}

/** What stands for a pseudo-type, in a function that is choosy about it. */
function stand(name: string, type: string): string {
  if (type === "anyelement" && name.includes("_populate_record")) return "t";
  if (type === '"any"' && name === "pg_collation_for") return "text";
  return CONCRETE.get(type) ?? type;
}

/** Pseudo-types, and something that stands for each. */
const CONCRETE: ReadonlyMap<string, string> = new Map([
  ["anyelement", "integer"],
  ["anynonarray", "integer"],
  ["anycompatible", "integer"],
  ["anycompatiblenonarray", "integer"],
  ['"any"', "integer"],
  ["anyarray", "integer[]"],
  ["anycompatiblearray", "integer[]"],
  ["anyrange", "int4range"],
  ["anycompatiblerange", "int4range"],
  ["anymultirange", "int4multirange"],
  ["anycompatiblemultirange", "int4multirange"],
  ["anyenum", "mood"],
  ["record", "pg_class"],
]);

const VALUES: ReadonlyMap<string, string> = new Map([
  ["integer", "1"],
  ["bigint", "1"],
  ["smallint", "1"],
  ["numeric", "1"],
  ["real", "1"],
  ["double precision", "0.01"],
  ["text", "a"],
  ["character varying", "a"],
  ["character", "a"],
  ['"char"', "a"],
  ["name", "a"],
  ["bytea", "a"],
  ["boolean", "true"],
  ["bit", "1"],
  ["bit varying", "1"],
  ["date", "2020-01-01"],
  ["time without time zone", "10:00"],
  ["time with time zone", "10:00+00"],
  ["timestamp without time zone", "2020-01-01"],
  ["timestamp with time zone", "2020-01-01"],
  ["interval", "10 ms"],
  ["uuid", "00000000-0000-7000-8000-000000000000"],
  ["json", '{"a":[1]}'],
  ["jsonb", '{"a":[1]}'],
  ["jsonpath", "$"],
  ["xml", "<a/>"],
  ["inet", "10.0.0.1"],
  ["cidr", "10.0.0.0/8"],
  ["macaddr", "08:00:2b:01:02:03"],
  ["macaddr8", "08:00:2b:01:02:03:04:05"],
  ["money", "1"],
  ["oid", "1259"],
  ["xid", "1"],
  ["regclass", "t"],
  ["regtype", "int4"],
  ["tsvector", "a"],
  ["tsquery", "a"],
  ["regconfig", "english"],
  ["regdictionary", "simple"],
  ["point", "(1,2)"],
  ["lseg", "[(0,0),(1,1)]"],
  ["line", "{1,2,3}"],
  ["box", "(1,1),(0,0)"],
  ["path", "((0,0),(1,1))"],
  ["polygon", "((0,0),(1,1))"],
  ["circle", "<(0,0),1>"],
  ["int4range", "[1,3)"],
  ["int4multirange", "{[1,3)}"],
  ["pg_lsn", "0/1"],
  ["txid_snapshot", "1:1:"],
  ["pg_snapshot", "1:1:"],
  ["xid8", "1"],
  ["mood", "ok"],
]);

/** The SQLSTATE that a statement ends with. */
async function stateOf(connection: DirectConnection, text: string): Promise<string> {
  try {
    await connection.query(text);
    return "00000";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("PostgreSQL's own functions", () => {
  test("every overload of a safe one runs on a standby as it does on the primary", async () => {
    await using primary = await cluster.connect("primary");
    const refused: string[] = [];
    const ran = new Set<string>();
    const safe = (await overloads()).filter(({ name }) => builtinFunction(name) === "safe");
    for (const overload of safe) {
      for (const useValues of [false, true]) {
        const text = callOf(overload, useValues);
        const state = await stateOf(standby, text);
        if (state === "00000") ran.add(overload.name);
        // A bad argument is refused everywhere; only the standby's own refusals count.
        else if (state !== (await stateOf(primary, text))) refused.push(`${state} ${text}`);
      }
    }
    expect(refused).toEqual([]);
    const names = new Set(safe.map(({ name }) => name));
    expect([...names].filter((name) => !ran.has(name))).toEqual([]);
  });

  test("the check sees a refusal", async () => {
    expect(await stateOf(standby, "SELECT pg_catalog.txid_current()")).toBe("25006");
    expect(await stateOf(standby, "SELECT pg_catalog.nextval('s')")).toBe("25006");
    expect(await stateOf(standby, "SELECT pg_catalog.pg_walfile_name('0/1')")).toBe("55000");
  });

  test("no reviewed name is unknown to every supported version", async () => {
    const known = new Set((await overloads()).map((overload) => overload.name));
    const inOther = await standby.query<{ name: string }>(
      "SELECT DISTINCT proname AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace",
    );
    for (const { name } of inOther) known.add(name);
    const missing = [...builtinFunctions().keys()].filter((name) => !known.has(name));
    // Names come with a version and some go: each that is missing here must be one of those.
    const explained = missing.filter(
      (name) => (SINCE.get(name) ?? 0) > major || (UNTIL.get(name) ?? 99) < major,
    );
    expect(missing).toEqual(explained);
  });

  test("a volatile one reads only if it is among those that were looked at", async () => {
    const volatile = new Set(
      (await overloads()).filter(({ volatility }) => volatility === "v").map(({ name }) => name),
    );
    const safe = [...volatile].filter((name) => builtinFunction(name) === "safe");
    expect(safe.filter((name) => !HARMLESS_VOLATILE.has(name))).toEqual([]);
  });
});

describe("PostgreSQL's own relations and types", () => {
  test("every safe relation can be read on a standby, and no other one counts as safe", async () => {
    const relations = await standby.query<{ schema: string; name: string }>(`
      SELECT n.nspname AS schema, c.relname AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') ORDER BY 1, 2`);
    const unreviewed = relations.filter(({ schema, name }) => builtinRelation(schema, name) === undefined);
    expect(unreviewed).toEqual([]);
    const unread: string[] = [];
    for (const { schema, name } of relations) {
      if (builtinRelation(schema, name) !== "safe") continue;
      const state = await stateOf(standby, `SELECT * FROM ${schema}."${name}" LIMIT 3`);
      if (state !== "00000") unread.push(`${state} ${name}`);
    }
    expect(unread).toEqual([]);
  });

  test.each([
    ["pg_stat_activity", "node-local"],
    ["pg_statio_user_tables", "node-local"],
    ["pg_locks", "node-local"],
    ["pg_settings", "node-local"],
    ["pg_sequences", "node-local"],
    ["pg_statistic", "safe"],
    ["pg_stats", "safe"],
    ["pg_class", "safe"],
    ["tables", undefined],
  ])("%s is %s", (name, verdict) => {
    expect(builtinRelation(undefined, name)).toBe(verdict);
    expect(builtinRelation("public", name)).toBeUndefined();
  });

  test("every type that a column can have is known", async () => {
    const types = await standby.query<{ name: string }>(`
      SELECT typname AS name FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace
        AND typtype IN ('b', 'r', 'm') AND typname !~ '^_' AND typname !~ '^pg_(brin|mcv|ndist|depend|node)|gtsvector'`);
    expect(types.filter(({ name }) => !isBuiltinType(name))).toEqual([]);
  });
});

/** VOLATILE, and yet safe: looked at by hand. */
const HARMLESS_VOLATILE: ReadonlySet<string> = new Set([
  "array_sample",
  "array_shuffle",
  "clock_timestamp",
  "current_query",
  "gen_random_uuid",
  "pg_indexes_size",
  "pg_partition_ancestors",
  "pg_partition_tree",
  "pg_relation_size",
  "pg_sleep",
  "pg_sleep_for",
  "pg_sleep_until",
  "pg_table_size",
  "pg_total_relation_size",
  "random",
  "random_normal",
  "timeofday",
  "timezone",
  "uuidv4",
  "uuidv7",
]);

/** The version that brought a name, where 14 did not have it: from `pg_proc` of each. */
const SINCE: ReadonlyMap<string, number> = versions({
  15: `has_parameter_privilege pg_backup_start pg_backup_stop pg_database_collation_actual_version pg_get_wal_resource_managers pg_ident_file_mappings pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_settings_get_flags pg_stat_force_next_flush pg_stat_get_recovery_prefetch pg_stat_get_subscription_stats pg_stat_have_stats pg_stat_reset_subscription_stats regexp_count regexp_instr regexp_like regexp_substr`,
  16: `any_value array_sample array_shuffle date_add date_subtract erf erfc json_agg_strict json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg_strict jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict pg_input_error_info pg_input_is_valid pg_log_standby_snapshot pg_split_walfile_name pg_stat_get_io random_normal system_user`,
  17: `icu_unicode_version jsonb_populate_record_valid pg_available_wal_summaries pg_basetype pg_get_wait_events pg_get_wal_summarizer_state pg_sync_replication_slots pg_wal_summary_contents to_bin to_oct to_regtypemod unicode_assigned unicode_version uuid_extract_timestamp uuid_extract_version xmltext`,
  18: `array_reverse array_sort bytea casefold crc32 crc32c gamma has_largeobject_privilege lgamma pg_clear_attribute_stats pg_clear_relation_stats pg_get_acl pg_get_aios pg_get_loaded_modules pg_get_sequence_data pg_get_shmem_allocations_numa pg_ls_summariesdir pg_numa_available pg_restore_attribute_stats pg_restore_relation_stats pg_stat_reset_backend_stats pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone uuidv4 uuidv7`,
});

/** The last version that had a name, where 18 has it no more. */
const UNTIL: ReadonlyMap<string, number> = versions({
  14: `pg_backup_start_time pg_is_in_backup pg_start_backup pg_stop_backup`,
  17: `pg_timezone_abbrevs`,
});

function versions(names: Readonly<Record<number, string>>): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(names).flatMap(([version, list]) =>
      list.split(" ").map((name): [string, number] => [name, Number(version)]),
    ),
  );
}
