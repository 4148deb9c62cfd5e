/** Small messages in the WAL, by which one can tell how far it has got: they change no data and wake every replica. */
import type { DirectConnection } from "../../chaos/world.ts";
import { type Lsn, parseLsn } from "../../src/routing/lsn.ts";

/** Writes a mark, of so many bytes, and commits it; the primary has flushed it then. Gives its position. */
export async function emitMark(primary: DirectConnection, bytes: number = 0): Promise<Lsn> {
  const lsn = await position(primary, `pg_logical_emit_message(true, 'fairlead', repeat('x', ${bytes}))`);
  return required(lsn, "a mark");
}

export async function flushedLsn(primary: DirectConnection): Promise<Lsn> {
  return required(await position(primary, "pg_current_wal_flush_lsn()"), "the flush position");
}

export async function insertLsn(primary: DirectConnection): Promise<Lsn> {
  return required(await position(primary, "pg_current_wal_insert_lsn()"), "the insert position");
}

/** Undefined on a server that has never streamed. */
export function receivedLsn(replica: DirectConnection): Promise<Lsn | undefined> {
  return position(replica, "pg_last_wal_receive_lsn()");
}

/** Undefined on a server that has never been in recovery. */
export function replayedLsn(replica: DirectConnection): Promise<Lsn | undefined> {
  return position(replica, "pg_last_wal_replay_lsn()");
}

/** What a replica has told its primary that it has on disk; undefined while it does not stream. */
export async function acknowledgedLsn(primary: DirectConnection, replica: string): Promise<Lsn | undefined> {
  const [row] = await primary.query<{ lsn: string | null }>(
    "SELECT max(flush_lsn)::text AS lsn FROM pg_stat_replication WHERE application_name = $1",
    [replica],
  );
  return parseLsn(row?.lsn);
}

async function position(connection: DirectConnection, expression: string): Promise<Lsn | undefined> {
  const [row] = await connection.query<{ lsn: string | null }>(`SELECT (${expression})::text AS lsn`);
  return parseLsn(row?.lsn);
}

function required(lsn: Lsn | undefined, what: string): Lsn {
  if (lsn === undefined) throw new Error(`the server gave no position for ${what}`);
  return lsn;
}
