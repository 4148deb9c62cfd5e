/** A migration while the application runs: named statements keep plans that no longer fit, on every connection of every node. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { fairnessLive } from "../checkers/fairness-live.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { primaryProtection } from "../checkers/primary-protection.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const ddlUnderLoad: Scenario = {
  name: "ddl-under-load",
  title:
    "While a table is altered, named statements that read it never fail, stay on replicas, and evict nobody.",
  extended: true,
  needs: ["table-altered"],
  workload: { namedReads: true },
  schedule: ({ policy, primary }) => {
    const { calmMs, lagMs, returnMs } = timingOf(policy);
    return {
      steps: [{ kind: "fault", atMs: calmMs, forMs: lagMs, fault: { kind: "table-altered", node: primary } }],
      watchMs: returnMs,
    };
  },
  checkers: [
    availability,
    primaryProtection,
    // By who answered: a read that met an old plan was given to two replicas, and only one has answered it.
    fairnessLive,
    boundedStaleness,
    noFalseEviction,
    writeSafety,
    noLeak,
  ],
};
