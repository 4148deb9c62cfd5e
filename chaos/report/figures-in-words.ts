/** A scenario's figures as short words, the same in every format. Pure. */
import type { Verdict, VerdictStatus } from "../checkers/checker.ts";
import type { ScenarioResult, ScenarioStatus } from "./report.ts";

export const STATUS_WORD: Readonly<Record<ScenarioStatus, string>> = {
  pass: "held",
  fail: "FELL",
  unknown: "unknown",
  skipped: "skipped",
};

const VERDICT_MARK: Readonly<Record<VerdictStatus, string>> = {
  pass: "✓",
  fail: "✗",
  unknown: "?",
  "not-claimed": "–",
};

export const FIGURE_HEAD: readonly string[] = [
  "failed reads",
  "transactions",
  "writes",
  "stall",
  "detected",
  "recovered",
  "stalest",
  "shares",
];

/** What the columns of {@link FIGURE_HEAD} mean, for a line below the table. */
export const FIGURE_LEGEND: string =
  "reads, transactions (read-only), writes: failed of asked; stall: the slowest read or transaction; detected: from the fault's beginning to its eviction; recovered: from the observed heal to " +
  "the full share; stalest: the oldest data read";

/** One cell a column of {@link FIGURE_HEAD}; empty where nothing was measured. */
export function figureCells(result: ScenarioResult, order: readonly string[]): string[] {
  const { figures } = result;
  if (figures === undefined || figures.reads + figures.writes === 0) return FIGURE_HEAD.map(() => "");
  return [
    `${figures.failedReads} of ${figures.reads}`,
    `${figures.failedTransactions} of ${figures.transactions}`,
    `${figures.failedWrites} of ${figures.writes}`,
    duration(figures.longestStallMs),
    duration(figures.detectionMs),
    duration(figures.recoveryMs),
    duration(figures.worstStalenessMs),
    order.map((node) => percent(figures.shares[node] ?? 0)).join(" "),
  ];
}

/** `12 ms`, `1 s`, `1.40 s`, `2 min 5 s` */
export function duration(ms: number | undefined): string {
  if (ms === undefined) return "";
  const rounded = Math.round(ms);
  if (rounded < 1000) return `${rounded} ms`;
  if (rounded < 100_000)
    return rounded % 1000 === 0 ? `${rounded / 1000} s` : `${(rounded / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? "" : ` ${seconds % 60} s`}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** The nodes that answered anything, the primary first. */
export function nodesOf(results: readonly ScenarioResult[]): string[] {
  const names = new Set(results.flatMap((result) => Object.keys(result.figures?.shares ?? {})));
  return [...names].sort((a, b) => (a === "primary" ? -1 : b === "primary" ? 1 : a.localeCompare(b)));
}

/** The checkers that spoke in any scenario, in the order in which they first did. */
export function checkersOf(results: readonly ScenarioResult[]): string[] {
  return [...new Set(results.flatMap((result) => result.verdicts.map((verdict) => verdict.checker)))];
}

/** `✓`, or `(✗)` for what is told for information only. */
export function markOf({ status, informational }: Verdict): string {
  return informational === true ? `(${VERDICT_MARK[status]})` : VERDICT_MARK[status];
}

export const MARK_LEGEND: readonly string[] = [
  "✓ held",
  "✗ fell",
  "? could not be judged",
  "– not claimed",
  "( ) for information",
];

export function verdictOf(result: ScenarioResult, checker: string): Verdict | undefined {
  return result.verdicts.find((verdict) => verdict.checker === checker);
}

/** Why a scenario could not be judged, unless one of its verdicts says the same. */
export function ownReason({ reason, verdicts }: ScenarioResult): string | undefined {
  const isSaid = verdicts.some(({ checker, summary }) => reason === `${checker}: ${summary}`);
  return isSaid ? undefined : reason;
}
