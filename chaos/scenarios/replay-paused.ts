/** Real lag: a replica answers as fast as ever, with data that get older and older. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { lagEviction } from "../checkers/lag-eviction.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const replayPaused: Scenario = {
  name: "replay-paused",
  title:
    "A replica whose replay stands still serves nothing older than the lag budget, and returns when it has caught up.",
  needs: ["replay-paused"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, lagMs, catchUpAndReturnMs } = timingOf(policy);
    const node = prng.pick(replicas);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: lagMs, fault: { kind: "replay-paused", node } }],
      watchMs: catchUpAndReturnMs,
    };
  },
  checkers: [
    availability,
    routing,
    weightFairness,
    boundedStaleness,
    lagEviction,
    noFalseEviction,
    writeSafety,
    noLeak,
  ],
};
