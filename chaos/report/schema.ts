/** The report's JSON, as a schema that others can check what they read against. Pure. */
import { z } from "zod";
import type { RunReport } from "./report.ts";

const words = (description: string) => z.string().describe(description);
const count = (description: string) => z.int().min(0).describe(description);
const milliseconds = (description: string) => z.number().describe(`${description}, in milliseconds`);
const stringOrNumber = z.union([z.string(), z.number()]);

const verdict = z
  .strictObject({
    checker: words("Which invariant"),
    status: z.enum(["pass", "fail", "unknown", "not-claimed"]),
    summary: words("One sentence with the figures"),
    evidence: count(
      "How many operations, windows or transitions were judged; none makes the verdict unknown",
    ),
    figures: z.record(z.string(), z.number()).describe("Named figures, the unit last in the name"),
    proof: z
      .array(z.int().min(0))
      .describe("Indexes into the history of the operations that prove a failure"),
    informational: z
      .literal(true)
      .exactOptional()
      .describe("Only tells: it counts neither for nor against the scenario"),
  })
  .describe("What one checker found");

const fault = z
  .strictObject({
    fault: words("The fault in words"),
    injectBegunAtMs: milliseconds("Since the scenario's start"),
    injectObservedAtMs: milliseconds("Since the scenario's start; null when nobody saw it").nullable(),
    healBegunAtMs: milliseconds("Since the scenario's start; null when it was not healed").nullable(),
    healObservedAtMs: milliseconds("Since the scenario's start; null when nobody saw it").nullable(),
  })
  .describe("What was broken, and when that was seen");

const figures = z
  .strictObject({
    reads: count("Reads asked while it was measured"),
    failedReads: count("Reads that failed"),
    transactions: count("Read-only transactions asked while it was measured"),
    failedTransactions: count("Read-only transactions that failed"),
    writes: count("Writes asked while it was measured"),
    failedWrites: count("Writes that failed"),
    dropped: count("Operations not asked because every session was busy"),
    longestStallMs: milliseconds("The slowest read"),
    detectionMs: milliseconds("From a fault's beginning to the eviction of what it hit").exactOptional(),
    recoveryMs: milliseconds("From an observed heal to the full share").exactOptional(),
    worstStalenessMs: milliseconds("How old, at least, the oldest data was that a read gave"),
    shares: z
      .record(z.string(), z.number().min(0).max(1))
      .describe("Reads answered by each node, as a share of all"),
  })
  .describe("Absent when nothing ran");

const scenario = z
  .strictObject({
    scenario: words("Its name"),
    title: words("What it shows"),
    status: z.enum(["pass", "fail", "unknown", "skipped"]),
    reason: words("Why it was skipped or could not be judged").exactOptional(),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1),
    tookMs: milliseconds("From its start to its verdict"),
    verdicts: z.array(verdict),
    faults: z.array(fault),
    figures: figures.exactOptional(),
    proof: z.array(z.string()).describe("For a failure: the operations that prove it, a line each"),
    reproduce: words("The command that runs it again"),
    directory: words("Where its history and logs are, in the run's folder"),
  })
  .describe("One scenario");

export const runReportSchema: z.ZodType<RunReport> = z
  .strictObject({
    schemaVersion: z.literal(1).describe("Raised when a field changes its meaning or goes"),
    tool: z.strictObject({ name: z.literal("fairlead"), version: z.string() }),
    startedAt: z.iso.datetime(),
    tookMs: milliseconds("From the start of the world to the last verdict"),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1),
    subject: words("The router under test"),
    world: z
      .object({ kind: z.string() })
      .catchall(stringOrNumber)
      .describe("Where it ran, and with what versions"),
    policy: z.record(z.string(), stringOrNumber).describe("Thresholds, intervals and budgets it ran under"),
    scenarios: z.array(scenario),
    status: z
      .enum(["pass", "fail", "unknown"])
      .describe("fail beats unknown beats pass; nothing judged is unknown"),
  })
  .describe("What `fairlead chaos --json` writes");

/** JSON Schema (draft 2020-12) of what `fairlead chaos --json` writes. */
export function runReportJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(runReportSchema), title: "fairlead chaos report" };
}
