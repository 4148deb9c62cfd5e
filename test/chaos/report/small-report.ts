/** A report with one scenario of each outcome; the fallen one's texts try to break every format. */
import type { Verdict } from "../../../chaos/checkers/checker.ts";
import type { RunReport, ScenarioResult } from "../../../chaos/report/report.ts";

export const NASTY =
  "a | b <script>&amp; \"x\" 'y' `z` *s* [l](u)\nsecond\u0000 \u001B[31mred\u001B[0m ]]> \uD800";

const common = { seed: 7, faults: [], proof: [] } as const;

export const held: ScenarioResult = {
  ...common,
  scenario: "baseline",
  title: "Nothing is broken.",
  status: "pass",
  tookMs: 2940,
  verdicts: [verdict("availability", "pass"), verdict("no-leak", "pass")],
  figures: {
    reads: 249,
    failedReads: 0,
    transactions: 20,
    failedTransactions: 0,
    writes: 60,
    failedWrites: 0,
    dropped: 0,
    longestStallMs: 12.2,
    worstStalenessMs: 0,
    shares: { primary: 0.25, "replica-1": 0.75 },
  },
  reproduce: "npx fairlead chaos baseline --seed 7",
  directory: "baseline",
};

export const fell: ScenarioResult = {
  ...common,
  scenario: "replica-killed",
  title: "A replica dies.",
  status: "fail",
  reason: "the subject did not close",
  tookMs: 61_000,
  verdicts: [verdict("availability", "fail", NASTY), verdict("no-leak", "not-claimed")],
  faults: [
    {
      fault: "node-killed replica-1",
      injectBegunAtMs: 700.1,
      injectObservedAtMs: 712.5,
      healBegunAtMs: 2000,
      healObservedAtMs: null,
    },
  ],
  figures: {
    reads: 100,
    failedReads: 3,
    transactions: 20,
    failedTransactions: 1,
    writes: 20,
    failedWrites: 1,
    dropped: 0,
    longestStallMs: 1234,
    detectionMs: 412.4,
    recoveryMs: 1100,
    worstStalenessMs: 300,
    shares: { "replica-1": 1 },
  },
  proof: [`availability: ${NASTY}`, "  #42 +1.234 s session 7 read fail ``` fence"],
  reproduce: "npx fairlead chaos replica-killed --seed 7 --subject 'my `router`.ts'",
  directory: "replica-killed",
};

export const unjudged: ScenarioResult = {
  ...common,
  scenario: "replay-paused",
  title: "Replay stands still.",
  status: "unknown",
  reason: "the subject did not connect: no",
  tookMs: 300,
  verdicts: [],
  reproduce: "npx fairlead chaos replay-paused --seed 7",
  directory: "replay-paused",
};

export const skipped: ScenarioResult = {
  ...common,
  scenario: "promotion",
  title: "A replica is promoted.",
  status: "skipped",
  reason: "this world (external) cannot do: promote",
  tookMs: 0,
  verdicts: [],
  reproduce: "npx fairlead chaos promotion --seed 7",
  directory: "promotion",
};

export const smallReport: RunReport = {
  schemaVersion: 1,
  tool: { name: "fairlead", version: "1.2.3" },
  startedAt: "2026-01-02T03:04:05.678Z",
  tookMs: 65_240,
  seed: 7,
  subject: "fairlead",
  world: {
    kind: "embedded",
    postgresql: "18.4",
    replicas: 3,
    toxiproxy: "2.12.0",
    toxiproxyOrigin: "built-in",
    node: "24.0.0",
    startupMs: 1400,
  },
  policy: {
    replicaLagThresholdMs: 1000,
    readmitLagThresholdMs: 600,
    intervalMs: 200,
    timeoutMs: 200,
    fall: 2,
    rise: 2,
    slowStartMs: 1000,
    retries: 2,
    fallbackTo: "primary",
    weights: "2:1:1",
    maxConnections: 10,
    downBudgetMs: 800,
    staleBudgetMs: 1400,
    returnBudgetMs: 1400,
    stallBudgetMs: 1050,
  },
  scenarios: [held, fell, unjudged, skipped],
  status: "fail",
};

function verdict(checker: string, status: Verdict["status"], summary = `${checker} is ${status}`): Verdict {
  return { checker, status, summary, evidence: 10, figures: { longestStallMs: 12.2 }, proof: [] };
}
