/** A replica that somebody made a primary, while everybody else follows the old one. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import { type Estate } from "../nemesis/estate.ts";
import type { FaultProcedure } from "../nemesis/procedure.ts";
import { promoteReplica } from "./standing.ts";
import { emitMark, replayedLsn } from "./wal-marks.ts";

const promoteWaitSeconds = 4;

export interface Promotion {
  readonly estate: Estate;
  readonly node: NodeName;
  /** Throws the node's data away and makes it a replica of the primary again. */
  readonly rebuild: (node: NodeName) => Promise<void>;
}

export function replicaPromoted({ estate, node, rebuild }: Promotion): FaultProcedure {
  return {
    // A copy of the primary has to be made for the heal.
    slowerByMs: 20_000,
    async inject() {
      if (estate.leaderOf(node) === node) throw new Error(`${node} is a primary already`);
      await using replica = await estate.connect(node);
      await promoteReplica(replica, promoteWaitSeconds);
    },
    async observeOn(watch) {
      await using server = await estate.connect(node);
      await watch.until(async () => {
        if (await isStandby(estate, node)) return "it is still a standby";
        // Refused by a standby; and a write of its own, which the old primary never sees.
        await emitMark(server);
        return undefined;
      });
    },
    heal: async () => {
      // What has been promoted and is down cannot be asked; what is a standby has been rebuilt, or was never promoted.
      const standby = await isStandby(estate, node).catch(() => false);
      if (!standby) await rebuild(node);
    },
    async observeOff(watch) {
      await using server = await estate.connect(node);
      await using primary = await estate.connect(estate.leaderOf(node));
      const mark = await emitMark(primary);
      await watch.until(async () => {
        if (!(await isStandby(estate, node))) return "it is no standby";
        const replayed = await replayedLsn(server);
        return replayed !== undefined && replayed >= mark ? undefined : "it has not caught up";
      });
    },
  };
}

async function isStandby(estate: Estate, node: NodeName): Promise<boolean> {
  await using server = await estate.connect(node);
  const [row] = await server.query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby");
  return row?.standby === true;
}
