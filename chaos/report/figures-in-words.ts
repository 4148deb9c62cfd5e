/** A scenario's figures as short words, the same in every format. */
import type { Verdict, VerdictStatus } from "../checkers/checker.ts";
import type { ScenarioResult, ScenarioStatus } from "./report.ts";

export const STATUS_WORD: Readonly<Record<ScenarioStatus, string>> = {
  pass: "held",
  fail: "FELL",
  unknown: "unknown",
  skipped: "skipped",
};

export const VERDICT_MARK: Readonly<Record<VerdictStatus, string>> = {
  pass: "✓",
  fail: "✗",
  unknown: "?",
  "not-claimed": "–",
};

export const FIGURE_HEAD: readonly string[] = [
  "failed reads",
  "stall",
  "detected",
  "recovered",
  "stalest",
  "shares",
];

/** One cell a column of {@link FIGURE_HEAD}. */
export function figureCells(result: ScenarioResult, order: readonly string[]): string[] {
  const { figures } = result;
  if (figures === undefined) return FIGURE_HEAD.map(() => "");
  return [
    `${figures.failedReads} of ${figures.reads}`,
    duration(figures.longestStallMs),
    duration(figures.detectionMs),
    duration(figures.recoveryMs),
    duration(figures.worstStalenessMs),
    order.map((node) => percent(figures.shares[node] ?? 0)).join(" "),
  ];
}

export function duration(ms: number | undefined): string {
  if (ms === undefined) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
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

export function verdictOf(result: ScenarioResult, checker: string): Verdict | undefined {
  return result.verdicts.find((verdict) => verdict.checker === checker);
}
