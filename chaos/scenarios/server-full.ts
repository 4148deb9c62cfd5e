/**
 * No connection slot is left on a replica. First only the free ones are gone: who has a connection is served, and nobody may be
 * evicted. Then all are: nobody is served there, a probe neither, and it may be.
 */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const serverFull: Scenario = {
  name: "server-full",
  title:
    "Reads that a replica has no connection for are answered by others; it is left only when nobody gets in at all.",
  extended: true,
  needs: ["server-full"],
  // Several at a time on each node, so that more connections are wanted than there were.
  workload: { readMs: 40 },
  schedule: ({ policy, replicas, prng }) => {
    const { calmMs, downMs, returnMs } = timingOf(policy);
    const [first, second = first] = prng.shuffle(replicas);
    if (first === undefined || second === undefined) return { steps: [], watchMs: downMs };
    const forMs = budgets(policy).stallMs;
    return {
      steps: [
        { kind: "fault", atMs: calmMs, forMs, fault: { kind: "server-full", node: first, slots: "free" } },
        {
          kind: "fault",
          atMs: calmMs + forMs + downMs,
          forMs: downMs,
          fault: { kind: "server-full", node: second, slots: "all" },
        },
      ],
      watchMs: returnMs,
    };
  },
  checkers: [availability, weightFairness, boundedStaleness, noFalseEviction, writeSafety, noLeak],
};
