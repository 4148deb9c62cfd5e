import { XMLParser, XMLValidator } from "fast-xml-parser";
import { describe, expect, test } from "vitest";
import { junitReport } from "../../../chaos/report/junit.ts";
import { fell, held, skipped, smallReport, unjudged } from "./small-report.ts";

const ARRAYS = new Set(["testsuite", "testcase", "property"]);
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "",
  parseAttributeValue: false,
  trimValues: false,
  isArray: (name) => ARRAYS.has(name),
  htmlEntities: true,
});

interface Tag {
  readonly message: string;
  readonly "#text"?: string;
}
interface Case {
  readonly classname: string;
  readonly name: string;
  readonly failure?: Tag;
  readonly error?: Tag;
  readonly skipped?: Tag;
}
interface Suite {
  readonly name: string;
  readonly testcase: readonly Case[];
  readonly properties: { readonly property: readonly { readonly name: string; readonly value: string }[] };
  readonly [attribute: string]: unknown;
}
interface Document {
  readonly testsuites: { readonly testsuite: readonly Suite[]; readonly [attribute: string]: unknown };
}

function parse(text: string): Document {
  expect(XMLValidator.validate(text)).toBe(true);
  return parser.parse(text) as Document;
}

const COUNTED = ["failure", "error", "skipped"] as const;

describe("the JUnit report", () => {
  const { testsuites } = parse(junitReport(smallReport));

  test("has a suite a scenario and a case a checker", () => {
    expect(
      testsuites.testsuite.map(({ name, testcase }) => [
        name,
        testcase.map((one) => `${one.classname} ${one.name}`),
      ]),
    ).toEqual([
      ["baseline", ["baseline availability", "baseline no-leak"]],
      [
        "replica-killed",
        ["replica-killed availability", "replica-killed no-leak", "replica-killed scenario"],
      ],
      ["replay-paused", ["replay-paused scenario"]],
      ["promotion", ["promotion scenario"]],
    ]);
  });

  test("counts what it holds, in each suite and in all", () => {
    const totals = { tests: 0, failures: 0, errors: 0, skipped: 0 };
    for (const suite of testsuites.testsuite) {
      const [failures = 0, errors = 0, skippedCount = 0] = COUNTED.map(
        (tag) => suite.testcase.filter((one) => one[tag] !== undefined).length,
      );
      const counts = { tests: suite.testcase.length, failures, errors, skipped: skippedCount };
      for (const [name, value] of Object.entries(counts)) {
        expect(suite[name]).toBe(String(value));
        totals[name as keyof typeof totals] += value;
      }
    }
    expect(totals).toEqual({ tests: 7, failures: 1, errors: 2, skipped: 2 });
    for (const [name, value] of Object.entries(totals)) expect(testsuites[name]).toBe(String(value));
  });

  test("makes what could not be judged an error, so that nobody takes it for a pass", () => {
    const unknown = junitReport({ ...smallReport, scenarios: [{ ...unjudged, verdicts: [] }] });
    expect(parse(unknown).testsuites.testsuite[0]?.testcase[0]?.error?.message).toBe(
      "the subject did not connect: no",
    );
    const { reason: _, ...silent } = unjudged;
    const noReason = junitReport({ ...smallReport, scenarios: [silent] });
    expect(parse(noReason).testsuites["errors"]).toBe("1");
  });

  test("does not count a doubt twice when the scenario's reason repeats it", () => {
    const verdicts = held.verdicts.map((one) => ({ ...one, status: "unknown" as const }));
    const reason = `${verdicts[0]?.checker}: ${verdicts[0]?.summary}`;
    const scenario = { ...held, status: "unknown" as const, verdicts, reason };
    expect(parse(junitReport({ ...smallReport, scenarios: [scenario] })).testsuites["errors"]).toBe("2");
  });

  test("keeps every character that XML can hold, and leaves out the others", () => {
    const failure = testsuites.testsuite[1]?.testcase[0]?.failure;
    expect(failure?.message).toContain("a | b <script>&amp; \"x\" 'y' `z` *s* [l](u)");
    expect(failure?.message).toContain("second [31mred[0m ]]> ");
    expect(failure?.["#text"]).toContain("#42 +1.234 s session 7 read fail");
    expect(junitReport(smallReport).replaceAll("\n", "")).not.toMatch(/\p{Cc}|\p{Cs}/u);
  });

  test("says how to run a scenario again, and under what it ran", () => {
    const properties = Object.fromEntries(
      (testsuites.testsuite[1]?.properties.property ?? []).map(({ name, value }) => [name, value]),
    );
    expect(properties).toMatchObject({ seed: "7", subject: "fairlead", reproduce: fell.reproduce });
    expect(properties["policy"]).toContain("lag threshold 1 s");
  });

  test("gives the reason of what was skipped", () => {
    expect(testsuites.testsuite[3]?.testcase[0]?.skipped?.message).toBe(skipped.reason);
  });
});
