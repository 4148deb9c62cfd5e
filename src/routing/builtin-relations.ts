/**
 * PostgreSQL's own relations and types, reviewed: what a replica answers as the primary does, and what tells about
 * the node itself. A name that is missing here is looked for among the user's objects.
 */

export type BuiltinRelationVerdict = "safe" | "node-local";

/**
 * The verdict on a relation of `pg_catalog` or `information_schema`, or undefined when it is neither.
 * Without a schema only `pg_catalog` is meant, as `information_schema` is in nobody's search path.
 */
export function builtinRelation(
  schema: string | undefined,
  name: string,
): BuiltinRelationVerdict | undefined {
  if (schema === "information_schema") return "safe";
  if (schema !== undefined && schema !== "pg_catalog") return undefined;
  if (SAFE_RELATIONS.has(name)) return "safe";
  return NODE_LOCAL_RELATIONS.has(name) || STATISTICS_VIEW.test(name) ? "node-local" : undefined;
}

/** True for a type that every supported server has. */
export function isBuiltinType(name: string): boolean {
  return TYPES.has(name.startsWith("_") ? name.slice(1) : name);
}

const SAFE_RELATIONS: ReadonlySet<string> = words(`
  pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_authid
  pg_available_extension_versions pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion
  pg_database pg_db_role_setting pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension
  pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs
  pg_language pg_largeobject pg_largeobject_metadata pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily
  pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_proc pg_publication pg_publication_namespace
  pg_publication_rel pg_publication_tables pg_range pg_replication_origin pg_rewrite pg_roles pg_rules pg_seclabel
  pg_seclabels pg_sequence pg_shadow pg_shdepend pg_shdescription pg_shseclabel pg_statistic pg_statistic_ext
  pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs pg_subscription pg_subscription_rel pg_tables
  pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map
  pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_user_mapping pg_user_mappings pg_views
`);

/** Beside every `pg_stat_…` and `pg_statio_…`. `pg_sequences` shows values that a replica sees early. */
const NODE_LOCAL_RELATIONS: ReadonlySet<string> = words(`
  pg_aios pg_backend_memory_contexts pg_config pg_cursors pg_file_settings pg_hba_file_rules pg_ident_file_mappings
  pg_locks pg_prepared_statements pg_prepared_xacts pg_replication_origin_status pg_replication_slots pg_sequences
  pg_settings pg_shmem_allocations pg_shmem_allocations_numa pg_wait_events
`);

const STATISTICS_VIEW = /^pg_stat(io)?_/;

const TYPES: ReadonlySet<string> = words(`
  aclitem any anyarray anycompatible anyelement bit bool box bpchar bytea char cid cidr circle cstring date
  datemultirange daterange float4 float8 inet int2 int2vector int4 int4multirange int4range int8 int8multirange
  int8range interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric nummultirange numrange oid
  oidvector path pg_lsn pg_snapshot point polygon record refcursor regclass regcollation regconfig regdictionary
  regnamespace regoper regoperator regproc regprocedure regrole regtype text tid time timestamp timestamptz timetz
  tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector txid_snapshot unknown uuid varbit varchar void xid
  xid8 xml
`);

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/).filter((word) => word !== ""));
}
