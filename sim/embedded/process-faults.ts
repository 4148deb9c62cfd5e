/** Faults of a server's process: what is done with signals, and what must be seen of it from outside. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import { type Estate, requireNode } from "../nemesis/estate.ts";
import type { FaultProcedure, FaultTable } from "../nemesis/procedure.ts";
import { knock } from "../nemesis/tcp.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { emitMark, replayedLsn } from "../postgres/wal-marks.ts";

/** A node's process, as {@link Server} is one. */
export interface NodeProcess {
  readonly isRunning: boolean;
  /** SIGKILL to it and all that descends from it; resolves when they are gone. */
  kill(): Promise<void>;
  /** Resolves when it takes connections. */
  start(): Promise<void>;
}

export interface ProcessFaultsOptions {
  readonly estate: Estate;
  readonly processOf: (node: NodeName) => NodeProcess;
  /** Asks the node through the application's link, unless that link is broken on purpose. */
  readonly askThroughLink: (node: NodeName, timeoutMs: number) => Promise<void>;
}

export function processFaults(options: ProcessFaultsOptions): FaultTable {
  return {
    "node-killed": (fault) => nodeKilled(options, requireNode(options.estate, fault.node)),
  };
}

function nodeKilled(options: ProcessFaultsOptions, node: NodeName): FaultProcedure {
  const { estate } = options;
  const server = options.processOf(node);
  return {
    inject: () => server.kill(),
    observeOn: (watch) =>
      watch.until(async () => {
        if (server.isRunning) return "its process is there";
        const answer = await knock(estate.clock, estate.address(node));
        return answer === "refused" ? undefined : `a new connection is ${answer}`;
      }),
    heal: () => server.start(),
    async observeOff(watch) {
      await using direct = await estate.connect(node);
      await direct.query("SELECT 1");
      await options.askThroughLink(node, watch.leftMs);
      await seeCaughtUp(estate, node, watch);
    },
  };
}

/** A replica streams again and has replayed what its primary has now. Nothing to see on a primary. */
async function seeCaughtUp(estate: Estate, node: NodeName, watch: Watch): Promise<void> {
  await using replica = await estate.connect(node);
  const [row] = await replica.query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby");
  const leader = estate.leaderOf(node);
  // Where the primary is down as well there is nobody to catch up with.
  const isAlone = (await knock(estate.clock, estate.address(leader))) === "refused";
  if (row?.standby !== true || isAlone) return;
  await using primary = await estate.connect(leader);
  const mark = await emitMark(primary);
  await watch.until(async (): Promise<Missing> => {
    const [receiver] = await replica.query<{ status: string }>("SELECT status FROM pg_stat_wal_receiver");
    if (receiver?.status !== "streaming") return `its WAL receiver is ${receiver?.status ?? "not there"}`;
    const replayed = await replayedLsn(replica);
    return replayed !== undefined && replayed >= mark ? undefined : `it has not caught up with ${leader}`;
  });
}
