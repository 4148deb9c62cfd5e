/**
 * No read shows data older than the policy allows, proved from the data alone: a read that returned heartbeat n began
 * after heartbeat n + 1 had been acknowledged for longer than the budget. Only that lower bound convicts.
 */
import { budgets } from "../../src/config/budgets.ts";
import { covering } from "../history/intervals.ts";
import type { IntervalSet } from "../history/intervals.ts";
import type { Completion, Evidence, History, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

export const boundedStaleness: Checker = {
  name: "bounded-staleness",
  guarantee: "No read returns data that is certainly older than replicaLagThreshold + interval + timeout.",
  claim: "lag-limit",

  check(input) {
    const { history, policy, from, until } = input;
    const { staleMs } = budgets(policy);
    const truth = deriveTruth(input);
    const heartbeats = new Heartbeats(history);
    const ages = new Ages();
    const violations = new Violations();
    const frozen = frozenTimes(input, truth.primaryUnknown);
    let judged = 0;

    const judge = (invoke: Invoke, completion: Completion, seen: Evidence): void => {
      judged++;
      const next = heartbeats.after(seen.heartbeat);
      // A lag bound stands still while the primary cannot be asked: from then on nobody can know better.
      const at = covering(frozen, invoke.at, invoke.at)?.from ?? invoke.at;
      const certainMs = Math.max(0, at - next.acknowledgedAt);
      const possibleMs = Math.max(0, completion.at - next.begunAt);
      ages.note(seen.node, { certainMs, possibleMs });
      if (staleMs === "off" || certainMs <= staleMs) return;
      violations.add(
        [invoke.index, completion.index, next.index],
        () =>
          `${invoke.f} ${invoke.index} on ${seen.node} returned heartbeat ${seen.heartbeat}, certainly ${ms(certainMs)} old; allowed are ${ms(staleMs)}`,
      );
    };

    forEachOperation(history, (invoke, completion) => {
      if (completion?.type !== "ok" || invoke.at < from || invoke.at > until) return;
      if (invoke.f !== "read" && invoke.f !== "transaction") return;
      for (const seen of completion.evidence ?? []) judge(invoke, completion, seen);
    });

    return verdictOf({
      checker: boundedStaleness.name,
      violations,
      evidence: heartbeats.acknowledged === 0 || staleMs === "off" ? 0 : judged,
      figures: {
        readsJudged: judged,
        heartbeatsAcknowledged: heartbeats.acknowledged,
        ...(staleMs === "off" ? {} : { staleBudgetMs: staleMs }),
        ...ages.figures(),
      },
      held: `of ${judged} answers the oldest was certainly ${ms(ages.worst.certainMs)} and at most ${ms(ages.worst.possibleMs)} old${staleMs === "off" ? "" : `; allowed are ${ms(staleMs)}`}`,
      nothing:
        staleMs === "off"
          ? "replicaLagThreshold is off: no age is promised"
          : "no read returned a heartbeat, or no heartbeat was acknowledged",
      // What was read is proof by itself; but a fault that was not there has not been survived.
      doubts: doubtsOf(truth),
    });
  },
};

/** Only where the policy lets replicas go on serving while the primary is unknown. */
function frozenTimes({ policy }: CheckInput, primaryUnknown: IntervalSet): IntervalSet {
  return policy.whenPrimaryUnknown === "serve" ? primaryUnknown : [];
}

interface Next {
  /** Index of the acknowledgement, or -1. */
  readonly index: number;
  readonly acknowledgedAt: number;
  readonly begunAt: number;
}

const NEVER: Next = { index: -1, acknowledgedAt: Infinity, begunAt: Infinity };

/** By number: when the first one above it was acknowledged, and when the first one above it may have been written. */
class Heartbeats {
  acknowledged = 0;
  readonly #numbers: number[] = [];
  readonly #nexts: Next[] = [];

  constructor(history: History) {
    const beats: (Next & { readonly number: number })[] = [];
    forEachOperation(history, (invoke, completion) => {
      if (invoke.f !== "heartbeat" || invoke.id === undefined || completion?.type === "fail") return;
      // One whose answer was lost may be visible later: it begins what is possible and proves nothing.
      const isOk = completion?.type === "ok";
      if (isOk) this.acknowledged++;
      beats.push({
        number: invoke.id,
        index: isOk ? completion.index : -1,
        acknowledgedAt: isOk ? completion.at : Infinity,
        begunAt: invoke.at,
      });
    });
    beats.sort((a, b) => a.number - b.number);
    let next = NEVER;
    for (const beat of beats.toReversed()) {
      const first = beat.acknowledgedAt < next.acknowledgedAt ? beat : next;
      next = {
        index: first.index,
        acknowledgedAt: first.acknowledgedAt,
        begunAt: Math.min(beat.begunAt, next.begunAt),
      };
      this.#numbers.push(beat.number);
      this.#nexts.push(next);
    }
    this.#numbers.reverse();
    this.#nexts.reverse();
  }

  /** What a read lacks that saw nothing above `number`. */
  after(number: number): Next {
    let low = 0;
    let high = this.#numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#numbers[middle] as number) <= number) low = middle + 1;
      else high = middle;
    }
    return this.#nexts[low] ?? NEVER;
  }
}

interface Age {
  readonly certainMs: number;
  readonly possibleMs: number;
}

/** The worst of each node. */
class Ages {
  readonly #worst = new Map<string, { certainMs: number; possibleMs: number }>();

  note(node: string, { certainMs, possibleMs }: Age): void {
    const worst = this.#worst.get(node);
    if (worst === undefined) {
      this.#worst.set(node, { certainMs, possibleMs });
      return;
    }
    if (certainMs > worst.certainMs) worst.certainMs = certainMs;
    if (possibleMs > worst.possibleMs) worst.possibleMs = possibleMs;
  }

  get worst(): Age {
    const all = [...this.#worst.values()];
    return {
      certainMs: Math.max(0, ...all.map(({ certainMs }) => certainMs)),
      possibleMs: Math.max(0, ...all.map(({ possibleMs }) => possibleMs)),
    };
  }

  figures(): Record<string, number> {
    const figures: Record<string, number> = {
      worstCertainMs: this.worst.certainMs,
      worstPossibleMs: this.worst.possibleMs,
    };
    for (const [node, { certainMs, possibleMs }] of [...this.#worst].sort(([a], [b]) => (a < b ? -1 : 1))) {
      figures[`${node}CertainMs`] = certainMs;
      figures[`${node}PossibleMs`] = possibleMs;
    }
    return figures;
  }
}
