/** The plainest loss: a replica's server is gone at once, its connections are reset, and later it comes back. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaKilled: Scenario = {
  name: "replica-killed",
  title: "A replica killed by SIGKILL costs no read, the others take its share, and it gets it back.",
  needs: ["node-killed"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, catchUpAndReturnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: downMs, fault: { kind: "node-killed", node } }],
      watchMs: catchUpAndReturnMs,
    };
  },
  checkers: [availability, routing, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
