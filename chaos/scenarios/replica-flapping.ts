/** A link that goes and comes: each time it is back, it is gone again before anybody can rely on it. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noFlapping } from "../checkers/no-flapping.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replicaFlapping: Scenario = {
  name: "replica-flapping",
  title:
    "A link that goes and comes costs no read, its replica is not taken back each time, and returns when it stays well.",
  extended: true,
  needs: ["link-down"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, returnMs } = timingOf(policy);
    const { intervalMs, timeoutMs, rise } = policy.healthCheck;
    const link = `app:${prng.pick(replicas)}` as const;
    const eachMs = intervalMs + timeoutMs;
    const down = (turn: number): Step => ({
      kind: "fault",
      atMs: calmMs + turn * 2 * eachMs,
      forMs: eachMs,
      fault: { kind: "link-down", link },
      lane: link,
    });
    const turns = [0, 1, 2];
    // Each relapse doubles how long it has to prove itself.
    return { steps: turns.map(down), watchMs: returnMs + 2 ** (turns.length - 1) * rise * intervalMs };
  },
  checkers: [
    availability,
    routing,
    weightFairness,
    boundedStaleness,
    noFalseEviction,
    noFlapping,
    viewVsTruth,
    writeSafety,
    noLeak,
  ],
};
