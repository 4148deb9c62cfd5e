/** The primary hangs: its sockets stay open, so that only time tells. Replicas have all there is to have. */
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

export const primaryFrozen: Scenario = {
  name: "primary-frozen",
  title:
    "While the primary stands still, replicas go on serving, nobody is evicted for it, and writes return by themselves.",
  extended: true,
  needs: ["node-frozen"],
  schedule: ({ policy, primary }) => {
    const { calmMs, downMs } = timingOf(policy);
    const threshold = policy.replicaLagThresholdMs;
    return {
      steps: [
        {
          kind: "fault",
          atMs: calmMs,
          // Longer than any lag bound could stand without the primary: that alone must evict nobody.
          forMs: threshold === "off" ? downMs : 2 * threshold,
          fault: { kind: "node-frozen", node: primary },
        },
      ],
      // A primary is back with its first answer: it has no share to be led up to.
      watchMs: downMs,
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
