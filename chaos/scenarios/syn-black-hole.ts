/** The loss that only connecting notices: connections are gone, and new ones are neither taken nor refused. */
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

export const synBlackHole: Scenario = {
  name: "syn-black-hole",
  title:
    "A replica to which connecting hangs stalls reads no longer than the detection budget, and fails none.",
  extended: true,
  needs: ["link-syn-black-hole"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const link = `app:${prng.pick(replicas)}` as const;
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "link-syn-black-hole", link } }],
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
