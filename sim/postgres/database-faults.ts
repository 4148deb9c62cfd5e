/** Faults made by PostgreSQL itself, on request: paused replay, open transactions, and odd places in the WAL. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import { type Lsn, formatLsn, parseLsn } from "../../src/routing/lsn.ts";
import { type Estate, requireNode } from "../nemesis/estate.ts";
import type { FaultProcedure, FaultTable } from "../nemesis/procedure.ts";
import { knock } from "../nemesis/tcp.ts";
import type { Missing } from "../nemesis/watch.ts";
import { fillUpToPage, isBehindPageHeader } from "./page-boundary.ts";
import { churnTable } from "./recovery-conflict.ts";
import { emitMark, insertLsn, replayedLsn } from "./wal-marks.ts";

export function databaseFaults(estate: Estate): FaultTable {
  const on = (node: NodeName): Target => ({ estate, node: requireNode(estate, node) });
  return {
    "replay-paused": (fault) => replayPaused(on(fault.node)),
    "write-transaction-open": (fault) => writeTransactionOpen(on(fault.node)),
    "wal-at-page-boundary": (fault) => walAtPageBoundary(on(fault.node)),
    "wal-switched": (fault) => walSwitched(on(fault.node)),
    checkpointed: (fault) => checkpointed(on(fault.node)),
  };
}

/**
 * What the faults need on a primary: a place to write that is the harness's own. To be run once, as superuser.
 * Nobody else can read it.
 */
export const harnessSchema: readonly string[] = [
  "CREATE SCHEMA IF NOT EXISTS fairlead_harness",
  "CREATE TABLE IF NOT EXISTS fairlead_harness.open_transactions (note text NOT NULL)",
  ...churnTable,
];

interface Target {
  readonly estate: Estate;
  readonly node: NodeName;
}

/** How long replay has to stand still after new WAL, to be believed. */
const standstillMs = 30;

function replayPaused({ estate, node }: Target): FaultProcedure {
  return {
    async inject() {
      await using replica = await estate.connect(node);
      await replica.query("SELECT pg_wal_replay_pause()");
    },
    async observeOn(watch) {
      await watch.until(async () => {
        // Anew each time: either server may go and come back meanwhile.
        await using replica = await estate.connect(node);
        await using primary = await estate.connect(estate.leaderOf(node));
        // The mark also wakes the replay, which looks at the request only then.
        const mark = await emitMark(primary);
        const state = await pauseState(replica);
        if (state !== "paused") return `the replay is ${state}`;
        await watch.pause(standstillMs);
        return isBefore(await replayedLsn(replica), mark) ? undefined : "the replay goes on";
      });
    },
    async heal() {
      if (await isDown(estate, node)) return; // And comes back with the pause forgotten.
      await using server = await estate.connect(node);
      // On a server that has been promoted meanwhile there is nothing to resume.
      await server.query("SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()");
    },
    async observeOff(watch) {
      if (await isDown(estate, node)) return;
      await using server = await estate.connect(node);
      if ((await pauseState(server)) === "primary") return;
      const leader = estate.leaderOf(node);
      const mark = (await isDown(estate, leader)) ? undefined : await markOn(estate, leader);
      await watch.until(async () => {
        const state = await pauseState(server);
        if (state !== "not paused") return `the replay is ${state}`;
        const isBehind = mark !== undefined && isBefore(await replayedLsn(server), mark);
        return isBehind ? `the replay has not reached ${formatLsn(mark)} of ${leader}` : undefined;
      });
    },
  };
}

/** `not paused`, `pause requested`, `paused`, or `primary` where nothing is replayed. */
async function pauseState(server: DirectConnection): Promise<string> {
  const [row] = await server.query<{ state: string }>(
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() ELSE 'primary' END AS state",
  );
  return row?.state ?? "unknown";
}

async function markOn(estate: Estate, node: NodeName): Promise<Lsn> {
  await using primary = await estate.connect(node);
  return await emitMark(primary);
}

