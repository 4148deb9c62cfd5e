/**
 * A replica that truly lags serves nothing: no read begins on it once it has lacked an acknowledged commit for longer than
 * the budget. Judged from the observed faults and from where the rows say they were read.
 */
import { budgets } from "../../src/config/budgets.ts";
import { covering, union } from "../history/intervals.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

export const lagEviction: Checker = {
  name: "lag-eviction",
  guarantee:
    "A replica whose replication is broken while the primary writes serves no read beyond the lag budget.",
  claim: "lag-limit",

  check(input) {
    const { history, policy, from, until } = input;
    const { staleMs } = budgets(policy);
    const truth = deriveTruth(input);
    const anyLagging = union([...truth.replicas.values()].flatMap((replica) => replica.certainlyLagging));
    const violations = new Violations();
    let reads = 0;
    forEachOperation(history, (invoke, completion) => {
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      if (completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
      // Answered after the heal began, it may have waited for a replica that was well again.
      if (covering(anyLagging, invoke.at, completion.at) === undefined) return;
      reads++;
      const [served] = completion.evidence ?? [];
      const lagging = truth.replicas.get(served?.node ?? "")?.certainlyLagging ?? [];
      const window = covering(lagging, invoke.at, completion.at);
      if (window === undefined) return;
      violations.add(
        [invoke.index, completion.index],
        () =>
          `${invoke.f} ${invoke.index} was served by ${served?.node} ${ms(invoke.at - window.from)} after it had to be evicted for lag`,
      );
    });
    const allowed = staleMs === "off" ? "" : `${ms(staleMs)} + ${ms(truth.slackMs)} for scheduling`;
    return verdictOf({
      checker: lagEviction.name,
      violations,
      evidence: reads,
      figures: {
        readsJudged: reads,
        windowsJudged: [...truth.replicas.values()].reduce((sum, r) => sum + r.certainlyLagging.length, 0),
        schedulingSlackMs: truth.slackMs,
        ...(staleMs === "off" ? {} : { staleBudgetMs: staleMs }),
      },
      held: `none of ${reads} reads was served by a replica that lagged beyond ${allowed}`,
      nothing:
        staleMs === "off"
          ? "replicaLagThreshold is off: nobody has to leave for lag"
          : `no read was asked while a replica lagged beyond ${allowed}`,
      doubts: doubtsOf(truth),
    });
  },
};
