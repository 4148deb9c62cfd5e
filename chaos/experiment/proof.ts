/** The operations that prove a failure, one line each, for people. Pure. */
import type { Verdict } from "../checkers/checker.ts";
import { describeFault } from "../faults/fault.ts";
import type { Completion, Evidence, History, HistoryEntry, RouterEvent } from "../history/operation.ts";

/** For each verdict that fell: its sentence, then its operations. */
export function proofLines(history: History, verdicts: readonly Verdict[]): string[] {
  return verdicts
    .filter(({ status }) => status === "fail")
    .flatMap(({ checker, summary, proof }) => [
      `${checker}: ${summary}`,
      ...proof.map((index) => {
        const entry = history[index];
        return entry === undefined
          ? `  #${index} is not in the history`
          : `  ${describeEntry(entry, history)}`;
      }),
    ]);
}

/** `#42 +1.234 s session 7 read ok after 12.1 ms: replica-2 (replica) heartbeat 14` */
export function describeEntry(entry: HistoryEntry, history: History): string {
  switch (entry.type) {
    case "invoke":
      return `${head(entry, entry.at)} session ${entry.process} asks ${named(entry)}`;
    case "ok":
    case "fail":
    case "info":
      return `${head(entry, entry.at)} session ${entry.process} ${named(entry)} ${answer(entry, history)}`;
    case "nemesis": {
      const seen = entry.observedAt === null ? "never observed" : `observed at ${seconds(entry.observedAt)}`;
      return `${head(entry, entry.begunAt)} nemesis ${entry.phase} ${describeFault(entry.fault)}, ${seen}`;
    }
    case "quiet":
      return `${head(entry, entry.at)} writers ${entry.on ? "are quiet" : "go on"}`;
    case "testimony":
      return `${head(entry, entry.at)} router says ${testimony(entry.event)}`;
    case "resources": {
      const counts = Object.entries(entry.serverConnections).map(([node, count]) => ` ${node}=${count}`);
      const handles = Object.entries(entry.handles ?? {}).map(([kind, count]) => ` ${kind}=${count}`);
      return `${head(entry, entry.at)} resources ${entry.phase}:${counts.join("")}${handles.length === 0 ? "" : `; handles:${handles.join("")}`}`;
    }
    case "final":
      return `${head(entry, entry.at)} last look: ${entry.writes.length} writes on the primary, ${entry.elsewhere.length} only elsewhere`;
    case "dropped":
      return `${head(entry, entry.at)} ${entry.f} dropped: every session was busy`;
  }
}

function head({ index }: HistoryEntry, atMs: number): string {
  return `#${index} ${seconds(atMs)}`;
}

function seconds(ms: number): string {
  return `+${(ms / 1000).toFixed(3)} s`;
}

function named({ f, id }: { readonly f: string; readonly id?: number }): string {
  return id === undefined ? f : `${f} ${id}`;
}

function answer(completion: Completion, history: History): string {
  const invoke = history[completion.invoke];
  const took = invoke?.type === "invoke" ? ` after ${(completion.at - invoke.at).toFixed(1)} ms` : "";
  const error =
    completion.error === undefined ? [] : [`${completion.error.code} ${completion.error.message}`];
  const told = [...(completion.evidence ?? []).map(evidence), ...error];
  return `${completion.type}${took}${told.length === 0 ? "" : `: ${told.join("; ")}`}`;
}

function evidence({ node, role, heartbeat, replayLsn }: Evidence): string {
  return `${node} (${role}) heartbeat ${heartbeat}${replayLsn === undefined ? "" : ` replay ${replayLsn}`}`;
}

function testimony(event: RouterEvent): string {
  const { kind, ...details } = event;
  if (event.kind === "epoch-picks") return `${kind}: ${event.picks.length} picks in epoch ${event.epoch}`;
  return Object.keys(details).length === 0 ? kind : `${kind} ${JSON.stringify(details)}`;
}
