/**
 * What one session sees, in order: its own writes, and never less than it saw before. The newest heartbeat that a statement
 * saw is the version of one key, and the primary's log puts all keys in one order: who sees an older heartbeat than a
 * write's own statement did cannot see that write. What is certain and what is only possible are counted apart.
 */
import { parseLsn } from "../../src/routing/lsn.ts";
import type { Claim } from "../subject.ts";
import type { Completion, Evidence, History, Invoke } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import type { CheckInput, Checker, Verdict } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

export const sessionOrder: Checker = {
  name: "session-order",
  guarantee: "A session's reads show its own acknowledged writes, and never less than its earlier reads did.",

  check(input) {
    const judge = new Judge(input);
    forEachOperation(input.history, (invoke, completion) => judge.operation(invoke, completion));
    const { own, again, violations } = judge;
    const figures = {
      readsAfterOwnWrite: own.judged,
      readsWithoutOwnWrite: own.stale,
      readsPossiblyWithoutOwnWrite: own.possiblyStale,
      readsAfterRead: again.judged,
      readsThatWentBack: again.back,
      readsThatPossiblyWentBack: again.possiblyBack,
    };
    const words = `${own.stale} of ${own.judged} reads lacked the session's own write (${own.possiblyStale} more possibly), ${again.back} of ${again.judged} showed less than an earlier one (${again.possiblyBack} more possibly)`;
    const claimed = claimedOf(input);
    const verdict = verdictOf({
      checker: sessionOrder.name,
      violations,
      evidence: (claimed.ownWrites ? own.judged : 0) + (claimed.monotonic ? again.judged : 0),
      figures,
      held: words,
      nothing: "no session read after its own write, or after another read",
    });
    if (claimed.ownWrites || claimed.monotonic) return verdict;
    return notClaimed(verdict, own.judged + again.judged, words);
  },
};

function notClaimed(verdict: Verdict, evidence: number, words: string): Verdict {
  return {
    ...verdict,
    status: "not-claimed",
    evidence,
    summary: `the subject claims neither read-your-writes nor monotonic-reads: ${words}`,
  };
}

interface Claimed {
  readonly ownWrites: boolean;
  readonly monotonic: boolean;
}

function claimedOf({ claims }: CheckInput): Claimed {
  const claimed = (claim: Claim): boolean => claims?.includes(claim) ?? true;
  return { ownWrites: claimed("read-your-writes"), monotonic: claimed("monotonic-reads") };
}

interface OwnWrite {
  readonly id: number;
  readonly acknowledgedAt: number;
  /** The newest heartbeat that the write's own statement saw, and with it everything before. */
  readonly heartbeat: number;
  /** A read that sees this heartbeat sees the write: it was begun after the acknowledgement. */
  readonly provedBy: number;
  readonly index: number;
}

interface Seen {
  readonly evidence: Evidence;
  readonly at: number;
  readonly index: number;
}

class Judge {
  readonly violations: Violations = new Violations();
  readonly own = { judged: 0, stale: 0, possiblyStale: 0 };
  readonly again = { judged: 0, back: 0, possiblyBack: 0 };
  readonly #input: CheckInput;
  readonly #claimed: Claimed;
  readonly #heartbeats: Heartbeats;
  readonly #ownWrites = new Map<number, OwnWrite>();
  readonly #seen = new Map<number, Seen>();

  constructor(input: CheckInput) {
    this.#input = input;
    this.#claimed = claimedOf(input);
    this.#heartbeats = new Heartbeats(input.history);
  }

  operation(invoke: Invoke, completion: Completion | undefined): void {
    if (completion?.type !== "ok" || invoke.f === "heartbeat") return;
    const evidence = completion.evidence ?? [];
    if (invoke.f === "write") {
      const [seen] = evidence;
      if (seen !== undefined && invoke.id !== undefined) this.#wrote(invoke.id, completion, seen);
      return;
    }
    const { from, until } = this.#input;
    for (const seen of evidence) {
      if (invoke.at >= from && invoke.at <= until) {
        this.#judgeOwn(invoke, completion, seen);
        this.#judgeAgain(invoke, completion, seen);
      }
      this.#note(invoke, completion, seen);
    }
  }

  #wrote(id: number, { process, at, index }: Completion, { heartbeat }: Evidence): void {
    const provedBy = this.#heartbeats.firstBegunAfter(at);
    this.#ownWrites.set(process, { id, acknowledgedAt: at, heartbeat, provedBy, index });
  }

  #judgeOwn(invoke: Invoke, completion: Completion, seen: Evidence): void {
    const own = this.#ownWrites.get(invoke.process);
    if (own === undefined || own.acknowledgedAt > invoke.at) return;
    this.own.judged++;
    const lacks = seen.ownWrite === undefined ? seen.heartbeat < own.heartbeat : seen.ownWrite < own.id;
    if (!lacks) {
      const proved = seen.ownWrite !== undefined || seen.role === "primary" || seen.heartbeat >= own.provedBy;
      if (!proved) this.own.possiblyStale++;
      return;
    }
    this.own.stale++;
    if (!this.#claimed.ownWrites) return;
    this.violations.add(
      [own.index, invoke.index, completion.index],
      () =>
        `${invoke.f} ${invoke.index} on ${seen.node} did not show write ${own.id}, which its own session had been told of`,
    );
  }

  #judgeAgain(invoke: Invoke, completion: Completion, seen: Evidence): void {
    const before = this.#seen.get(invoke.process);
    if (before === undefined || (before.at > invoke.at && before.index !== completion.index)) return;
    this.again.judged++;
    if (seen.heartbeat < before.evidence.heartbeat) {
      this.again.back++;
      if (!this.#claimed.monotonic) return;
      this.violations.add(
        [before.index, invoke.index, completion.index],
        () =>
          `${invoke.f} ${invoke.index} on ${seen.node} saw heartbeat ${seen.heartbeat}, its session had seen ${before.evidence.heartbeat} before`,
      );
    } else if (mayShowLess(seen, before.evidence)) {
      this.again.possiblyBack++;
    }
  }

  /** What showed most is kept. */
  #note({ process }: Invoke, { at, index }: Completion, evidence: Evidence): void {
    const before = this.#seen.get(process)?.evidence;
    if (before !== undefined && before.heartbeat > evidence.heartbeat) return;
    if (before !== undefined && mayShowLess(evidence, before)) return;
    this.#seen.set(process, { evidence, at, index });
  }
}

/** Replay positions are upper bounds of what was seen: of two replicas the one that is behind may have shown less. */
function mayShowLess(seen: Evidence, before: Evidence): boolean {
  if (seen.heartbeat !== before.heartbeat || seen.node === before.node) return false;
  if (seen.role !== "replica" || before.role !== "replica") return false;
  const lsn = parseLsn(seen.replayLsn);
  const lsnBefore = parseLsn(before.replayLsn);
  return lsn !== undefined && lsnBefore !== undefined && lsn < lsnBefore;
}

/** By time: which heartbeat was the first to be begun after it. */
class Heartbeats {
  readonly #begunAt: number[] = [];
  readonly #numbers: number[] = [];

  constructor(history: History) {
    for (const entry of history) {
      if (entry.type !== "invoke" || entry.f !== "heartbeat" || entry.id === undefined) continue;
      this.#begunAt.push(entry.at);
      this.#numbers.push(entry.id);
    }
  }

  firstBegunAfter(at: number): number {
    let low = 0;
    let high = this.#begunAt.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#begunAt[middle] as number) <= at) low = middle + 1;
      else high = middle;
    }
    return this.#numbers[low] ?? Infinity;
  }
}
