/** Recovery has the right of way on a replica: it cancels reads there that are perfectly well anywhere else. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const recoveryConflict: Scenario = {
  name: "recovery-conflict",
  title:
    "Reads that recovery cancels on a replica are answered by another node, and nobody is evicted for it.",
  extended: true,
  needs: ["recovery-conflict"],
  // Long enough that many are cancelled, and fewer than may be tried again.
  workload: { readMs: 40 },
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, lagMs, returnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: lagMs, fault: { kind: "recovery-conflict", node } }],
      watchMs: returnMs,
    };
  },
  checkers: [availability, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
