/** Half a hang: whoever has a connection is served, whoever needs a new one waits for ever. No probe sees it. */
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
    "A replica that takes no new connections stalls reads no longer than the detection budget, and fails none.",
  extended: true,
  needs: ["postmaster-frozen"],
  // Several at a time on each node, so that more connections are wanted than there were.
  workload: { readMs: 40 },
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "postmaster-frozen", node } }],
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
