/** The nemesis' operations paired into windows: when each fault was possibly, and when it was certainly, on. Pure. */
import type { Fault, FaultKind } from "../faults/fault.ts";
import type { Interval } from "./intervals.ts";
import type { History, NemesisOperation } from "./operation.ts";

export interface FaultWindow {
  readonly fault: Fault;
  readonly faultId: number;
  /** Index of the inject in the history. */
  readonly index: number;
  /** From the begin of the inject to the observed end of the heal. Without an observed heal it never ends. */
  readonly possibly: Interval;
  /** From the observed inject to the begin of the heal; undefined when the inject was never observed. */
  readonly certainly: Interval | undefined;
  /** From the begin of the heal to its observed end: the node comes back. */
  readonly healing: Interval | undefined;
  /** Was every step seen by an independent connection? */
  readonly observed: boolean;
}

/** They happen once and leave nothing to heal. */
const ONE_SHOT: ReadonlySet<FaultKind> = new Set(["wal-switched", "checkpointed"]);

/** In the order in which the faults were begun. */
export function faultWindows(history: History): readonly FaultWindow[] {
  const injects: NemesisOperation[] = [];
  const heals = new Map<number, NemesisOperation[]>();
  for (const entry of history) {
    if (entry.type !== "nemesis") continue;
    if (entry.phase === "inject") injects.push(entry);
    else heals.set(entry.faultId, [...(heals.get(entry.faultId) ?? []), entry]);
  }
  return injects
    .map((inject) => faultWindow(inject, heals.get(inject.faultId) ?? []))
    .sort((a, b) => a.possibly.from - b.possibly.from);
}

/** A heal may have been tried more than once: the first try ends certainty, only a seen one ends possibility. */
function faultWindow(inject: NemesisOperation, heals: readonly NemesisOperation[]): FaultWindow {
  const { fault, faultId, index, begunAt, observedAt } = inject;
  const oneShot = ONE_SHOT.has(fault.kind);
  const healBegunAt = oneShot ? (observedAt ?? Infinity) : Math.min(Infinity, ...heals.map((h) => h.begunAt));
  const healedAt = oneShot
    ? (observedAt ?? Infinity)
    : Math.min(Infinity, ...heals.map((h) => h.observedAt ?? Infinity));
  return {
    fault,
    faultId,
    index,
    possibly: { from: begunAt, to: healedAt },
    certainly: observedAt === null ? undefined : { from: observedAt, to: healBegunAt },
    healing: healBegunAt === Infinity ? undefined : { from: healBegunAt, to: healedAt },
    // A run that ends while a fault is on has nothing unseen; a heal that was begun and not seen has.
    observed: observedAt !== null && (heals.length === 0 || healedAt !== Infinity),
  };
}
