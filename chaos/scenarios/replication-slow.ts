/** Lag that stands instead of growing: data flow, always later than the threshold allows. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { lagEviction } from "../checkers/lag-eviction.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicationSlow: Scenario = {
  name: "replication-slow",
  title:
    "A replica whose data are always late by twice the threshold serves nothing older than the lag budget.",
  extended: true,
  needs: ["link-latency"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, catchUpAndReturnMs } = timingOf(policy);
    const { downMs } = budgets(policy);
    const threshold = policy.replicaLagThresholdMs;
    const latencyMs = threshold === "off" ? downMs : 2 * threshold;
    const link = `replication:${prng.pick(replicas)}` as const;
    return {
      steps: [
        {
          kind: "fault",
          atMs: calmMs,
          // It counts from when the delay was seen, and by then that has been on for as long as it is.
          forMs: downMs,
          fault: { kind: "link-latency", link, latencyMs, direction: "downstream" },
        },
      ],
      watchMs: catchUpAndReturnMs,
    };
  },
  checkers: [
    availability,
    routing,
    weightFairness,
    boundedStaleness,
    lagEviction,
    noFalseEviction,
    viewVsTruth,
    writeSafety,
    noLeak,
  ],
};
