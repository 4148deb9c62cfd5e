/** The one statement that a probe runs, and how its row becomes a sample. Works with CONNECT alone; what a role may not see is unknown. */
import { parseLsn, withoutPageHeader } from "../routing/lsn.ts";
import type { NodeSample, ReplicaSample } from "../routing/sample.ts";

/**
 * Positions are read inside CASE so that no function is called on a server where it would be refused. The timeline of a
 * primary is that of the file it writes: `pg_control_checkpoint()` still names the old one right after a promotion.
 * `count(*)` tells a WAL receiver that is gone from one that the role may not see (a row of NULLs).
 */
export const PROBE_SQL = `
select r.recovery as recovery,
       pg_backend_pid() as backend_pid,
       current_setting('server_version_num')::int as version,
       (select system_identifier::text from pg_control_system()) as system_id,
       case when r.recovery
         then greatest((select timeline_id from pg_control_checkpoint()),
                       (select min_recovery_end_timeline from pg_control_recovery()),
                       w.received_tli)
         else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
       case when not r.recovery then pg_current_wal_insert_lsn()::text end as insert_lsn,
       case when not r.recovery then pg_current_wal_flush_lsn()::text end as flush_lsn,
       case when r.recovery then pg_last_wal_replay_lsn()::text end as replay_lsn,
       case when r.recovery then pg_get_wal_replay_pause_state() end as pause_state,
       w.receivers::int as receivers,
       w.status as receiver_status,
       pg_size_bytes(current_setting('wal_block_size'))::int as block_bytes,
       pg_size_bytes(current_setting('wal_segment_size'))::int8::text as segment_bytes,
       (extract(epoch from current_setting('wal_writer_delay')::interval) * 1000)::float8 as wal_writer_delay_ms
  from (select pg_is_in_recovery() as recovery) r,
       (select count(*) as receivers, min(status) as status, max(received_tli) as received_tli
          from pg_stat_wal_receiver) w`;

/** A row of {@link PROBE_SQL}, as `pg` gives it. */
export interface ProbeRow {
  readonly recovery: boolean;
  readonly backend_pid: number;
  readonly version: number;
  readonly system_id: string;
  readonly timeline: number;
  readonly insert_lsn: string | null;
  readonly flush_lsn: string | null;
  readonly replay_lsn: string | null;
  readonly pause_state: string | null;
  readonly receivers: number;
  readonly receiver_status: string | null;
  readonly block_bytes: number;
  readonly segment_bytes: string;
  readonly wal_writer_delay_ms: number;
}

export function toSample(row: ProbeRow): NodeSample {
  const base = { systemId: row.system_id, timeline: row.timeline, serverVersionNum: row.version };
  if (row.recovery) {
    return {
      ...base,
      role: "replica",
      replay: parseLsn(row.replay_lsn),
      replayPaused: row.pause_state === "paused",
      walReceiver: walReceiver(row),
    };
  }
  const insert = parseLsn(row.insert_lsn);
  const flush = parseLsn(row.flush_lsn);
  if (insert === undefined || flush === undefined) {
    throw new TypeError(
      `a primary's probe gave no WAL position (insert ${row.insert_lsn}, flush ${row.flush_lsn})`,
    );
  }
  const geometry = { blockBytes: row.block_bytes, segmentBytes: Number(row.segment_bytes) };
  return {
    ...base,
    role: "primary",
    insert: withoutPageHeader(insert, geometry),
    flush,
    walWriterDelayMs: row.wal_writer_delay_ms,
  };
}

function walReceiver(row: ProbeRow): ReplicaSample["walReceiver"] {
  if (row.receivers === 0) return "gone";
  if (row.receiver_status === null) return "hidden";
  return row.receiver_status === "streaming" ? "streaming" : "waiting";
}

/**
 * Closes the gap that an idle primary's incomplete last record leaves: allowed to a plain role. Its commit waits for no
 * synchronous standby, because the next probe waits behind it on the same connection.
 */
export const NUDGE_SQL =
  "select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'fairlead', '')";
