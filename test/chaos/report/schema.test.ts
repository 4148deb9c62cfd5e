import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv";
import { describe, expect, test } from "vitest";
import { runReportJsonSchema, runReportSchema } from "../../../chaos/report/schema.ts";
import { held, smallReport } from "./small-report.ts";

// The keyword's pattern says the same; what ajv would need another package for is checked by zod.
const ajv = new Ajv2020({
  strict: true,
  allErrors: true,
  allowUnionTypes: true,
  formats: { "date-time": true },
});
const validate: ValidateFunction = ajv.compile(runReportJsonSchema());

describe("the JSON Schema of a report", () => {
  test("accepts a report with every outcome, as it is written", () => {
    expect([validate(JSON.parse(JSON.stringify(smallReport))), validate.errors]).toEqual([true, null]);
    expect(runReportSchema.parse(smallReport)).toEqual(smallReport);
  });

  test.each([
    ["another version", { schemaVersion: 2 }],
    ["a status that does not exist", { status: "passed" }],
    ["a field that nobody knows", { extra: 1 }],
    ["a time without a date", { startedAt: "03:04:05" }],
    ["an object among the world's versions", { world: { kind: "embedded", postgresql: { major: 18 } } }],
    ["a scenario without its verdicts", { scenarios: [{ ...held, verdicts: undefined }] }],
    [
      "a share above the whole",
      { scenarios: [{ ...held, figures: { ...held.figures, shares: { primary: 2 } } }] },
    ],
  ])("refuses %s", (_what, change) => {
    const changed: unknown = JSON.parse(JSON.stringify({ ...smallReport, ...change }));
    expect(validate(changed)).toBe(false);
    expect(runReportSchema.safeParse(changed).success).toBe(false);
  });
});
