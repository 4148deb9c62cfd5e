/** Connections that break in use, as when a firewall has forgotten them: once, and again when all seems well. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaReset: Scenario = {
  name: "replica-reset",
  title: "Connections to a replica that are reset in use, twice, cost no read.",
  extended: true,
  needs: ["link-reset"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, returnMs } = timingOf(policy);
    const { intervalMs, rise } = policy.healthCheck;
    const link = `app:${prng.pick(replicas)}` as const;
    // As long as a probe's interval: whether anybody is evicted for it is open, who notices first are the reads.
    const resetAt = (atMs: number): Step => ({
      kind: "fault",
      atMs,
      forMs: intervalMs,
      fault: { kind: "link-reset", link },
      lane: link,
    });
    return {
      steps: [resetAt(calmMs), resetAt(calmMs + 4 * intervalMs)],
      // The second within the first one's relapse: who was evicted twice waits for twice as long.
      watchMs: returnMs + 2 * rise * intervalMs,
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
