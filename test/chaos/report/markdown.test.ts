import { describe, expect, test } from "vitest";
import { markdownReport } from "../../../chaos/report/markdown.ts";
import { NASTY, fell, smallReport } from "./small-report.ts";

/** The cells of a row as GitHub reads it: a pipe with a backslash before it is none. */
function cellsOf(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

function tablesOf(markdown: string): string[][] {
  return markdown
    .split("\n\n")
    .map((block) => block.split("\n"))
    .filter(([first]) => first?.startsWith("| ") === true);
}

describe("the Markdown report", () => {
  const markdown = markdownReport(smallReport);

  test("is this for a small report", () => {
    expect(markdown.split("\n").slice(0, 19)).toEqual([
      "### fairlead: an invariant fell",
      "",
      "Subject `fairlead`, seed `7`, 65.24 s.",
      "",
      "| scenario | verdict | failed reads | transactions | writes | stall | detected | recovered | stalest | shares (primary replica-1) |",
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
      "| baseline | held | 0 of 249 | 0 of 20 | 0 of 60 | 12 ms |  |  | 0 ms | 25% 75% |",
      "| replica-killed | FELL | 3 of 100 | 1 of 20 | 1 of 20 | 1.23 s | 412 ms | 1.10 s | 300 ms | 0% 100% |",
      "| replay-paused | unknown |  |  |  |  |  |  |  |  |",
      "| promotion | skipped |  |  |  |  |  |  |  |  |",
      "",
      "| scenario | availability | no-leak |",
      "| --- | --- | --- |",
      "| baseline | ✓ | ✓ |",
      "| replica-killed | ✗ | – |",
      "| replay-paused |  |  |",
      "| promotion |  |  |",
      "",
      "#### replica-killed: FELL",
    ]);
  });

  test("has as many cells in every row as in the head, whatever the names hold", () => {
    const odd = {
      ...fell,
      scenario: "a|b\\|c\nd",
      verdicts: fell.verdicts.map((one) => ({ ...one, checker: "x|y" })),
    };
    for (const text of [markdown, markdownReport({ ...smallReport, scenarios: [odd] })]) {
      const tables = tablesOf(text);
      expect(tables).toHaveLength(2);
      for (const [head = "", ...rows] of tables) {
        expect(rows.map((row) => cellsOf(row).length)).toEqual(rows.map(() => cellsOf(head).length));
      }
    }
  });

  test("lets no HTML, emphasis or link come of foreign text", () => {
    const line = markdown.split("\n").find((one) => one.startsWith("- ✗"));
    expect(line).toBe(
      "- ✗ **availability**: a \\| b &lt;script>&amp;amp; \"x\" 'y' \\`z\\` \\*s\\* \\[l\\](u) second red \\]\\]> �",
    );
    expect(markdown).not.toContain(NASTY);
  });

  test("fences the proof by more backticks than it holds", () => {
    const lines = markdown.split("\n");
    const fences = lines.flatMap((line, index) => (line === "````" ? [index] : []));
    expect(fences).toHaveLength(2);
    expect(lines.slice(fences[0] as number, fences[1]).join("\n")).toContain("``` fence");
    expect(markdown).toContain(
      "Again: ``npx fairlead chaos replica-killed --seed 7 --subject 'my `router`.ts'``",
    );
  });

  test("says under what it ran", () => {
    expect(markdown).toContain(
      "- World: embedded: PostgreSQL 18.4, primary and 3 replicas, Toxiproxy 2.12.0 (built-in), Node 24.0.0, up in 1.40 s\n",
    );
    expect(markdown).toContain(
      "- Budgets: down within 800 ms, data at most 1.40 s old, back within 1.40 s, no read stalls beyond 1.05 s\n",
    );
  });

  test("has no table of checks when nothing was checked", () => {
    const text = markdownReport({ ...smallReport, scenarios: smallReport.scenarios.slice(2) });
    expect(tablesOf(text)).toHaveLength(1);
  });
});
