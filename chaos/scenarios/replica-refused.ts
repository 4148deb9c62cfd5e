/** The loss that says so at once: a replica lives, and only the application's connections to it are refused. */
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

export const replicaRefused: Scenario = {
  name: "replica-refused",
  title: "A link that refuses costs no read, and its replica gets its share back when it no longer does.",
  extended: true,
  needs: ["link-down"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const link = `app:${prng.pick(replicas)}` as const;
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "link-down", link } }],
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