function writeTransactionOpen({ estate, node }: Target): FaultProcedure {
  let writer: DirectConnection | undefined;
  let backend: number | undefined;
  /** Undefined when no server is there to have one. */
  const hasWritten = async (): Promise<boolean | undefined> => {
    if (await isDown(estate, node)) return undefined;
    await using server = await estate.connect(node);
    const rows = await server.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE pid = $1 AND backend_xid IS NOT NULL AND state = 'idle in transaction'",
      [backend],
    );
    return rows.length > 0;
  };
  return {
    async inject() {
      writer = await estate.connect(node);
      const [row] = await writer.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      backend = row?.pid;
      await writer.query("BEGIN READ WRITE");
      // Several pages: the WAL writer flushes whole ones, so that what is flushed ends inside a record, which no
      // standby replays before its rest has come.
      await writer.query(
        "INSERT INTO fairlead_harness.open_transactions SELECT repeat('x', 1500) FROM generate_series(1, 12)",
      );
    },
    observeOn: (watch) =>
      watch.until(async () =>
        (await hasWritten()) === true ? undefined : "no transaction with an xid is open",
      ),
    async heal() {
      // Whatever becomes of the rollback, the connection does not outlive it.
      await writer?.query("ROLLBACK").catch(() => {});
      await writer?.close();
      writer = undefined;
    },
    observeOff: (watch) =>
      watch.until(async () => ((await hasWritten()) === true ? "the transaction is still open" : undefined)),
  };
}

function walAtPageBoundary({ estate, node }: Target): FaultProcedure {
  return {
    ...nothingToHeal,
    async inject() {
      // A standby says here that it has no such position. The rest is done with the looking, because where
      // others write the position may move on at once.
      await using writer = await estate.connect(node);
      await insertLsn(writer);
    },
    async observeOn(watch) {
      await using writer = await estate.connect(node);
      await using observer = await estate.connect(node);
      await watch.until(async (): Promise<Missing> => {
        const geometry = await fillUpToPage(writer);
        const lsn = await insertLsn(observer);
        return isBehindPageHeader(lsn, geometry) ? undefined : `the insert position is ${formatLsn(lsn)}`;
      });
    },
  };
}

function walSwitched({ estate, node }: Target): FaultProcedure {
  let switchedAt: Lsn | undefined;
  return {
    ...nothingToHeal,
    async inject() {
      await using primary = await estate.connect(node);
      // At the start of a segment there is nothing to switch; behind a mark there is.
      await emitMark(primary);
      const [row] = await primary.query<{ lsn: string }>("SELECT pg_switch_wal()::text AS lsn");
      switchedAt = parseLsn(row?.lsn);
    },
    async observeOn(watch) {
      await using observer = await estate.connect(node);
      const segmentBytes = await bytesSetting(observer, "wal_segment_size");
      await watch.until(async () => {
        const lsn = await insertLsn(observer);
        const segment = Math.floor(lsn / segmentBytes);
        const isBeyond = switchedAt !== undefined && segment > Math.floor((switchedAt - 1) / segmentBytes);
        return isBeyond ? undefined : `the insert position is ${formatLsn(lsn)}, in the same segment`;
      });
    },
  };
}

function checkpointed({ estate, node }: Target): FaultProcedure {
  let before: string | undefined;
  return {
    ...nothingToHeal,
    async inject() {
      await using server = await estate.connect(node);
      before = await lastCheckpoint(server);
      await server.query("CHECKPOINT");
    },
    async observeOn(watch) {
      await using observer = await estate.connect(node);
      await watch.until(async () => {
        const now = await lastCheckpoint(observer);
        return now === before ? `the last checkpoint is still the one at ${now}` : undefined;
      });
    },
  };
}

/** For what happens at a point of time. */
const nothingToHeal = { heal: async () => {}, observeOff: async () => {} } as const;

async function lastCheckpoint(server: DirectConnection): Promise<string> {
  const [row] = await server.query<{ lsn: string }>(
    "SELECT checkpoint_lsn::text AS lsn FROM pg_control_checkpoint()",
  );
  return row?.lsn ?? "unknown";
}

async function bytesSetting(server: DirectConnection, name: string): Promise<number> {
  const [row] = await server.query<{ bytes: string }>(
    "SELECT setting AS bytes FROM pg_settings WHERE name = $1",
    [name],
  );
  return Number(row?.bytes);
}

async function isDown(estate: Estate, node: NodeName): Promise<boolean> {
  return (await knock(estate.clock, estate.address(node))) === "refused";
}

function isBefore(lsn: Lsn | undefined, mark: Lsn): boolean {
  return lsn === undefined || lsn < mark;
}
