/** A replica that gets its WAL in another way than from the primary: from another replica, or from an archive. Told without a restart. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { FaultProcedure } from "../nemesis/procedure.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { emitMark, replayedLsn } from "./wal-marks.ts";

export interface Feeding {
  readonly estate: Estate;
  readonly node: NodeName;
  readonly by: "replica" | "archive";
  /** Where the node keeps its WAL, which serves as an archive that is never late. */
  readonly walFolderOf: (node: NodeName) => string;
}

const SETTINGS = ["primary_conninfo", "primary_slot_name", "restore_command"] as const;

export function replicaFed({ estate, node, by, walFolderOf }: Feeding): FaultProcedure {
  const leader = estate.leaderOf(node);
  /** Another one that follows the same primary. */
  const upstream = estate.nodes.find(
    (each) => each !== node && each !== leader && estate.leaderOf(each) === leader,
  );
  const changed = async (replica: DirectConnection): Promise<Record<string, string>> => {
    if (by === "archive") {
      return {
        primary_conninfo: "",
        primary_slot_name: "",
        restore_command: `cp "${walFolderOf(leader)}/%f" "%p"`,
      };
    }
    if (upstream === undefined) throw new Error(`${node} has no other replica to be fed by`);
    const [row] = await replica.query<{ value: string }>(
      "SELECT current_setting('primary_conninfo') AS value",
    );
    const { port } = estate.address(upstream);
    return {
      primary_conninfo: (row?.value ?? "").replace(/port='\d+'/, `port='${port}'`),
      // The slot is kept on the primary, for the way back.
      primary_slot_name: "",
    };
  };
  return {
    async inject() {
      if (leader === node) throw new Error(`${node} is no replica`);
      await using replica = await estate.connect(node);
      for (const [name, value] of Object.entries(await changed(replica)))
        await replica.query(`ALTER SYSTEM SET ${name} = '${value.replaceAll("'", "''")}'`);
      await replica.query("SELECT pg_reload_conf()");
    },
    observeOn: (watch) =>
      seeFed({ estate, node, leader }, watch, (receiver) => {
        if (by === "archive") return receiver === undefined ? undefined : "it has a WAL receiver";
        const isThere = receiver?.port === estate.address(upstream ?? leader).port;
        return isThere ? undefined : "it does not stream from the other replica";
      }),
    async heal() {
      await using replica = await estate.connect(node);
      for (const name of SETTINGS) await replica.query(`ALTER SYSTEM RESET ${name}`);
      await replica.query("SELECT pg_reload_conf()");
    },
    observeOff: (watch) =>
      seeFed({ estate, node, leader }, watch, (receiver) => {
        const isElsewhere = receiver === undefined || receiver.port === estate.address(upstream ?? node).port;
        return isElsewhere ? "it does not stream from the primary" : undefined;
      }),
  };
}

interface Receiver {
  readonly port: number;
}

interface Fed {
  readonly estate: Estate;
  readonly node: NodeName;
  readonly leader: NodeName;
}

/** The receiver is as it should be, and what the primary writes now arrives. */
async function seeFed(
  { estate, node, leader }: Fed,
  watch: Watch,
  objection: (receiver: Receiver | undefined) => Missing,
): Promise<void> {
  await using replica = await estate.connect(node);
  await using primary = await estate.connect(leader);
  await watch.until(async () => {
    const [receiver] = await replica.query<Receiver>(
      "SELECT sender_port AS port FROM pg_stat_wal_receiver WHERE status = 'streaming'",
    );
    return objection(receiver);
  });
  const mark = await emitMark(primary);
  await watch.until(async () => {
    const replayed = await replayedLsn(replica);
    return replayed !== undefined && replayed >= mark ? undefined : "WAL does not arrive";
  });
}
