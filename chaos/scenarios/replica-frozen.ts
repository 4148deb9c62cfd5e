/** A replica that hangs: its sockets are open, the kernel takes connections for it, and nobody answers. */
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

export const replicaFrozen: Scenario = {
  name: "replica-frozen",
  title:
    "A replica whose processes all stand still stalls reads no longer than the detection budget, and fails none.",
  extended: true,
  needs: ["node-frozen"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, catchUpAndReturnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "node-frozen", node } }],
      watchMs: catchUpAndReturnMs,
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
