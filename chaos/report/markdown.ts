/** The report as Markdown, for a comment on a change. Pure. */
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
import { budgetsInWords, policyInWords, worldInWords } from "./policy-in-words.ts";
import { printable } from "./printable.ts";
import type { RunReport, ScenarioResult } from "./report.ts";
import { markdownTable } from "./table.ts";

const HEADLINE: Readonly<Record<RunReport["status"], string>> = {
  pass: "every invariant held",
  fail: "an invariant fell",
  unknown: "it could not be judged",
};

export function markdownReport(report: RunReport): string {
  return [
    `### fairlead: ${HEADLINE[report.status]}`,
    "",
    `Subject ${codeSpan(report.subject)}, seed ${codeSpan(String(report.seed))}, ${duration(report.tookMs)}.`,
    "",
    ...figureTable(report.scenarios),
    ...checkTable(report.scenarios),
    ...report.scenarios.flatMap(failureSection),
    `- World: ${escaped(worldInWords(report.world))}`,
    `- Policy: ${escaped(policyInWords(report.policy))}`,
    `- Budgets: ${escaped(budgetsInWords(report.policy))}`,
    `- ${FIGURE_LEGEND}`,
    `- ${MARK_LEGEND.join(", ")}`,
    "",
  ].join("\n");
}

function figureTable(results: readonly ScenarioResult[]): string[] {
  const nodes = nodesOf(results);
  const shares = nodes.length === 0 ? "shares" : `shares (${nodes.join(" ")})`;
  return [
    markdownTable(
      ["scenario", "verdict", ...FIGURE_HEAD.slice(0, -1), escaped(shares)],
      results.map((result) => [
        escaped(result.scenario),
        STATUS_WORD[result.status],
        ...figureCells(result, nodes),
      ]),
    ),
    "",
  ];
}

function checkTable(results: readonly ScenarioResult[]): string[] {
  const checkers = checkersOf(results);
  if (checkers.length === 0) return [];
  return [
    markdownTable(
      ["scenario", ...checkers.map(escaped)],
      results.map((result) => [
        escaped(result.scenario),
        ...checkers.map((checker) => {
          const verdict = verdictOf(result, checker);
          return verdict === undefined ? "" : markOf(verdict);
        }),
      ]),
    ),
    "",
  ];
}

function failureSection(result: ScenarioResult): string[] {
  if (result.status === "pass") return [];
  const reason = ownReason(result);
  const said = result.verdicts
    .filter(({ status }) => status === "fail" || status === "unknown")
    .map((verdict) => `- ${markOf(verdict)} **${escaped(verdict.checker)}**: ${escaped(verdict.summary)}`);
  return [
    `#### ${escaped(result.scenario)}: ${STATUS_WORD[result.status]}`,
    "",
    ...(reason === undefined ? [] : [escaped(reason), ""]),
    ...(said.length === 0 ? [] : [...said, ""]),
    ...(result.proof.length === 0 ? [] : [...codeBlock(result.proof), ""]),
    ...(result.status === "skipped" ? [] : [`Again: ${codeSpan(result.reproduce)}`, ""]),
  ];
}

/** Foreign text that shows as it is: no table, emphasis, link or HTML comes of it. */
function escaped(text: string): string {
  return printable(text)
    .replaceAll(/[\\`*_[\]|]/g, String.raw`\$&`)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;");
}

/** Fenced by more backticks than it holds. */
function codeSpan(text: string): string {
  const line = printable(text);
  const fence = "`".repeat(longestRun(line) + 1);
  const padding = line.startsWith("`") || line.endsWith("`") ? " " : "";
  return `${fence}${padding}${line}${padding}${fence}`;
}

function codeBlock(lines: readonly string[]): string[] {
  const clean = lines.map((line) => (line.startsWith("  ") ? `  ${printable(line)}` : printable(line)));
  const fence = "`".repeat(Math.max(3, longestRun(clean.join("\n")) + 1));
  return [fence, ...clean, fence];
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
