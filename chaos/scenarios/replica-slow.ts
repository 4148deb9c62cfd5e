/** Slow is a way of being down: every answer of one replica comes half a second late, and whoever keeps asking it waits with it. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaSlow: Scenario = {
  name: "replica-slow",
  title:
    "A replica that answers late by more than a probe may take loses its reads within the detection budget.",
  extended: true,
  needs: ["link-latency"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const link = `app:${prng.pick(replicas)}` as const;
    const latencyMs = 2.5 * policy.healthCheck.timeoutMs;
    return {
      steps: [
        {
          kind: "fault",
          atMs: calmMs,
          forMs: 2 * downMs,
          fault: { kind: "link-latency", link, latencyMs, direction: "downstream" },
        },
      ],
      watchMs: returnMs,
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
