/** The closing table, and what a failure needs to be understood: for people, in a terminal or a CI log. */
import { styleText } from "node:util";
import {
  FIGURE_HEAD,
  STATUS_WORD,
  VERDICT_MARK,
  checkersOf,
  duration,
  figureCells,
  nodesOf,
  verdictOf,
} from "./figures-in-words.ts";
import type { RunReport, ScenarioResult, ScenarioStatus } from "./report.ts";
import { alignColumns } from "./table.ts";

export interface TerminalOptions {
  readonly color: boolean;
}

export function terminalReport(report: RunReport, { color }: TerminalOptions): string[] {
  const nodes = nodesOf(report.scenarios);
  const checkers = checkersOf(report.scenarios);
  const figureRows = alignColumns([
    ["scenario", "verdict", "took", ...FIGURE_HEAD],
    ...report.scenarios.map((result) => [
      result.scenario,
      STATUS_WORD[result.status],
      duration(result.tookMs),
      ...figureCells(result, nodes),
    ]),
  ]);
  const checkRows = alignColumns([
    ["scenario", ...checkers],
    ...report.scenarios.map((result) => [
      result.scenario,
      ...checkers.map((checker) => {
        const verdict = verdictOf(result, checker);
        return verdict === undefined ? "" : VERDICT_MARK[verdict.status];
      }),
    ]),
  ]);
  const paint = (line: string, status: ScenarioStatus | undefined): string =>
    color && status !== undefined ? styleText(COLOR[status], line) : line;
  const statusAt = (i: number): ScenarioStatus | undefined => report.scenarios[i - 1]?.status;
  return [
    ...figureRows.map((line, i) => paint(line, statusAt(i))),
    `shares: ${nodes.join(" ")}`,
    "",
    ...checkRows.map((line, i) => paint(line, statusAt(i))),
    "✓ held   ✗ fell   ? could not be judged   – not claimed",
    ...report.scenarios.flatMap((result) => failureLines(result)),
    "",
    closingLine(report),
  ];
}

const COLOR = { pass: "green", fail: "red", unknown: "yellow", skipped: "gray" } as const;

function failureLines(result: ScenarioResult): string[] {
  if (result.status === "pass") return [];
  const said = result.verdicts
    .filter((verdict) => verdict.status === "fail" || verdict.status === "unknown")
    .map((verdict) => `  ${VERDICT_MARK[verdict.status]} ${verdict.checker}: ${verdict.summary}`);
  const reason = result.reason === undefined ? [] : [`  ${result.reason}`];
  if (result.status === "skipped") return ["", `${result.scenario}: skipped`, ...reason];
  return [
    "",
    `${result.scenario}: ${STATUS_WORD[result.status]} (seed ${result.seed})`,
    ...reason,
    ...said,
    ...result.proof.map((line) => `    ${line}`),
    `  again: ${result.reproduce}`,
  ];
}

function closingLine(report: RunReport): string {
  const count = (status: ScenarioStatus): number =>
    report.scenarios.filter((result) => result.status === status).length;
  const parts = (["pass", "fail", "unknown", "skipped"] as const)
    .filter((status) => count(status) > 0)
    .map((status) => `${count(status)} ${STATUS_WORD[status]}`);
  const judged = parts.length === 0 ? "nothing was judged" : parts.join(", ");
  return `${report.subject}: ${judged} in ${duration(report.tookMs)}, seed ${report.seed}`;
}
