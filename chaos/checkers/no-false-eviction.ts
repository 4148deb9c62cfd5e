/**
 * Nobody is evicted who is well. This one reads what the router says of itself (`evicted`) and holds it against the
 * observed faults: an idle primary, a checkpoint or a WAL switch must cost no replica its reads, nor one replica's
 * fault another's.
 */
import { budgets } from "../../src/config/budgets.ts";
import { lengthWithin, touches } from "../history/intervals.ts";
import type { Testimony } from "../history/operation.ts";
import { deriveTruth } from "../history/truth.ts";
import type { NodeTruth, Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

export const noFalseEviction: Checker = {
  name: "no-false-eviction",
  guarantee: "No replica is evicted that was well for the whole budget before.",
  claim: "events",

  check(input) {
    const { history, from, until } = input;
    const truth = deriveTruth(input);
    const violations = new Violations();
    const lookBackMs = lookBack(input, truth);
    let testimonies = 0;
    let evictions = 0;
    for (const entry of history) {
      if (entry.type !== "testimony") continue;
      testimonies++;
      if (entry.event.kind !== "evicted" || entry.at < from || entry.at > until) continue;
      evictions++;
      const { node, reason, basis } = entry.event;
      const replica = truth.replicas.get(node);
      if (replica === undefined || isExplained(entry, { replica, truth, lookBackMs })) continue;
      violations.add(
        [entry.index],
        () =>
          `${node} was evicted as ${reason} (${basis}), but nothing was wrong with it in the ${ms(lookBackMs)} before`,
      );
    }
    const wellMs = watchedMs(input, truth);
    return verdictOf({
      checker: noFalseEviction.name,
      violations,
      // A router that says nothing has not been heard to evict nobody.
      evidence: wellMs > 0 ? testimonies : 0,
      figures: { evictions, explainedEvictions: evictions - violations.count, testimonies, wellMs },
      held: `${evictions} evictions, each explained by a fault; replicas were well for ${ms(wellMs)} in all`,
      nothing: "the router says nothing of itself, or no replica was well for longer than the budget",
      doubts: doubtsOf(truth),
    });
  },
};

/** How long before it an eviction may have its cause. */
function lookBack({ policy }: CheckInput, { slackMs }: Truth): number {
  const { downMs, staleMs } = budgets(policy);
  return Math.max(downMs, staleMs === "off" ? 0 : staleMs) + slackMs;
}

interface Explaining {
  readonly replica: NodeTruth;
  readonly truth: Truth;
  readonly lookBackMs: number;
}

function isExplained({ at, event }: Testimony, { replica, truth, lookBackMs }: Explaining): boolean {
  if (touches(replica.possiblyIll, at - lookBackMs, at)) return true;
  // Who lacks the last commits of a killed primary is behind its peers, which got them.
  return (
    event.kind === "evicted" &&
    event.reason === "lagging" &&
    touches(truth.primaryKilled, at - lookBackMs, at)
  );
}

/** Time in which an eviction would have been false, over all replicas. */
function watchedMs({ from, until }: CheckInput, truth: Truth): number {
  const lengthMs = Math.max(0, until - from);
  return [...truth.replicas.values()].reduce((sum, { possiblyIll }) => {
    return sum + lengthMs - lengthWithin(possiblyIll, from, until);
  }, 0);
}
