/** The primary believes in lag that is not there: only what replicas say of themselves reaches it late. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicationFeedbackSlow: Scenario = {
  name: "replication-feedback-slow",
  title:
    "Late feedback makes nobody late: while the primary takes every replica for lagging, each keeps its reads.",
  extended: true,
  needs: ["link-latency"],
  schedule: ({ policy, replicas }) => {
    const { calmMs, lagMs } = timingOf(policy);
    const threshold = policy.replicaLagThresholdMs;
    const latencyMs = threshold === "off" ? budgets(policy).downMs : 2 * threshold;
    return {
      steps: replicas.map((replica): Step => ({
        kind: "fault",
        atMs: calmMs,
        forMs: lagMs,
        fault: { kind: "link-latency", link: `replication:${replica}`, latencyMs, direction: "upstream" },
      })),
      watchMs: calmMs,
    };
  },
  checkers: [
    availability,
    routing,
    weightFairness,
    boundedStaleness,
    noFalseEviction,
    viewVsTruth,
    writeSafety,
    noLeak,
  ],
};
