/**
 * Nothing is written, and positions stand where no replica replays to: an open transaction, a page header, a new segment, a
 * checkpoint. Replicas have everything that was committed, and keep their reads.
 */
import { availability } from "../checkers/availability.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { Fault } from "../faults/fault.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

const IDLE_FAULTS = [
  "write-transaction-open",
  "wal-at-page-boundary",
  "wal-switched",
  "checkpointed",
] as const;

export const idlePrimary: Scenario = {
  name: "idle-primary",
  title: "On an idle primary no gap in the WAL makes a replica that has everything look late.",
  needs: IDLE_FAULTS,
  schedule: ({ policy, primary }) => {
    const { calmMs } = timingOf(policy);
    const { staleMs, downMs } = budgets(policy);
    // Beyond the threshold, so that a bound that had stopped with the WAL would have evicted somebody.
    const eachMs = staleMs === "off" ? downMs : staleMs;
    const faults = IDLE_FAULTS.map((kind, index): Step => ({
      kind: "fault",
      atMs: calmMs + index * (eachMs + calmMs),
      forMs: eachMs,
      fault: { kind, node: primary } satisfies Fault,
    }));
    const quiet: Step = { kind: "quiet", atMs: 0, forMs: faults.length * (eachMs + calmMs) + calmMs };
    return { steps: [quiet, ...faults], watchMs: policy.healthCheck.intervalMs };
  },
  checkers: [availability, routing, weightFairness, noFalseEviction, writeSafety, noLeak],
};
