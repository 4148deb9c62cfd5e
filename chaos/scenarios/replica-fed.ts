/** Replicas that do not stream from the primary are replicas all the same: judged by what they have, not by whom they have it from. */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { viewVsTruth } from "../checkers/view-vs-truth.ts";
import { weightFairness } from "../checkers/weight-fairness.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { CATCH_UP_MS } from "../history/truth.ts";
import type { Scenario } from "./scenario.ts";
import { timingOf } from "./timing.ts";

export const cascadingReplica: Scenario = {
  name: "cascading-replica",
  title: "A replica that streams from another replica keeps its reads.",
  ...fedBy("replica"),
};

export const archiveOnlyReplica: Scenario = {
  name: "archive-only-replica",
  title: "A replica without a WAL receiver, fed from an archive that is not late, keeps its reads.",
  ...fedBy("archive"),
};

function fedBy(by: "replica" | "archive"): Omit<Scenario, "name" | "title"> {
  return {
    extended: true,
    needs: ["replica-fed"],
    schedule: ({ policy, replicas, prng }) => {
      const { calmMs, lagMs, returnMs } = timingOf(policy);
      const node = prng.pick(replicas);
      return {
        steps: [
          {
            kind: "fault",
            atMs: calmMs,
            // Beyond the time in which it may be catching up, so that it has to be well.
            forMs: CATCH_UP_MS + lagMs,
            fault: { kind: "replica-fed", node, by },
          },
        ],
        watchMs: returnMs,
      };
    },
    checkers: [
      availability,
      weightFairness,
      boundedStaleness,
      noFalseEviction,
      viewVsTruth,
      writeSafety,
      noLeak,
    ],
  };
}
