/**
 * A lost primary must not take the reads with it. First it is killed; then it lives, replication flows, and only the
 * application cannot reach it. Writes work again each time, without a restart of the router.
 */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const primaryLost: Scenario = {
  name: "primary-lost",
  title:
    "While the primary is dead or cut off, replicas go on serving, nobody is evicted for it, and writes return by themselves.",
  needs: ["node-killed", "link-down"],
  schedule: ({ policy, primary }) => {
    const { calmMs, downMs } = timingOf(policy);
    const { returnMs } = budgets(policy);
    const threshold = policy.replicaLagThresholdMs;
    // Longer than any lag bound could stand without the primary: that alone must evict nobody.
    const awayMs = threshold === "off" ? downMs : 2 * threshold;
    return {
      steps: [
        { kind: "fault", atMs: calmMs, forMs: awayMs, fault: { kind: "node-killed", node: primary } },
        {
          kind: "fault",
          // It has to start and be seen first; should that take longer, the two overlap, and are judged so.
          atMs: calmMs + awayMs + returnMs,
          forMs: awayMs,
          fault: { kind: "link-down", link: `app:${primary}` },
        },
      ],
      watchMs: timingOf(policy).returnMs,
    };
  },
  checkers: [availability, routing, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
