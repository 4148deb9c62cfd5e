/** Saturation is not death: every connection to one replica is busy with statements that take long, and its probes are well. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const poolExhausted: Scenario = {
  name: "pool-exhausted",
  title:
    "A replica whose connections are all busy fails no read and is not evicted: saturation is not death.",
  extended: true,
  needs: ["statements-slow"],
  workload: { readMs: 1 },
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [
        {
          kind: "fault",
          atMs: calmMs,
          forMs: downMs,
          // As long as a dead node takes to be noticed: with a share of the suite's load no pool is large enough.
          fault: { kind: "statements-slow", node, takeMs: budgets(policy).downMs },
        },
      ],
      watchMs: returnMs,
    };
  },
  checkers: [availability, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
