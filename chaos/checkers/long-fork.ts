/**
 * Two reads of different nodes of which each saw something that the other did not: x without y, and y without x. PostgreSQL
 * does this in health (on the primary, commits become visible in another order than they have in the log, which is
 * the standbys' order), so no router can prevent it short of reading on one node only. Counted, never a failure.
 *
 * @see https://jepsen.io/analyses/amazon-rds-for-postgresql-17.4 – long fork without any fault
 */
import type { Evidence } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import type { Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

export const longFork: Checker = {
  name: "long-fork",
  guarantee:
    "Nothing is promised: reads of two nodes that contradict each other are PostgreSQL's own, and counted.",

  check({ history, from, until }) {
    const sessions = new Map<number, Views>();
    let compared = 0;
    let forks = 0;
    forEachOperation(history, (invoke, completion) => {
      if (completion?.type !== "ok" || invoke.f === "heartbeat") return;
      if (invoke.f === "write") {
        if (invoke.id !== undefined) sessions.set(invoke.process, { write: invoke.id });
        return;
      }
      const views = sessions.get(invoke.process);
      if (views === undefined || invoke.at < from || invoke.at > until) return;
      for (const seen of completion.evidence ?? []) {
        if (seen.ownWrite === undefined) continue;
        compared++;
        if (isFork(views, seen)) forks++;
      }
    });
    const verdict = verdictOf({
      checker: longFork.name,
      violations: new Violations(),
      evidence: compared,
      figures: { readsCompared: compared, longForks: forks },
      held: `${forks} of ${compared} reads contradict one of another node, as PostgreSQL allows (commits become visible on the primary in another order than on standbys)`,
      nothing: "no read told whether it saw its session's own write",
    });
    return { ...verdict, informational: true };
  },
};

/** What the reads since a session's write saw: the newest heartbeat without it, and the oldest with it. */
interface Views {
  readonly write: number;
  without?: Evidence;
  with?: Evidence;
}

/** With the write and without a heartbeat that another node showed without the write; or the other way round. */
function isFork(views: Views, seen: Evidence): boolean {
  if ((seen.ownWrite ?? 0) >= views.write) {
    if (views.with === undefined || seen.heartbeat < views.with.heartbeat) views.with = seen;
    const { without } = views;
    return without !== undefined && without.node !== seen.node && without.heartbeat > seen.heartbeat;
  }
  if (views.without === undefined || seen.heartbeat > views.without.heartbeat) views.without = seen;
  return views.with !== undefined && views.with.node !== seen.node && seen.heartbeat > views.with.heartbeat;
}
