/**
 * Nothing that must not be repeated is sent twice. Judged from the last look at the table, where a write's id stands once
 * for each time that it was done, whatever its caller was told; and, where the router tells its picks, from how many of
 * them were made again. That a write sent twice was refused once cannot be seen here.
 */
import type { FinalState, Invoke, OperationFunction } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

/** Picks apart that no read of the workload accounts for: whatever a subject asks for itself. */
const UNRECORDED_PICKS = 20;

export const retrySafety: Checker = {
  name: "retry-safety",
  guarantee:
    "No write is done twice, whatever its caller was told, and no read is tried more often than the policy allows.",

  check(input) {
    const violations = new Violations();
    const final = input.history.findLast((entry) => entry.type === "final");
    const { writes, inDoubt, reads } = final === undefined ? NOTHING : judgeWrites(input, final, violations);
    const retries = judgeRetries(input, reads, violations);
    return verdictOf({
      checker: retrySafety.name,
      violations,
      evidence: writes,
      figures: {
        writesJudged: writes,
        writesInDoubt: inDoubt,
        ...(retries === undefined
          ? {}
          : { picksApart: retries, picksApartPerRead: reads === 0 ? 0 : retries / reads }),
      },
      held: `none of ${writes} writes stands twice, ${inDoubt} of them failed or in doubt; ${retries === undefined ? "the router tells no retries" : `${retries} picks were made again or apart for ${reads} reads`}`,
      nothing:
        final === undefined
          ? "nobody looked at the tables at the end"
          : "no write was asked before the last look",
    });
  },
};

const NOTHING = { writes: 0, inDoubt: 0, reads: 0 };

function judgeWrites({ history }: CheckInput, final: FinalState, violations: Violations): typeof NOTHING {
  // Those that stand more than once; none, where all is well.
  const repeated = new Map(final.writes.filter(([, count]) => count > 1));
  const tally = { writes: 0, inDoubt: 0, reads: 0 };
  forEachOperation(history, (invoke, completion) => {
    if (isRead(invoke.f)) tally.reads++;
    const id = writeId(invoke);
    if (id === undefined || invoke.at > final.at) return;
    tally.writes++;
    const answer = completion?.type ?? "info";
    if (answer !== "ok") tally.inDoubt++;
    const count = repeated.get(id);
    if (count === undefined) return;
    repeated.delete(id);
    const proof = [invoke.index, ...(completion === undefined ? [] : [completion.index]), final.index];
    violations.add(proof, () => `write ${id} stands ${count} times; its caller was told "${answer}"`);
  });
  for (const [id, count] of repeated) {
    violations.add([final.index], () => `write ${id} stands ${count} times, and nobody asked for it`);
  }
  return tally;
}

/** How many picks were made apart, if the router tells; a pick apart may also be one for a session's own write. */
function judgeRetries(
  { history, policy }: CheckInput,
  reads: number,
  violations: Violations,
): number | undefined {
  let apart: number | undefined;
  const told: number[] = [];
  for (const entry of history) {
    if (entry.type !== "testimony" || entry.event.kind !== "epoch-picks") continue;
    apart = (apart ?? 0) + entry.event.apart;
    if (entry.event.apart > 0) told.push(entry.index);
  }
  if (apart === undefined) return undefined;
  const tries = policy.readYourWrites === "off" ? policy.retries.max : policy.retries.max + 1;
  const limit = tries * reads + UNRECORDED_PICKS;
  if (apart > limit) {
    violations.add(
      told,
      () => `${apart} picks were made again or apart for ${reads} reads; ${limit} are allowed`,
    );
  }
  return apart;
}

function isRead(f: OperationFunction): boolean {
  return f === "read" || f === "transaction";
}

function writeId({ f, id }: Invoke): number | undefined {
  return f === "write" ? id : undefined;
}
