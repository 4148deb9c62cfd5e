/**
 * The report as JUnit XML: one suite a scenario, one case a checker. `unknown` is an error, so that no CI takes it for a pass.
 * @see https://github.com/testmoapp/junitxml – the format as CI systems read it
 */
import type { Verdict } from "../checkers/checker.ts";
import { ownReason } from "./figures-in-words.ts";
import { budgetsInWords, policyInWords, worldInWords } from "./policy-in-words.ts";
import type { RunReport, ScenarioResult } from "./report.ts";

export function junitReport(report: RunReport): string {
  const cases = report.scenarios.map(casesOf);
  const count = (tag: string): number => cases.flat().filter((text) => text.includes(`<${tag}`)).length;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({
      name: "fairlead chaos",
      tests: cases.flat().length,
      failures: count("failure "),
      errors: count("error "),
      skipped: count("skipped "),
      time: seconds(report.tookMs),
      timestamp: report.startedAt.replace(/\.\d+Z$/, ""),
    })}>`,
    ...report.scenarios.map((result, i) => suiteOf(result, cases[i] as string[], report)),
    "</testsuites>",
    "",
  ].join("\n");
}

function suiteOf(result: ScenarioResult, cases: readonly string[], report: RunReport): string {
  const count = (tag: string): number => cases.filter((text) => text.includes(`<${tag} `)).length;
  return [
    `  <testsuite${attributes({
      name: result.scenario,
      tests: cases.length,
      failures: count("failure"),
      errors: count("error"),
      skipped: count("skipped"),
      time: seconds(result.tookMs),
    })}>`,
    "    <properties>",
    ...Object.entries(propertiesOf(result, report)).map(
      ([name, value]) => `      <property${attributes({ name, value })}/>`,
    ),
    "    </properties>",
    ...cases,
    "  </testsuite>",
  ].join("\n");
}

function propertiesOf(
  result: ScenarioResult,
  { subject, world, policy }: RunReport,
): Readonly<Record<string, string | number>> {
  return {
    seed: result.seed,
    reproduce: result.reproduce,
    subject,
    world: worldInWords(world),
    policy: policyInWords(policy),
    budgets: budgetsInWords(policy),
  };
}

function casesOf(result: ScenarioResult): string[] {
  if (result.status === "skipped")
    return [caseOf(result, "scenario", tag("skipped", result.reason ?? "", ""))];
  const verdicts = result.verdicts.map((verdict) => verdictCase(result, verdict));
  const says = result.verdicts.some(
    ({ status, informational }) => informational !== true && (status === "fail" || status === "unknown"),
  );
  const reason =
    ownReason(result) ?? (says || result.status === "pass" ? undefined : "it could not be judged");
  if (reason === undefined) return verdicts;
  return [...verdicts, caseOf(result, "scenario", tag("error", reason, `again: ${result.reproduce}`))];
}

function verdictCase(result: ScenarioResult, { checker, status, summary, informational }: Verdict): string {
  const details = [...result.proof, `again: ${result.reproduce}`].join("\n");
  if (informational === true && status !== "pass")
    return caseOf(result, checker, tag("skipped", summary, ""));
  switch (status) {
    case "pass":
      return caseOf(result, checker, "");
    case "fail":
      return caseOf(result, checker, tag("failure", summary, details));
    case "unknown":
      return caseOf(result, checker, tag("error", summary, details));
    case "not-claimed":
      return caseOf(result, checker, tag("skipped", "not claimed by the subject", ""));
  }
}

function caseOf(result: ScenarioResult, name: string, inner: string): string {
  const open = `    <testcase${attributes({ classname: result.scenario, name, time: 0 })}`;
  return inner === "" ? `${open}/>` : `${open}>\n${inner}\n    </testcase>`;
}

function tag(name: string, message: string, text: string): string {
  return `      <${name}${attributes({ message })}>${escapeXml(text)}</${name}>`;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value))}"`)
    .join("");
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\n": "&#10;",
};

/** Characters that XML 1.0 cannot hold are left out. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, "")
    .replaceAll(/[&<>"'\n]/g, (character) => ESCAPES[character] as string);
}
