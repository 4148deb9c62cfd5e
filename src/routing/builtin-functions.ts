/**
 * PostgreSQL's own functions, reviewed one by one for where they may run. Volatility cannot decide this: `random`
 * is VOLATILE and harmless, `txid_current` is STABLE and refused on a standby.
 *
 * Names only: the worst overload speaks for all. A name that is missing here is not proven, so it goes to the
 * primary. An integration test runs every `safe` name on a standby and compares the lists with `pg_proc`.
 */

export type BuiltinVerdict =
  /** Reads only, and the answer does not depend on which node gives it. */
  | "safe"
  /** Reads only, but tells about the server or the connection itself. */
  | "node-local"
  /** Runs or reads what the statement does not show: SQL held in a string, a cursor, a large object. */
  | "opaque"
  /** Writes, is refused on a standby, or is silently wrong there, as a lock is that only one node knows of. */
  | "primary-only";

/** The verdict on a function of `pg_catalog`, or undefined when it has not been reviewed. */
export function builtinFunction(name: string): BuiltinVerdict | undefined {
  return VERDICTS.get(name);
}

/** Every reviewed name with its verdict. */
export function builtinFunctions(): ReadonlyMap<string, BuiltinVerdict> {
  return VERDICTS;
}

/** Functions that leave something behind in the session. `set_config` does unless its last argument is true. */
export const SESSION_FUNCTIONS: ReadonlySet<string> = new Set(
  words(`
    pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
    pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all
    pg_replication_origin_session_setup pg_replication_origin_session_reset
    set_config setseed
  `),
);

const SAFE = {
  strings: `
    array_to_string ascii bit_length btrim casefold char_length character_length chr concat concat_ws
    format initcap is_normalized left length like like_escape lower lpad ltrim normalize notlike octet_length overlay
    parse_ident position quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat
    replace reverse right rpad rtrim similar_escape similar_to_escape split_part starts_with string_to_array
    string_to_table strpos substr substring textcat textlen to_ascii to_bin to_char to_date to_hex to_number to_oct
    to_timestamp translate unicode_assigned unistr upper
  `,
  bytes: `
    bit_count convert convert_from convert_to crc32 crc32c decode encode get_bit get_byte md5 set_bit
    set_byte sha224 sha256 sha384 sha512
  `,
  numbers: `
    abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd
    degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power radians
    random random_normal round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket
  `,
  times: `
    age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
    justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps
    pg_sleep pg_sleep_for pg_sleep_until statement_timestamp timeofday timezone transaction_timestamp
  `,
  identifiers: `gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7`,
  conversions: `
    bit bool box bpchar bytea char cidr circle date daterange datemultirange float4 float8 int2 int4
    int4multirange int4range int8 int8multirange int8range interval lseg macaddr macaddr8 money multirange name
    numeric nummultirange numrange oid path point polygon regclass text time timestamp timestamptz timetz
    tsmultirange tsrange tstzmultirange tstzrange varbit varchar xid xml
  `,
  aggregates: `
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every
    max min mode percentile_cont percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum
    var_pop var_samp variance
  `,
  windows: `
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
  `,
  arrays: `
    array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort
    array_upper arraycontained arraycontains arrayoverlap cardinality generate_series generate_subscripts num_nonnulls
    num_nulls trim_array unnest
  `,
  enums: `enum_first enum_last enum_range`,
  json: `
    array_to_json json_agg json_agg_strict json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text
    json_object json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
    json_object_keys json_populate_record json_populate_recordset json_strip_nulls json_to_record
    json_to_recordset json_typeof jsonb_agg jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contained jsonb_contains jsonb_delete
    jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
    jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_object_keys
    jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
    jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz
    jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset jsonb_pretty
    jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json
    to_jsonb
  `,
  ranges: `isempty lower_inc lower_inf range_merge upper_inc upper_inf`,
  textSearch: `
    array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery
    plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_debug ts_delete ts_filter ts_headline
    ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type tsquery_phrase tsvector_to_array websearch_to_tsquery
  `,
  geometry: `
    area bound_box center diagonal diameter height isclosed ishorizontal isopen isparallel isperp isvertical
    line npoints pclose popen radius slope width
  `,
  network: `
    abbrev broadcast family host hostmask inet_merge inet_same_family macaddr8_set7bit masklen netmask network
    set_masklen
  `,
  xml: `
    xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlcomment xmlconcat2 xmlexists
    xmltext xmlvalidate xpath xpath_exists
  `,
  session: `
    current_database current_query current_schema current_schemas current_setting current_user
    getdatabaseencoding getpgusername pg_client_encoding pg_trigger_depth row_security_active session_user
    system_user version
  `,
  privileges: `
    aclcontains acldefault aclexplode has_any_column_privilege has_column_privilege has_database_privilege
    has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_largeobject_privilege
    has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
    has_tablespace_privilege has_type_privilege makeaclitem pg_get_acl pg_has_role
  `,
  catalogue: `
    col_description format_type icu_unicode_version mxid_age obj_description oidvectortypes
    pg_available_extension_versions pg_available_extensions
    pg_basetype pg_char_to_encoding pg_collation_for pg_collation_is_visible pg_column_compression
    pg_column_is_updatable pg_column_size pg_conversion_is_visible pg_describe_object pg_encoding_max_length
    pg_encoding_to_char pg_extension_update_paths pg_filenode_relation pg_function_is_visible
    pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default
    pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody
    pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef
    pg_get_partkeydef pg_get_publication_tables pg_get_replica_identity_index pg_get_ruledef
    pg_get_serial_sequence pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
    pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_identify_object
    pg_identify_object_as_address pg_index_column_has_property pg_index_has_property
    pg_indexam_has_property pg_indexam_progress_phasename pg_indexes_size pg_is_other_temp_schema
    pg_mcv_list_items pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table
    pg_partition_ancestors pg_partition_root pg_partition_tree pg_relation_filenode pg_relation_filepath
    pg_relation_is_publishable pg_relation_is_updatable pg_relation_size
    pg_sequence_parameters pg_settings_get_flags pg_size_bytes pg_size_pretty pg_statistics_obj_is_visible
    pg_table_is_visible pg_table_size pg_tablespace_location pg_timezone_abbrevs pg_timezone_abbrevs_abbrevs
    pg_timezone_abbrevs_zone pg_timezone_names pg_total_relation_size pg_ts_config_is_visible
    pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof
    satisfies_hash_partition shobj_description to_regclass to_regcollation to_regnamespace to_regoper to_regoperator
    to_regproc to_regprocedure to_regrole to_regtype to_regtypemod unicode_version
  `,
  snapshots: `
    pg_lsn pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin pg_visible_in_snapshot pg_wal_lsn_diff
    txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_visible_in_snapshot
  `,
} as const;

