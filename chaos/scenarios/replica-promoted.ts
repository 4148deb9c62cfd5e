/** Two primaries: somebody promotes a replica, and the router goes on knowing which of them is the one. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { lagEviction } from "../checkers/lag-eviction.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaPromoted: Scenario = {
  name: "replica-promoted",
  title:
    "A replica that somebody promoted loses its reads, gets no write, is told of, and returns when it has been rebuilt.",
  extended: true,
  needs: ["replica-promoted"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, lagMs, catchUpAndReturnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: lagMs, fault: { kind: "replica-promoted", node } }],
      watchMs: catchUpAndReturnMs,
    };
  },
  checkers: [
    availability,
    routing,
    writeSafety,
    lagEviction,
    boundedStaleness,
    viewVsTruth,
    weightFairness,
    noFalseEviction,
    noLeak,
  ],
};
