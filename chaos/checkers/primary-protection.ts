/**
 * The primary is spared: no read goes there while a replica was certainly able to answer it. Judged from where the rows say
 * they were read and from the observed faults. Left out is what a router may have its reasons for: a session that
 * has just written, a read that may have been lost on a dying node first, and what followed a pause of its process.
 */
import { lagFloorMs } from "../../src/config/budgets.ts";
import { touches, union } from "../history/intervals.ts";
import type { Interval, IntervalSet } from "../history/intervals.ts";
import type { Completion, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { OwnWrites } from "./own-writes.ts";
import { doubtsOf, verdictOf, Violations } from "./verdict.ts";

export const primaryProtection: Checker = {
  name: "primary-protection",
  guarantee: "No plain read burdens the primary while a replica is certainly able to serve it.",

  check(input) {
    const { history, policy, from, until } = input;
    const truth = deriveTruth(input);
    const ownWrites = new OwnWrites(input, truth);
    const excused = excusedTimes(input, truth);
    const anyFault = union(truth.faults.map(({ possibly }) => possibly));
    const violations = new Violations();
    const calm = { reads: 0, onPrimary: 0 };
    let judged = 0;
    forEachOperation(history, (invoke, completion) => {
      ownWrites.note(invoke, completion);
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      if (completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
      const served = completion.evidence?.[0];
      if (served === undefined) return;
      if (!touches(anyFault, invoke.at, completion.at)) {
        calm.reads++;
        if (served.role === "primary") calm.onPrimary++;
      }
      if (ownWrites.isRecentFor(invoke) || touches(excused, invoke.at, completion.at)) return;
      const able = ableReplica(truth, invoke, completion);
      if (able === undefined) return;
      judged++;
      if (served.role !== "primary") return;
      violations.add(
        [invoke.index, completion.index],
        () => `${invoke.f} ${invoke.index} was read on ${served.node} although ${able} could serve it`,
      );
    });
    const share = calm.reads === 0 ? 0 : calm.onPrimary / calm.reads;
    return verdictOf({
      checker: primaryProtection.name,
      violations,
      evidence: policy.enableReadWriteSeparation ? judged : 0,
      figures: {
        readsJudged: judged,
        readsOutsideFaults: calm.reads,
        primaryReadsOutsideFaults: calm.onPrimary,
        primaryShareOutsideFaults: share,
      },
      held: `none of ${judged} reads that a replica could serve went to the primary; outside of faults it served ${(100 * share).toFixed(1)} % of all`,
      nothing: policy.enableReadWriteSeparation
        ? "no read was answered while a replica was certainly able to serve it"
        : "enableReadWriteSeparation is off: every read belongs on the primary",
      doubts: doubtsOf(truth),
    });
  },
};

function ableReplica(truth: Truth, { at }: Invoke, completion: Completion): string | undefined {
  for (const { name, unsettled } of truth.replicas.values()) {
    if (!touches(unsettled, at, completion.at)) return name;
  }
  return undefined;
}

function excusedTimes({ history, policy }: CheckInput, truth: Truth): IntervalSet {
  const lost = [...truth.replicas.values()].flatMap(({ undetected }) => undetected);
  const unknown = policy.whenPrimaryUnknown === "reject" ? truth.primaryUnknown : [];
  // A lag bound grows by itself: after a pause all nodes may look late until each has been asked again.
  const againMs = lagFloorMs(policy.healthCheck) + truth.slackMs;
  const pauses: Interval[] = [];
  for (const entry of history) {
    if (entry.type !== "invoke" || entry.at - entry.intendedAt < policy.healthCheck.intervalMs / 2) continue;
    pauses.push({ from: entry.intendedAt, to: entry.at + againMs });
  }
  return union([...lost, ...unknown, ...truth.primaryKilled, ...pauses]);
}
