/**
 * What was acknowledged stands on the primary exactly once, what failed does not stand there, and nothing was written
 * anywhere else. Judged from the last look at the tables; holds for every write of the run, warm-up included.
 */
import type { Completion, FinalState, History, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { MAX_PROOF } from "./checker.ts";
import type { Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

export const writeSafety: Checker = {
  name: "write-safety",
  guarantee:
    "No acknowledged write is lost or done twice, no failed one is done, and none lands outside the primary.",

  check({ history, primary }) {
    const final = lastLook(history);
    const counts = new Map(final?.writes);
    const violations = new Violations();
    const tally = { ok: 0, fail: 0, info: 0, infoDone: 0 };

    const judge = (invoke: Invoke, completion: Completion | undefined, final: FinalState): void => {
      // What was still open at the last look may have happened since.
      if (invoke.id === undefined || invoke.at > final.at) return;
      const answer = completion === undefined || completion.at > final.at ? "info" : completion.type;
      tally[answer]++;
      const count = counts.get(invoke.id) ?? 0;
      if (answer === "info" && count > 0) tally.infoDone++;
      const fell = offence(answer, count);
      if (fell === undefined) return;
      const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index]), final.index];
      violations.add(proof, () => `write ${invoke.id} ${fell}`);
    };

    forEachOperation(history, (invoke, completion) => {
      if (invoke.f !== "write") return;
      const elsewhere = completion?.evidence?.find(
        (seen) => seen.role !== "primary" || seen.node !== primary,
      );
      if (completion !== undefined && elsewhere !== undefined) {
        violations.add(
          [invoke.index, completion.index],
          () => `write ${invoke.id} was taken by ${elsewhere.node} (${elsewhere.role}), not by ${primary}`,
        );
      }
      if (final !== undefined) judge(invoke, completion, final);
    });
    if (final !== undefined && final.elsewhere.length > 0) {
      const ids = final.elsewhere.slice(0, MAX_PROOF).join(", ");
      violations.add([final.index], () => `writes stand on a node but not on the primary: ${ids}`);
    }

    return verdictOf({
      checker: writeSafety.name,
      violations,
      evidence: tally.ok === 0 ? 0 : tally.ok + tally.fail + tally.info,
      figures: {
        acknowledgedWrites: tally.ok,
        failedWrites: tally.fail,
        unknownWrites: tally.info,
        unknownWritesDone: tally.infoDone,
      },
      held: `${tally.ok} acknowledged writes stand on the primary once each, ${tally.fail} failed ones do not; of ${tally.info} unknown ones ${tally.infoDone} happened`,
      nothing: final === undefined ? "nobody looked at the tables at the end" : "no write was acknowledged",
    });
  },
};

function offence(answer: Completion["type"], count: number): string | undefined {
  if (count > 1) return `was done ${count} times`;
  if (answer === "ok" && count === 0) return "was acknowledged and is lost";
  if (answer === "fail" && count > 0) return "was reported as failed and was done";
  return undefined;
}

function lastLook(history: History): FinalState | undefined {
  return history.findLast((entry) => entry.type === "final");
}
