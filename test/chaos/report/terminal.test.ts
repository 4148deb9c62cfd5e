import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { terminalReport } from "../../../chaos/report/terminal.ts";
import { held, smallReport, unjudged } from "./small-report.ts";

describe("the closing tables", () => {
  test("are these for a small report", () => {
    expect(terminalReport(smallReport, { color: false })).toEqual([
      "scenario        verdict  took    failed reads  transactions  writes   stall   detected  recovered  stalest  shares",
      "baseline        held     2.94 s  0 of 249      0 of 20       0 of 60  12 ms                        0 ms     25% 75%",
      "replica-killed  FELL     61 s    3 of 100      1 of 20       1 of 20  1.23 s  412 ms    1.10 s     300 ms   0% 100%",
      "replay-paused   unknown  300 ms",
      "promotion       skipped  0 ms",
      "reads, transactions (read-only), writes: failed of asked; stall: the slowest read or transaction; detected: from the fault's beginning to its eviction; recovered: from the observed heal to the full share; stalest: the oldest data read",
      "shares of reads: primary replica-1",
      "",
      "scenario        availability  no-leak",
      "baseline        ✓             ✓",
      "replica-killed  ✗             –",
      "replay-paused",
      "promotion",
      "✓ held   ✗ fell   ? could not be judged   – not claimed   ( ) for information",
      "",
      "replica-killed: FELL",
      "  the subject did not close",
      "  ✗ availability: a | b <script>&amp; \"x\" 'y' `z` *s* [l](u) second red ]]> �",
      "    availability: a | b <script>&amp; \"x\" 'y' `z` *s* [l](u) second red ]]> �",
      "    #42 +1.234 s session 7 read fail ``` fence",
      "  again: npx fairlead chaos replica-killed --seed 7 --subject 'my `router`.ts'",
      "",
      "replay-paused: unknown",
      "  the subject did not connect: no",
      "  again: npx fairlead chaos replay-paused --seed 7",
      "",
      "promotion: skipped",
      "  this world (external) cannot do: promote",
      "",
      "fairlead: 1 held, 1 FELL, 1 unknown, 1 skipped in 65.24 s, seed 7",
    ]);
  });

  test.each([40, 60, 80, 104])("keep within %i columns, except for proof and commands to copy", (columns) => {
    const lines = terminalReport(smallReport, { color: false, columns });
    const breakable = lines.filter((line) => !/^ {4}(?:availability|#42)|again:/.test(line));
    expect(breakable.filter((line) => line.length > columns && !line.startsWith("fairlead: "))).toEqual([]);
    expect(lines.join(" ").replaceAll(/\s+/g, " ")).toContain("3 of 100");
  });

  test("are coloured only where that was asked for, and lose nothing by it", () => {
    const plain = terminalReport(smallReport, { color: false });
    const colored = terminalReport(smallReport, { color: true });
    expect(plain.join("\n")).not.toContain("\u001B");
    expect(colored.join("\n")).toContain("\u001B[31m");
    expect(colored.map(stripVTControlCharacters)).toEqual(plain);
  });

  test("leave out what there is nothing to say of", () => {
    const lines = terminalReport({ ...smallReport, scenarios: [unjudged] }, { color: false });
    expect(lines.slice(0, 3)).toEqual([
      "scenario       verdict  took    failed reads  transactions  writes  stall  detected  recovered  stalest  shares",
      "replay-paused  unknown  300 ms",
      "",
    ]);
    expect(lines.join("\n")).not.toContain("not claimed");
  });

  test("do not say a doubt twice", () => {
    const verdicts = [
      {
        ...(held.verdicts[0] as (typeof held.verdicts)[0]),
        status: "unknown" as const,
        summary: "who knows",
      },
    ];
    const scenario = { ...held, status: "unknown" as const, verdicts, reason: "availability: who knows" };
    const lines = terminalReport({ ...smallReport, scenarios: [scenario] }, { color: false });
    expect(lines.filter((line) => line.includes("who knows"))).toEqual(["  ? availability: who knows"]);
  });
});