const NODE_LOCAL = {
  server: `
    pg_collation_actual_version pg_conf_load_time pg_config pg_control_checkpoint pg_control_init
    pg_control_recovery pg_control_system pg_current_logfile pg_database_collation_actual_version
    pg_database_size pg_get_aios pg_get_loaded_modules pg_get_shmem_allocations
    pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_resource_managers pg_hba_file_rules
    pg_ident_file_mappings pg_jit_available pg_numa_available pg_postmaster_start_time pg_show_all_file_settings
    pg_show_all_settings pg_tablespace_databases pg_tablespace_size
  `,
  connection: `
    inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid pg_blocking_pids pg_cursor
    pg_get_backend_memory_contexts pg_listening_channels pg_my_temp_schema pg_prepared_statement
    pg_safe_snapshot_blocking_pids
  `,
  recovery: `
    pg_get_wal_replay_pause_state pg_is_in_recovery pg_is_wal_replay_paused pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_is_in_backup
  `,
  replication: `
    pg_available_wal_summaries pg_get_replication_slots pg_get_wal_summarizer_state
    pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_show_replication_origin_status pg_split_walfile_name pg_wal_summary_contents
  `,
  // What a node sees at this moment, or, for a sequence, what it replays: WAL runs up to 32 values ahead.
  transactions: `
    pg_current_snapshot pg_current_xact_id_if_assigned pg_get_multixact_members pg_get_sequence_data
    pg_last_committed_xact pg_lock_status pg_notification_queue_usage pg_prepared_xact pg_sequence_last_value
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin txid_current_if_assigned txid_current_snapshot
  `,
  files: `
    pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir
    pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir pg_read_binary_file pg_read_file pg_stat_file
  `,
  // The functions under the statistics views: the counters of the node they run on.
  statistics: `
    pg_stat_get_activity pg_stat_get_analyze_count pg_stat_get_archiver pg_stat_get_autoanalyze_count
    pg_stat_get_autovacuum_count pg_stat_get_backend_activity pg_stat_get_backend_idset pg_stat_get_backend_pid
    pg_stat_get_blocks_fetched pg_stat_get_blocks_hit pg_stat_get_dead_tuples pg_stat_get_function_calls
    pg_stat_get_io pg_stat_get_last_analyze_time pg_stat_get_last_autoanalyze_time
    pg_stat_get_last_autovacuum_time pg_stat_get_last_vacuum_time pg_stat_get_live_tuples
    pg_stat_get_mod_since_analyze pg_stat_get_numscans pg_stat_get_progress_info pg_stat_get_recovery_prefetch
    pg_stat_get_replication_slot pg_stat_get_slru pg_stat_get_snapshot_timestamp pg_stat_get_subscription
    pg_stat_get_subscription_stats pg_stat_get_tuples_deleted pg_stat_get_tuples_fetched
    pg_stat_get_tuples_hot_updated pg_stat_get_tuples_inserted pg_stat_get_tuples_returned
    pg_stat_get_tuples_updated pg_stat_get_vacuum_count pg_stat_get_wal pg_stat_get_wal_receiver
    pg_stat_get_wal_senders pg_stat_have_stats
  `,
} as const;

