/** The closing tables, and what a failure needs to be understood: for people, in a terminal or a CI log. Pure. */
import { styleText } from "node:util";
import {
  FIGURE_HEAD,
  FIGURE_LEGEND,
  MARK_LEGEND,
  STATUS_WORD,
  checkersOf,
  duration,
  figureCells,
  markOf,
  nodesOf,
  ownReason,
  verdictOf,
} from "./figures-in-words.ts";
import { printable } from "./printable.ts";
import type { RunReport, ScenarioResult, ScenarioStatus } from "./report.ts";
import { alignColumns, wrapWords } from "./table.ts";

export interface TerminalOptions {
  readonly color: boolean;
  /** Where lines must break; absent where they may be as long as they are, as in a log. */
  readonly columns?: number | undefined;
}

export const STATUS_COLOR = { pass: "green", fail: "red", unknown: "yellow", skipped: "gray" } as const;

export function terminalReport(report: RunReport, options: TerminalOptions): string[] {
  return [
    ...figureLines(report, options),
    ...checkLines(report, options),
    ...report.scenarios.flatMap((result) => failureLines(result, options)),
    "",
    closingLine(report),
  ];
}

function figureLines({ scenarios }: RunReport, options: TerminalOptions): string[] {
  const nodes = nodesOf(scenarios);
  const head = ["scenario", "verdict", "took", ...FIGURE_HEAD];
  const rows = scenarios.map((result) => [
    result.scenario,
    STATUS_WORD[result.status],
    duration(result.tookMs),
    ...figureCells(result, nodes),
  ]);
  const legend =
    nodes.length === 0 ? [] : [...wrapped(FIGURE_LEGEND, options), `shares of reads: ${nodes.join(" ")}`];
  const table = alignColumns([head, ...rows]);
  if (fits(table, options)) return [...painted(table, scenarios, options), ...legend];
  const records = rows.map(([scenario = "", verdict = "", ...cells], i) => {
    const named = cells.map((cell, column) => (cell === "" ? "" : `${head[column + 2]} ${cell}`));
    const words = [`${scenario}: ${verdict}`, ...named.filter((word) => word !== "")];
    return paint(scenarios[i]?.status, options, wrapWords(words, { ...wrapping(options), separator: ", " }));
  });
  return [...records.flat(), ...legend];
}

function checkLines({ scenarios }: RunReport, options: TerminalOptions): string[] {
  const checkers = checkersOf(scenarios);
  if (checkers.length === 0) return [];
  const rows = scenarios.map((result) => [
    result.scenario,
    ...checkers.map((checker) => cellOf(result, checker)),
  ]);
  const table = alignColumns([["scenario", ...checkers], ...rows]);
  const legend = wrapWords(MARK_LEGEND, { ...wrapping(options), indent: "", separator: "   " });
  if (fits(table, options)) return ["", ...painted(table, scenarios, options), ...legend];
  const records = scenarios.map((result) => {
    const words = result.verdicts.map((verdict) => `${markOf(verdict)} ${verdict.checker}`);
    return paint(result.status, options, wrapWords([`${result.scenario}:`, ...words], wrapping(options)));
  });
  return ["", ...records.flat(), ...legend];
}

function cellOf(result: ScenarioResult, checker: string): string {
  const verdict = verdictOf(result, checker);
  return verdict === undefined ? "" : markOf(verdict);
}

function failureLines(result: ScenarioResult, options: TerminalOptions): string[] {
  if (result.status === "pass") return [];
  const reason = ownReason(result);
  const reasons = reason === undefined ? [] : [reason];
  const said = result.verdicts
    .filter((verdict) => verdict.status === "fail" || verdict.status === "unknown")
    .map((verdict) => `${markOf(verdict)} ${verdict.checker}: ${verdict.summary}`);
  const isSkipped = result.status === "skipped";
  return [
    "",
    ...paint(result.status, options, [`${result.scenario}: ${STATUS_WORD[result.status]}`]),
    ...[...reasons, ...said].flatMap((line) => wrapped(printable(line), options, "  ")),
    ...result.proof.map((line) => `    ${printable(line)}`),
    // Not broken, so that it can be copied.
    ...(isSkipped ? [] : [`  again: ${printable(result.reproduce)}`]),
  ];
}

function closingLine(report: RunReport): string {
  const count = (status: ScenarioStatus): number =>
    report.scenarios.filter((result) => result.status === status).length;
  const parts = (["pass", "fail", "unknown", "skipped"] as const)
    .filter((status) => count(status) > 0)
    .map((status) => `${count(status)} ${STATUS_WORD[status]}`);
  const judged = parts.length === 0 ? "nothing was judged" : parts.join(", ");
  return `${printable(report.subject)}: ${judged} in ${duration(report.tookMs)}, seed ${report.seed}`;
}

function fits(lines: readonly string[], { columns = Infinity }: TerminalOptions): boolean {
  return lines.every((line) => line.length <= columns);
}

/** A table's lines below its head, each in the colour of its scenario. */
function painted(
  table: readonly string[],
  scenarios: readonly ScenarioResult[],
  options: TerminalOptions,
): string[] {
  return table.flatMap((line, i) => paint(scenarios[i - 1]?.status, options, [line]));
}

function paint(
  status: ScenarioStatus | undefined,
  { color }: TerminalOptions,
  lines: readonly string[],
): string[] {
  if (!color || status === undefined) return [...lines];
  return lines.map((line) => styleText(STATUS_COLOR[status], line, { validateStream: false }));
}

function wrapped(text: string, options: TerminalOptions, indent = ""): string[] {
  const { width } = wrapping(options);
  return wrapWords(text.split(" "), { width: width - indent.length, indent: "" }).map(
    (line) => indent + line,
  );
}

function wrapping({ columns = Infinity }: TerminalOptions): { width: number; indent: string } {
  return { width: columns, indent: "    " };
}
