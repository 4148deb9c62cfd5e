/**
 * The tables of the workload, and the statements whose rows are the evidence: each says in one answer which server gave it,
 * in which role, how far it had replayed and the newest heartbeat that it saw. Pure.
 */
import type { Evidence } from "../history/operation.ts";
import type { Row } from "../subject.ts";

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Prepared under this name, once a connection. */
  readonly name?: string;
}

const SCHEMA = "fairlead_chaos";

/** One row that nobody needs, in columns that may change. */
export const ALTERED_TABLE: string = `${SCHEMA}.altered`;

/**
 * Fresh tables, one statement each, for a superuser on the primary. Nothing keeps a write from being there twice: a
 * statement that ran twice is to be seen in the count.
 */
export function createTables(applicationRole: string): readonly string[] {
  const role = `"${applicationRole.replaceAll('"', '""')}"`;
  return [
    `drop schema if exists ${SCHEMA} cascade`,
    `create schema ${SCHEMA}`,
    `create table ${SCHEMA}.heartbeat (number integer not null) with (fillfactor = 10)`,
    `insert into ${SCHEMA}.heartbeat values (0)`,
    `create table ${SCHEMA}.writes (id integer not null)`,
    // Not unique, see above: only so that a session finds its own write at the same cost however many there are.
    `create index on ${SCHEMA}.writes (id)`,
    `create table ${ALTERED_TABLE} (id integer not null)`,
    `insert into ${ALTERED_TABLE} values (1)`,
    `grant select on ${ALTERED_TABLE} to ${role}`,
    `grant usage on schema ${SCHEMA} to ${role}`,
    `grant select on ${SCHEMA}.heartbeat to ${role}`,
    `grant select, insert on ${SCHEMA}.writes to ${role}`,
  ];
}

export const DROP_TABLES: string = `drop schema if exists ${SCHEMA} cascade`;

const COLUMNS = `current_setting('cluster_name') as node, pg_is_in_recovery() as standby, pg_backend_pid() as backend`;
const NEWEST = `(select max(number) from ${SCHEMA}.heartbeat) as heartbeat`;

export const READ: Statement = {
  // The replay position is taken after the snapshot: an upper bound of what the statement can have seen.
  text: `select ${COLUMNS}, ${NEWEST}, pg_last_wal_replay_lsn()::text as replay_lsn`,
  values: [],
};

/** As {@link READ}, for a session whose write `ownWrite` was acknowledged: does it see that as well? */
export function readOwn(ownWrite: number): Statement {
  const seen = `(select coalesce(max(id), 0) from ${SCHEMA}.writes where id = $1) as own_write`;
  return { text: `${READ.text}, ${seen}`, values: [ownWrite] };
}

/** A server's own setting that makes reads of {@link lasting} slower there, in milliseconds. */
export const READ_MS_SETTING = "fairlead_chaos.read_ms";

/** The same read, which takes so long at least. Its snapshot and its evidence are those of its begin. */
export function lasting({ text, values }: Statement, readMs: number): Statement {
  const there = `coalesce(nullif(current_setting('${READ_MS_SETTING}', true), ''), '0')::double precision`;
  return { text: `${text}, pg_sleep(greatest(${readMs}, ${there}) / 1000)::text as slept`, values };
}

/** As {@link READ}, by a name, and with whatever columns {@link ALTERED_TABLE} has. */
export const NAMED_READ: Statement = {
  name: "fairlead_chaos_read",
  text: `${READ.text}, altered.* from ${ALTERED_TABLE} as altered`,
  values: [],
};

export function insert(id: number): Statement {
  return {
    text: `insert into ${SCHEMA}.writes (id) values ($1) returning ${COLUMNS}, ${NEWEST}`,
    values: [id],
  };
}

/** A heartbeat never goes back, although one whose answer was lost may land late. */
export function beat(number: number): Statement {
  return { text: `update ${SCHEMA}.heartbeat set number = $1 where number < $1`, values: [number] };
}

/** How often each write stands there. */
export const COUNT_WRITES: string = `select id, count(*)::integer as count from ${SCHEMA}.writes group by id order by id`;

/** An answer that does not say what every answer of this workload says. */
export class NoEvidence extends Error {
  override readonly name = "NoEvidence";
  readonly code = "NO_EVIDENCE";
}

/** @throws NoEvidence when the rows do not say who answered */
export function evidenceOf(rows: readonly Row[]): Evidence {
  const row = rows[0];
  if (rows.length !== 1 || row === undefined) {
    throw new NoEvidence(`one row was asked for, ${rows.length} came`);
  }
  const { node, standby, backend, heartbeat, replay_lsn: replayLsn, own_write: ownWrite } = row;
  if (typeof node !== "string" || typeof standby !== "boolean" || typeof heartbeat !== "number") {
    throw new NoEvidence("the row does not say who answered: columns node, standby or heartbeat are missing");
  }
  return {
    node,
    role: standby ? "replica" : "primary",
    heartbeat,
    ...(typeof replayLsn === "string" ? { replayLsn } : {}),
    ...(typeof backend === "number" ? { backend } : {}),
    ...(typeof ownWrite === "number" ? { ownWrite } : {}),
  };
}