const OPAQUE = {
  xml: `
    cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema database_to_xmlschema
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema schema_to_xml schema_to_xml_and_xmlschema
    schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema table_to_xmlschema
  `,
  textSearch: `ts_rewrite ts_stat`,
  // Both run the input function of a type named in a string, its domain checks included.
  input: `pg_input_error_info pg_input_is_valid`,
  largeObjects: `lo_get lo_lseek lo_lseek64 lo_tell lo_tell64 loread`,
} as const;

const PRIMARY_ONLY = {
  sequences: `currval lastval nextval setval`,
  transactions: `
    pg_current_xact_id pg_export_snapshot pg_xact_status txid_current txid_status
  `,
  advisoryLocks: `
    pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
    pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock
    pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
  `,
  session: `pg_notify set_config setseed`,
  wal: `
    pg_backup_start pg_backup_start_time pg_backup_stop pg_create_restore_point pg_current_wal_flush_lsn
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_log_standby_snapshot pg_logical_emit_message
    pg_start_backup pg_stop_backup pg_switch_wal pg_walfile_name pg_walfile_name_offset
  `,
  replication: `
    pg_copy_logical_replication_slot pg_copy_physical_replication_slot pg_create_logical_replication_slot
    pg_create_physical_replication_slot pg_drop_replication_slot pg_logical_slot_get_binary_changes
    pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes
    pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop
    pg_replication_origin_oid pg_replication_origin_session_reset pg_replication_origin_session_setup pg_replication_origin_xact_reset
    pg_replication_origin_xact_setup pg_replication_slot_advance pg_sync_replication_slots
  `,
  // These act on the node they run on; whoever means a replica says so by connecting to it.
  administration: `
    pg_cancel_backend pg_import_system_collations pg_log_backend_memory_contexts pg_promote pg_reload_conf
    pg_rotate_logfile pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_reset pg_stat_reset_backend_stats
    pg_stat_reset_replication_slot pg_stat_reset_shared pg_stat_reset_single_function_counters
    pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats
    pg_terminate_backend pg_wal_replay_pause pg_wal_replay_resume
  `,
  maintenance: `
    brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list
    pg_clear_attribute_stats pg_clear_relation_stats pg_extension_config_dump pg_nextoid
    pg_restore_attribute_stats pg_restore_relation_stats
  `,
  largeObjects: `
    lo_close lo_creat lo_create lo_export lo_from_bytea lo_import lo_open lo_put lo_truncate lo_truncate64
    lo_unlink lowrite
  `,
} as const;

const VERDICTS: ReadonlyMap<string, BuiltinVerdict> = new Map<string, BuiltinVerdict>([
  ...entries(SAFE, "safe"),
  ...entries(NODE_LOCAL, "node-local"),
  ...entries(OPAQUE, "opaque"),
  ...entries(PRIMARY_ONLY, "primary-only"),
]);

/** One entry for each name. */
function entries(
  families: Readonly<Record<string, string>>,
  verdict: BuiltinVerdict,
): [string, BuiltinVerdict][] {
  return Object.values(families).flatMap((family) =>
    words(family).map((name): [string, BuiltinVerdict] => [name, verdict]),
  );
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
