/** Nothing is broken: what holds here is the least that has to. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const baseline: Scenario = {
  name: "baseline",
  title:
    "Without any fault, every read and write succeeds, reads are shared by weight, and nobody is evicted.",
  needs: [],
  schedule: ({ policy }) => ({ steps: [], watchMs: timingOf(policy).lagMs }),
  checkers: [availability, routing, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
