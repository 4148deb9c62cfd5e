/** A link that is up and of no use: a few hundred bytes take longer than a probe may. */
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

export const replicaTrickle: Scenario = {
  name: "replica-trickle",
  title: "A link that trickles stalls reads no longer than the detection budget, and fails none.",
  extended: true,
  needs: ["link-bandwidth"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const link = `app:${prng.pick(replicas)}` as const;
    return {
      steps: [
        {
          kind: "fault",
          atMs: calmMs,
          forMs: 2 * downMs,
          fault: { kind: "link-bandwidth", link, bytesPerSecond: 1_000 },
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
