/**
 * Nothing runs where it must not: a write only on a server that is no standby, and all statements of a transaction on one
 * connection. Judged from what the rows say of the server that gave them; holds for the whole run, warm-up included.
 */
import type { Completion, Evidence, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import type { Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

/** What a server says to a write that it may not do (`read_only_sql_transaction`): the client got to hear of it. */
const READ_ONLY = "25006";

export const routing: Checker = {
  name: "routing",
  guarantee: "No write runs on a replica, and no read-only transaction leaves its connection half-way.",

  check({ history }) {
    const violations = new Violations();
    const answered = { writes: 0, transactions: 0, readsOnReplicas: 0, readsOnPrimary: 0 };

    const judgeWrite = (invoke: Invoke, completion: Completion): void => {
      const [seen] = completion.evidence ?? [];
      const refused = completion.error?.code === READ_ONLY;
      if (seen === undefined && !refused) return;
      answered.writes++;
      if (refused) {
        violations.add(
          [invoke.index, completion.index],
          () => `write ${invoke.id} was sent where nothing may be written (${READ_ONLY})`,
        );
      } else if (seen?.role !== "primary") {
        violations.add(
          [invoke.index, completion.index],
          () => `write ${invoke.id} was answered by ${seen?.node}, which is a replica`,
        );
      }
    };

    const judgeTransaction = (invoke: Invoke, completion: Completion): void => {
      const evidence = completion.evidence ?? [];
      if (evidence.length < 2) return;
      answered.transactions++;
      const moved = moveWithin(evidence);
      if (moved === undefined) return;
      violations.add(
        [invoke.index, completion.index],
        () => `transaction ${invoke.index} moved from ${moved}`,
      );
    };

    forEachOperation(history, (invoke, completion) => {
      if (completion === undefined || invoke.f === "heartbeat") return;
      if (invoke.f === "write") {
        judgeWrite(invoke, completion);
        return;
      }
      if (invoke.f === "transaction") judgeTransaction(invoke, completion);
      const role = completion.evidence?.[0]?.role;
      if (role === "replica") answered.readsOnReplicas++;
      else if (role === "primary") answered.readsOnPrimary++;
    });

    const { writes, transactions } = answered;
    return verdictOf({
      checker: routing.name,
      violations,
      evidence: writes + transactions,
      figures: {
        writesJudged: writes,
        transactionsJudged: transactions,
        readsOnReplicas: answered.readsOnReplicas,
        readsOnPrimary: answered.readsOnPrimary,
      },
      held: `${writes} writes ran on the primary only, ${transactions} transactions on one connection each`,
      nothing: "no write and no transaction of several statements was answered",
    });
  },
};

/** From where to where, if not all statements were answered on one connection. A backend that was not told is no objection. */
function moveWithin([first, ...others]: readonly Evidence[]): string | undefined {
  let backend = first?.backend;
  for (const seen of others) {
    if (seen.node !== first?.node) return `${first?.node} to ${seen.node}`;
    backend ??= seen.backend;
    if (seen.backend !== undefined && seen.backend !== backend) {
      return `backend ${backend} to ${seen.backend} of ${seen.node}`;
    }
  }
  return undefined;
}
