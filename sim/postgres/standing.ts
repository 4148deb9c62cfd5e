/** Where a cluster stands: who has caught up, who is the primary, and making another one it. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import { type Clock, sleep, withDeadline } from "../../src/runtime/clock.ts";

/** Runs a statement on one node, as superuser. */
export type RunSql = <Row extends object>(
  node: NodeName,
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

export interface Settling {
  readonly sql: RunSql;
  readonly clock: Clock;
  readonly primary: NodeName;
  readonly replicas: readonly NodeName[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const pollEveryMs = 20;
const notAsked = "not asked yet";

/**
 * Resolves when every replica streams and has replayed all that was committed on the primary before the call.
 * The mark is a message in the WAL, not the primary's position: that may stand beyond anything that is ever sent
 * while a transaction is open on an idle server.
 * @throws Error that names each replica that is behind and why, at the deadline
 */
export async function waitUntilSettled(settling: Settling): Promise<void> {
  const { clock, primary, replicas, timeoutMs, signal } = settling;
  const deadline = clock.now() + timeoutMs;
  const behind = new Map<NodeName, string>(replicas.map((replica) => [replica, notAsked]));
  let mark: string | undefined;
  while (behind.size > 0) {
    signal?.throwIfAborted();
    const leftMs = deadline - clock.now();
    if (leftMs <= 0) throw new Error(notSettled(behind, timeoutMs));
    try {
      mark ??= await withDeadline(clock, markWal(settling), {
        what: `marking the WAL of ${primary}`,
        timeoutMs: leftMs,
      });
      await checkReplicas(settling, { mark, leftMs }, behind);
    } catch (error) {
      for (const replica of behind.keys())
        behind.set(replica, `${primary} cannot be asked (${messageOf(error)})`);
    }
    if (behind.size > 0) await sleep(clock, pollEveryMs, signal);
  }
}

function notSettled(behind: ReadonlyMap<NodeName, string>, timeoutMs: number): string {
  const reasons = [...behind].map(([replica, reason]) => `${replica}: ${reason}`).join("; ");
  return `not every replica has caught up within ${timeoutMs} ms: ${reasons}`;
}

async function markWal({ sql, primary }: Settling): Promise<string> {
  const [row] = await sql<{ lsn: string }>(
    primary,
    "SELECT pg_logical_emit_message(true, 'fairlead', 'settled')::text AS lsn",
  );
  if (row === undefined) throw new Error("no position came back");
  return row.lsn;
}

async function checkReplicas(
  { sql, clock }: Settling,
  { mark, leftMs }: { readonly mark: string; readonly leftMs: number },
  behind: Map<NodeName, string>,
): Promise<void> {
  await Promise.all(
    [...behind.keys()].map(async (replica) => {
      const question = reasonBehind(sql, replica, mark);
      // Asked too late to be answered in time: what the replica said before tells more.
      const inTime = withDeadline(clock, question, { what: "the question", timeoutMs: leftMs });
      const reason = await inTime.catch(() => lastWords(behind.get(replica)));
      if (reason === undefined) behind.delete(replica);
      else behind.set(replica, reason);
    }),
  );
}

function lastWords(reason: string | undefined): string {
  return reason === undefined || reason === notAsked ? "gives no answer" : reason;
}

interface ReplicaRow {
  readonly replayed: boolean | null;
  readonly lsn: string | null;
  readonly status: string | null;
  readonly in_recovery: boolean;
}

async function reasonBehind(sql: RunSql, replica: NodeName, mark: string): Promise<string | undefined> {
  try {
    const [row] = await sql<ReplicaRow>(
      replica,
      `SELECT pg_is_in_recovery() AS in_recovery, pg_last_wal_replay_lsn()::text AS lsn,
              pg_last_wal_replay_lsn() >= $1::pg_lsn AS replayed,
              (SELECT status FROM pg_stat_wal_receiver) AS status`,
      [mark],
    );
    if (row === undefined) return "gave no answer";
    if (!row.in_recovery) return "is not a replica any more";
    if (row.status !== "streaming") return `does not stream (WAL receiver: ${row.status ?? "none"})`;
    return row.replayed === true ? undefined : `has replayed ${row.lsn ?? "nothing"} of ${mark}`;
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/**
 * Makes a replica a primary over a superuser's connection to it; resolves when it takes writes.
 * @throws Error when it did not finish within `waitSeconds`
 */
export async function promoteReplica(connection: DirectConnection, waitSeconds: number): Promise<void> {
  const [row] = await connection.query<{ promoted: boolean }>("SELECT pg_promote(true, $1) AS promoted", [
    waitSeconds,
  ]);
  if (row?.promoted !== true) throw new Error(`the promotion did not finish within ${waitSeconds} s`);
}
