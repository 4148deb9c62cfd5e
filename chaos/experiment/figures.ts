/** The figures of the closing table, from the history alone. Pure. */
import { faultTarget } from "../faults/fault.ts";
import { faultWindows } from "../history/fault-windows.ts";
import type { FaultWindow } from "../history/fault-windows.ts";
import type { Completion, History, Invoke, RouterEvent, Testimony } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import type { FaultReport, ScenarioFigures } from "../report/report.ts";

export interface Measured {
  readonly history: History;
  /** The measured part: warm-up and tear-down lie outside. */
  readonly from: number;
  readonly until: number;
}

export function figuresOf({ history, from, until }: Measured): ScenarioFigures {
  const reads = { all: 0, failed: 0, longestMs: 0, worstStalenessMs: 0 };
  const transactions = { all: 0, failed: 0 };
  const writes = { all: 0, failed: 0 };
  const answeredBy = new Map<string, number>();
  const heartbeats = acknowledgedHeartbeats(history);
  forEachOperation(history, (invoke, completion) => {
    if (completion === undefined || invoke.at < from || invoke.at > until) return;
    const failed = completion.type === "ok" ? 0 : 1;
    if (invoke.f === "write") {
      writes.all += 1;
      writes.failed += failed;
    } else if (invoke.f !== "heartbeat") {
      const counted = invoke.f === "read" ? reads : transactions;
      counted.all += 1;
      counted.failed += failed;
      reads.longestMs = Math.max(reads.longestMs, completion.at - invoke.at);
      reads.worstStalenessMs = Math.max(reads.worstStalenessMs, stalenessMs(invoke, completion, heartbeats));
      const node = completion.evidence?.[0]?.node;
      if (node !== undefined) answeredBy.set(node, (answeredBy.get(node) ?? 0) + 1);
    }
  });
  const windows = faultWindows(history);
  const events = history.filter((entry) => entry.type === "testimony");
  const detectionMs = worst(windows.map((window) => detectionOf(window, events)));
  const recoveryMs = worst(windows.map((window) => recoveryOf(window, events)));
  return {
    reads: reads.all,
    failedReads: reads.failed,
    transactions: transactions.all,
    failedTransactions: transactions.failed,
    writes: writes.all,
    failedWrites: writes.failed,
    dropped: history.filter((entry) => entry.type === "dropped" && entry.at >= from && entry.at <= until)
      .length,
    longestStallMs: rounded(reads.longestMs),
    ...(detectionMs === undefined ? {} : { detectionMs: rounded(detectionMs) }),
    ...(recoveryMs === undefined ? {} : { recoveryMs: rounded(recoveryMs) }),
    worstStalenessMs: rounded(reads.worstStalenessMs),
    shares: sharesOf(answeredBy),
  };
}

/** What the nemesis did, in the order in which it began. */
export function faultReports(history: History, describe: (window: FaultWindow) => string): FaultReport[] {
  return faultWindows(history).map((window) => {
    const inject = history.find(
      (entry) => entry.type === "nemesis" && entry.phase === "inject" && entry.faultId === window.faultId,
    );
    const heal = history.find(
      (entry) => entry.type === "nemesis" && entry.phase === "heal" && entry.faultId === window.faultId,
    );
    return {
      fault: describe(window),
      injectBegunAtMs: rounded(window.possibly.from),
      injectObservedAtMs: inject?.type === "nemesis" ? roundedOrNull(inject.observedAt) : null,
      healBegunAtMs: heal?.type === "nemesis" ? rounded(heal.begunAt) : null,
      healObservedAtMs: heal?.type === "nemesis" ? roundedOrNull(heal.observedAt) : null,
    };
  });
}

type Beats = readonly { readonly number: number; readonly acknowledgedAt: number }[];

function acknowledgedHeartbeats(history: History): Beats {
  const beats: { number: number; acknowledgedAt: number }[] = [];
  forEachOperation(history, (invoke, completion) => {
    if (invoke.f === "heartbeat" && invoke.id !== undefined && completion?.type === "ok") {
      beats.push({ number: invoke.id, acknowledgedAt: completion.at });
    }
  });
  return beats.sort((a, b) => a.number - b.number);
}

/** For how long, at least, what the read did not see had been acknowledged when it began. */
function stalenessMs(invoke: Invoke, completion: Completion, beats: Beats): number {
  let worstMs = 0;
  for (const { heartbeat } of completion.evidence ?? []) {
    const next = firstAbove(beats, heartbeat);
    if (next !== undefined) worstMs = Math.max(worstMs, invoke.at - next.acknowledgedAt);
  }
  return worstMs;
}

function firstAbove(beats: Beats, number: number): Beats[number] | undefined {
  let low = 0;
  let high = beats.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((beats[middle] as Beats[number]).number <= number) low = middle + 1;
    else high = middle;
  }
  return beats[low];
}

/** From the beginning of the injection, because a router may be faster than the observer, to its having left what was hit. */
function detectionOf(
  { fault, certainly, possibly }: FaultWindow,
  events: readonly Testimony[],
): number | undefined {
  if (certainly === undefined) return undefined;
  const node = nodeOf(faultTarget(fault));
  const found = events.find(
    ({ event, at }) =>
      at >= possibly.from && at <= possibly.to && isAbout(event, node, ["evicted", "primary-down"]),
  );
  return found === undefined ? undefined : found.at - possibly.from;
}

/** From the heal being observed to the full share. */
function recoveryOf(
  { fault, possibly, healing }: FaultWindow,
  events: readonly Testimony[],
): number | undefined {
  if (healing === undefined || !Number.isFinite(possibly.to)) return undefined;
  const node = nodeOf(faultTarget(fault));
  const left = events.some(
    ({ event, at }) =>
      at >= possibly.from && at <= possibly.to && isAbout(event, node, ["evicted", "primary-down"]),
  );
  if (!left) return undefined;
  const back = events.find(
    ({ event, at }) => at >= healing.from && isAbout(event, node, ["restored", "primary-up"]),
  );
  return back === undefined ? undefined : Math.max(0, back.at - healing.to);
}

function nodeOf(target: string): string {
  return target.slice(target.indexOf(":") + 1);
}

function isAbout(event: RouterEvent, node: string, kinds: readonly RouterEvent["kind"][]): boolean {
  return kinds.includes(event.kind) && "node" in event && event.node === node;
}

function worst(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function sharesOf(counts: ReadonlyMap<string, number>): Record<string, number> {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([node, count]) => [node, count / all]));
}

/** A tenth of a millisecond is more than the clocks agree on. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function roundedOrNull(ms: number | null): number | null {
  return ms === null ? null : rounded(ms);
}
