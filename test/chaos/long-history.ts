/** A legal history of any length, made without sorting, for measuring what the checkers cost. */
import type { History, HistoryEntry } from "../../chaos/history/operation.ts";

const NODES = ["replica-1", "replica-2", "replica-3"] as const;

/** One operation every 5 ms: nine reads, then a write; a heartbeat every 20; a fault of replica-1 every 1,000. */
export function longHistory(operations: number): History {
  const history: HistoryEntry[] = [];
  const writes: [number, number][] = [];
  const picks: string[] = [];
  const push = (entry: HistoryEntry): void => void history.push(entry);
  push({ type: "testimony", index: 0, at: 0, event: { kind: "epoch", epoch: 1, weights: weights() } });
  for (const node of NODES) {
    push({ type: "testimony", index: history.length, at: 0, event: { kind: "joined", node } });
  }
  let heartbeat = 0;
  for (let i = 0; i < operations; i++) {
    const at = i * 5;
    const isHeartbeat = i % 20 === 0;
    const isWrite = !isHeartbeat && i % 10 === 9;
    const f = isHeartbeat ? "heartbeat" : isWrite ? "write" : "read";
    const process = isHeartbeat ? 999 : i % 32;
    const id = isHeartbeat ? ++heartbeat : isWrite ? i : undefined;
    const named = id === undefined ? {} : { id };
    if (i % 1_000 === 500) pushFault(history, at, i);
    const invoke = history.length;
    push({ type: "invoke", index: invoke, process, f, at, intendedAt: at, ...named });
    const answered = { type: "ok", index: invoke + 1, process, f, at: at + 2, invoke, ...named } as const;
    if (f === "read") {
      const node = NODES[picks.length % 3] as string;
      picks.push(node);
      push({
        ...answered,
        evidence: [{ node, role: "replica", replayLsn: "0/3000060", heartbeat, backend: 7, ownWrite: i }],
      });
    } else {
      push({ ...answered, evidence: [{ node: "primary", role: "primary", heartbeat }] });
      if (isWrite) writes.push([i, 1]);
    }
  }
  const at = operations * 5;
  push({
    type: "testimony",
    index: history.length,
    at,
    event: { kind: "epoch-picks", epoch: 1, picks, apart: 0 },
  });
  push({ type: "final", index: history.length, at, writes, elsewhere: [] });
  const serverConnections = { primary: 0, "replica-1": 0, "replica-2": 0, "replica-3": 0 };
  push({ type: "resources", index: history.length, at, phase: "after-end", serverConnections });
  return history;
}

function weights(): Record<string, number> {
  return Object.fromEntries(NODES.map((node) => [node, 1]));
}

/** Too short to matter, so that the history stays legal while every lookup has windows to search. */
function pushFault(history: HistoryEntry[], at: number, faultId: number): void {
  const fault = { kind: "replay-paused", node: "replica-1" } as const;
  const index = history.length;
  history.push(
    { type: "nemesis", index, phase: "inject", fault, faultId, begunAt: at - 4, observedAt: at - 3 },
    { type: "nemesis", index: index + 1, phase: "heal", fault, faultId, begunAt: at - 2, observedAt: at - 1 },
  );
}
