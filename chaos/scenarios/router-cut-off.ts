/** Only this router loses the primary, silently: others go on writing, and replicas stay as fresh as ever. */
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

export const routerCutOff: Scenario = {
  name: "router-cut-off",
  title: "A router that alone cannot reach the primary keeps serving reads from replicas, which stay fresh.",
  extended: true,
  needs: ["link-black-hole"],
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
          fault: { kind: "link-black-hole", link: `app:${primary}` },
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
