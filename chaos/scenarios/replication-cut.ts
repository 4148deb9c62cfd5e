/** Lag without a sign of it on the replica: it answers as fast as ever, and nothing new reaches it. */
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

export const replicationCut: Scenario = {
  name: "replication-cut",
  title:
    "A replica cut off from the primary, with a noise or silently, serves nothing older than the lag budget.",
  extended: true,
  needs: ["link-down", "link-black-hole"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, lagMs, catchUpAndReturnMs } = timingOf(policy);
    const link = `replication:${prng.pick(replicas)}` as const;
    const kind = prng.pick(["link-down", "link-black-hole"] as const);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: lagMs, fault: { kind, link } }],
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
    viewVsTruth,
    writeSafety,
    noLeak,
  ],
};
