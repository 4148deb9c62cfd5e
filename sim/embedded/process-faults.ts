/** Faults of a server's process: what is done with signals, and what must be seen of it from outside. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import { type Estate, type EstateConnection, requireNode } from "../nemesis/estate.ts";
import { greet } from "../nemesis/greeting.ts";
import type { FaultProcedure, FaultTable } from "../nemesis/procedure.ts";
import { knock } from "../nemesis/tcp.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { emitMark, replayedLsn } from "../postgres/wal-marks.ts";

/** A node's process, as {@link Server} is one. */
export interface NodeProcess {
  readonly isRunning: boolean;
  /** SIGSTOP to it and all that descends from it; resolves when they stand still. */
  freeze(): Promise<void>;
  /** SIGSTOP to the postmaster alone. */
  freezePostmaster(): Promise<void>;
  /** Undoes either of the two. Does nothing when it does not run, or stands not still. */
  thaw(): Promise<void>;
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
    "node-frozen": (fault) => frozen(options, requireNode(options.estate, fault.node), "node"),
    "postmaster-frozen": (fault) => frozen(options, requireNode(options.estate, fault.node), "postmaster"),
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
    observeOff: (watch) => seeServing(options, node, watch),
  };
}

/** Many times what a server takes to answer, unless the machine is very busy; then a look finds silence too early. */
const silenceMs = 150;

/** A frozen server says nothing to anybody, a frozen postmaster nothing to who is new. */
function frozen(options: ProcessFaultsOptions, node: NodeName, what: "node" | "postmaster"): FaultProcedure {
  const { estate } = options;
  const server = options.processOf(node);
  let before: EstateConnection | undefined;
  return {
    async prepare() {
      before = await estate.connect(node);
    },
    inject: () => (what === "node" ? server.freeze() : server.freezePostmaster()),
    async observeOn(watch) {
      const connection = before;
      if (connection === undefined) throw new Error(`nobody watches ${node}`);
      let hasAnswered = true;
      let asking: Promise<unknown> = Promise.resolve();
      await watch.until(async (): Promise<Missing> => {
        if (hasAnswered) {
          hasAnswered = false;
          asking = connection.query("SELECT 1").then(() => (hasAnswered = true));
          // Whoever is frozen answers only with the heal, or never.
          asking.catch(() => {});
        }
        const greeting = await greet(estate.clock, estate.address(node), silenceMs);
        if (greeting !== "silent" && greeting !== "unconnected") return `a new connection is ${greeting}`;
        if (what === "node") return hasAnswered ? "an old connection still answers" : undefined;
        await asking;
        return undefined;
      });
    },
    heal: () => server.thaw(),
    observeOff: (watch) => seeServing(options, node, watch),
    async release() {
      // A goodbye would wait for who is frozen.
      before?.destroy();
      before = undefined;
    },
  };
}

/** It takes new connections, past the link and through it, and a replica has caught up. */
async function seeServing(options: ProcessFaultsOptions, node: NodeName, watch: Watch): Promise<void> {
  const { estate } = options;
  await using direct = await estate.connect(node);
  await direct.query("SELECT 1");
  await options.askThroughLink(node, watch.leftMs);
  await seeCaughtUp(estate, node, watch);
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
