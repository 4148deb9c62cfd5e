/** The loss that says nothing: packets to one replica vanish, so that only time tells. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaBlackHole: Scenario = {
  name: "replica-black-hole",
  title: "A link that swallows everything stalls reads no longer than the detection budget, and fails none.",
  needs: ["link-black-hole"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const link = `app:${prng.pick(replicas)}` as const;
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "link-black-hole", link } }],
      watchMs: returnMs,
    };
  },
  checkers: [availability, routing, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
