/** A router that starts while replicas are gone, one with a refusal and one silently: it must not wait for them. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Fault } from "../faults/fault.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const bootWithDeadReplica: Scenario = {
  name: "boot-with-dead-replica",
  title:
    "A router starts without the replicas that are gone, fails no read for them, and takes them in when they are there.",
  extended: true,
  needs: ["link-down", "link-black-hole", "link-syn-black-hole"],
  schedule: ({ policy, replicas, prng }) => {
    const { downMs, returnMs } = timingOf(policy);
    const [refused, silent] = prng.shuffle(replicas);
    const faults: Fault[] = [];
    if (refused !== undefined) faults.push({ kind: "link-down", link: `app:${refused}` });
    // Of a single replica one loss is enough; of two, the primary serves alone.
    const kind = prng.pick(["link-black-hole", "link-syn-black-hole"] as const);
    if (silent !== undefined) faults.push({ kind, link: `app:${silent}` });
    return {
      steps: faults.map((fault): Step => ({
        kind: "fault",
        atMs: 0,
        forMs: downMs,
        fault,
        beforeStart: true,
      })),
      watchMs: returnMs,
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
