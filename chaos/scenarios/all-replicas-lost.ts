/** Nobody is left but the primary: reads go there, the log says so once, and they leave it again. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { fallback } from "../checkers/fallback.ts";
import { logOnce } from "../checkers/log-once.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Fault } from "../faults/fault.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const allReplicasLost: Scenario = {
  name: "all-replicas-lost",
  title:
    "With every replica gone at once, reads fall back to the primary, one WARN says so, and they return.",
  needs: ["node-killed", "link-black-hole"],
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, catchUpAndReturnMs } = timingOf(policy);
    // One goes silently, the others with a noise: who notices only one of the two is found out.
    const silent = replicas.length > 1 ? prng.pick(replicas) : undefined;
    const lost = (node: string): Fault =>
      node === silent ? { kind: "link-black-hole", link: `app:${node}` } : { kind: "node-killed", node };
    return {
      steps: replicas.map((node) => ({ kind: "fault", atMs: calmMs, forMs: downMs, fault: lost(node) })),
      watchMs: catchUpAndReturnMs,
    };
  },
  checkers: [
    availability,
    routing,
    fallback,
    logOnce,
    weightFairness,
    boundedStaleness,
    noFalseEviction,
    writeSafety,
    noLeak,
  ],
};
