/**
 * Recovery that cancels what runs on a replica: the primary removes rows again and again, and the replica is told not to wait for
 * anybody who may still see them.
 */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { FaultProcedure } from "../nemesis/procedure.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { Repeated } from "./repeated.ts";

/** A row that only exists to be removed. */
export const churnTable: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS fairlead_harness.churn (number integer NOT NULL) WITH (autovacuum_enabled = off)",
  "INSERT INTO fairlead_harness.churn SELECT 0 WHERE NOT EXISTS (SELECT FROM fairlead_harness.churn)",
];

const WAIT_SETTING = "max_standby_streaming_delay";

/** Between two removals: reads that take longer are never through. */
const churnEveryMs = 100;

/** What the proof runs on the replica: it meets a few removals. */
const proofStatement = `SELECT pg_sleep(${(5 * churnEveryMs) / 1_000})`;

export function recoveryConflict(estate: Estate, node: NodeName): FaultProcedure {
  let churn: Repeated | undefined;
  return {
    async inject() {
      await using replica = await estate.connect(node);
      const [row] = await replica.query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby");
      if (row?.standby !== true) throw new Error(`${node} is no standby: it recovers nothing`);
      await replica.query(`ALTER SYSTEM SET ${WAIT_SETTING} = 0`);
      await replica.query("SELECT pg_reload_conf()");
      churn ??= new Repeated({
        connection: await estate.connect(estate.leaderOf(node)),
        clock: estate.clock,
        everyMs: churnEveryMs,
        // A dead row, and its removal.
        statements: () => [
          "UPDATE fairlead_harness.churn SET number = number + 1",
          "VACUUM fairlead_harness.churn",
        ],
      });
    },
    async observeOn(watch) {
      await watch.until(() => seeCancelled(estate, node));
      await watch.until(() => seeEnded(estate, node, watch));
    },
    async heal() {
      await churn?.end();
      churn = undefined;
      await using replica = await estate.connect(node);
      await replica.query(`ALTER SYSTEM RESET ${WAIT_SETTING}`);
      await replica.query("SELECT pg_reload_conf()");
    },
    async observeOff(watch) {
      await using replica = await estate.connect(node);
      await watch.until(async () => {
        const [row] = await replica.query<{ wait: string }>("SELECT current_setting($1) AS wait", [
          WAIT_SETTING,
        ]);
        if (row?.wait === "0") return `${WAIT_SETTING} is still 0`;
        await replica.query(proofStatement);
        return undefined;
      });
    },
  };
}

/** A statement that runs is cancelled, and its connection lives on. */
async function seeCancelled(estate: Estate, node: NodeName): Promise<Missing> {
  await using replica = await estate.connect(node);
  const told = await failureOf(replica.query(proofStatement));
  if (told === undefined) return "a statement ran to its end";
  if (told.code !== "40001" || told.severity !== "ERROR")
    return `a statement failed of something else: ${told.message}`;
  await replica.query("SELECT 1");
  return undefined;
}

/** A transaction that is idle and has a snapshot is ended, and its connection with it. */
async function seeEnded(estate: Estate, node: NodeName, watch: Watch): Promise<Missing> {
  await using replica = await estate.connect(node);
  await replica.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  await replica.query("SELECT 1");
  await watch.pause(5 * churnEveryMs);
  const told = await failureOf(replica.query("SELECT 1"));
  // What ended it was said while nobody asked; then there is only a connection that is gone.
  return told === undefined ? "an idle transaction goes on" : undefined;
}

interface ServerError extends Error {
  readonly code?: string;
  readonly severity?: string;
}

function failureOf(asking: Promise<unknown>): Promise<ServerError | undefined> {
  return asking.then(
    () => undefined,
    (error: unknown) => error as ServerError,
  );
}
