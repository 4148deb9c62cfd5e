/**
 * Half a hang: whoever has a connection is served, whoever needs a new one waits for ever. A moment's break makes sure that
 * everybody needs one.
 */
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

export const postmasterFrozen: Scenario = {
  name: "postmaster-frozen",
  title:
    "A replica that loses its connections and takes no new ones stalls reads no longer than the detection budget.",
  extended: true,
  needs: ["link-reset", "postmaster-frozen"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const { intervalMs } = policy.healthCheck;
    const node = prng.pick(replicas);
    return {
      steps: [
        // It ends while the postmaster stands still. That it is over is seen only when that takes connections again.
        {
          kind: "fault",
          atMs: calmMs,
          forMs: 4 * intervalMs,
          fault: { kind: "link-reset", link: `app:${node}` },
        },
        {
          kind: "fault",
          atMs: calmMs + 2 * intervalMs,
          forMs: 2 * intervalMs + downMs,
          fault: { kind: "postmaster-frozen", node },
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
