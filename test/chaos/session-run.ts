/**
 * A model of sessions that are served in order: one log, replicas that have a prefix of it, and a router that sends a session
 * only to who has all that the session knows of. Nothing here is shared with the checkers.
 */
import type { Evidence } from "../../chaos/history/operation.ts";
import { formatLsn } from "../../src/routing/lsn.ts";
import { createPrng } from "../../src/runtime/prng.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import { HistoryBuilder } from "./history-builder.ts";

export interface SessionRun {
  readonly builder: HistoryBuilder;
  /** Everything that happened is over; each session has at least one write, and has read it, by then. */
  readonly endAt: number;
  /** Of session 0: its last write, and the newest heartbeat that the write's own statement and its last read saw. */
  readonly lastWrite: number;
  readonly heartbeatAtWrite: number;
  readonly heartbeatSeen: number;
}

const SESSIONS = 3;
const HEARTBEAT_MS = 20;
const NODES = ["primary", "replica-1", "replica-2"];

type Commit = { readonly at: number } & ({ readonly heartbeat: number } | { readonly write: number });

interface Session {
  /** How much of the log it knows of. */
  knows: number;
  write: number;
  heartbeatAtWrite: number;
  heartbeatSeen: number;
}

/** `tellsOwnWrites`: whether reads say that they saw the session's last write, as the workload's do. */
export function sessionRun(options: {
  readonly seed: number;
  readonly operations: number;
  readonly tellsOwnWrites: boolean;
}): SessionRun {
  const prng = createPrng(options.seed);
  const builder = new HistoryBuilder();
  const log: Commit[] = [];
  const lags = new Map(NODES.map((node) => [node, node === "primary" ? 0 : 1 + prng.integer(150)]));
  const sessions = Array.from({ length: SESSIONS }, newSession);
  let beats = 0;
  let at = 0;
  for (let i = 0; i < options.operations; i++) {
    // One after the other, so that the log's order is the order of these lines.
    at += 10;
    if (at % HEARTBEAT_MS === 0) {
      builder.heartbeat(++beats, at, { tookMs: 1 });
      log.push({ at: at + 1, heartbeat: beats });
    }
    const process = i % SESSIONS;
    const session = sessions[process] as Session;
    const isLast = i >= options.operations - 2 * SESSIONS;
    // Each ends with a write and a read of it.
    const writes = isLast ? i < options.operations - SESSIONS : prng.chance(4);
    if (writes) {
      const evidence: Evidence = {
        node: "primary",
        role: "primary",
        heartbeat: newestHeartbeat(log, log.length),
      };
      builder.write({ id: i + 1, at: at + 2, tookMs: 2, process, evidence: [evidence] });
      log.push({ at: at + 3, write: i + 1 });
      Object.assign(session, { knows: log.length, write: i + 1, heartbeatAtWrite: evidence.heartbeat });
      continue;
    }
    const node = servingNode(log, { at, knows: session.knows, lags, prng });
    const has = appliedAt(log, at + 4 - (lags.get(node) ?? 0));
    const evidence: Evidence = {
      node,
      role: node === "primary" ? "primary" : "replica",
      heartbeat: newestHeartbeat(log, has),
      // More may have been replayed between the snapshot and this.
      ...(node === "primary" ? {} : { replayLsn: formatLsn(100 * has + prng.integer(300)) }),
      ...(options.tellsOwnWrites && session.write > 0 ? { ownWrite: session.write } : {}),
    };
    builder.read({ at: at + 4, tookMs: 2, process, node, evidence: [evidence] });
    Object.assign(session, { knows: Math.max(session.knows, has), heartbeatSeen: evidence.heartbeat });
  }
  const { write, heartbeatAtWrite, heartbeatSeen } = sessions[0] as Session;
  return { builder, endAt: at + 100, lastWrite: write, heartbeatAtWrite, heartbeatSeen };
}

function newSession(): Session {
  return { knows: 0, write: 0, heartbeatAtWrite: 0, heartbeatSeen: 0 };
}

interface Asking {
  readonly at: number;
  readonly knows: number;
  readonly lags: ReadonlyMap<string, number>;
  readonly prng: Prng;
}

function servingNode(log: readonly Commit[], { at, knows, lags, prng }: Asking): string {
  const node = prng.pick(NODES);
  return appliedAt(log, at + 4 - (lags.get(node) ?? 0)) >= knows ? node : "primary";
}

/** How many commits of the log there were by then. */
function appliedAt(log: readonly Commit[], at: number): number {
  return log.reduce((count, commit) => (commit.at <= at ? count + 1 : count), 0);
}

function newestHeartbeat(log: readonly Commit[], count: number): number {
  let newest = 0;
  for (const commit of log.slice(0, count)) {
    if ("heartbeat" in commit) newest = commit.heartbeat;
  }
  return newest;
}
