/** The report as Markdown, for a comment on a change. */
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
import type { RunReport, ScenarioResult } from "./report.ts";
import { markdownTable } from "./table.ts";

const HEADLINE: Readonly<Record<RunReport["status"], string>> = {
  pass: "every invariant held",
  fail: "an invariant fell",
  unknown: "it could not be judged",
};

export function markdownReport(report: RunReport): string {
  const nodes = nodesOf(report.scenarios);
  const checkers = checkersOf(report.scenarios);
  return [
    `### fairlead: ${HEADLINE[report.status]}`,
    "",
    `Subject \`${report.subject}\`, world ${report.world.kind}, seed \`${report.seed}\`, ${duration(report.tookMs)}.`,
    "",
    markdownTable(
      ["scenario", "verdict", ...FIGURE_HEAD.slice(0, -1), `shares (${nodes.join(" ")})`],
      report.scenarios.map((result) => [
        result.scenario,
        STATUS_WORD[result.status],
        ...figureCells(result, nodes),
      ]),
    ),
    "",
    markdownTable(
      ["scenario", ...checkers],
      report.scenarios.map((result) => [
        result.scenario,
        ...checkers.map((checker) => {
          const verdict = verdictOf(result, checker);
          return verdict === undefined ? "" : VERDICT_MARK[verdict.status];
        }),
      ]),
    ),
    "",
    ...report.scenarios.flatMap(failureSection),
  ].join("\n");
}

function failureSection(result: ScenarioResult): string[] {
  if (result.status === "pass") return [];
  const said = result.verdicts
    .filter(({ status }) => status === "fail" || status === "unknown")
    .map((verdict) => `- ${VERDICT_MARK[verdict.status]} **${verdict.checker}**: ${verdict.summary}`);
  const proof = result.proof.length === 0 ? [] : ["", "```", ...result.proof, "```"];
  const again = result.status === "skipped" ? [] : ["", `Again: \`${result.reproduce}\``];
  return [
    `#### ${result.scenario}: ${STATUS_WORD[result.status]}`,
    "",
    ...(result.reason === undefined ? [] : [result.reason, ""]),
    ...said,
    ...proof,
    ...again,
    "",
  ];
}
