/**
 * What a kind of fault has to bring along: how it is done, how it is undone, and for both the proof that an
 * outsider sees it. A world's nemesis is a table of these; what is not in the table, the world cannot do.
 */
import type { Fault, FaultKind } from "../../chaos/faults/fault.ts";
import type { Watch } from "./watch.ts";

/** One fault on one target. The steps are called in this order, and never two of them at the same time. */
export interface FaultProcedure {
  /**
   * Opens what the proof needs from before the fault, and breaks nothing. When it fails there is nothing to undo.
   * Default: nothing is needed.
   */
  prepare?(watch: Watch): Promise<void>;
  /** Breaks it. */
  inject(watch: Watch): Promise<void>;
  /** Resolves when an independent connection has seen the effect. A failure is tried again until the deadline. */
  observeOn(watch: Watch): Promise<void>;
  /** Undoes it, also when it was done by half or not at all, and again after a heal that nobody saw. */
  heal(watch: Watch): Promise<void>;
  /** Resolves when an independent connection has seen that the effect is gone. Tried again like `observeOn`. */
  observeOff(watch: Watch): Promise<void>;
  /** Closes what `prepare` opened for the proof. Called once the injection has ended, well or not. */
  release?(): Promise<void>;
  /** How much longer than usual its effect needs to be seen, in milliseconds. Default 0. */
  readonly slowerByMs?: number;
}

type FaultOf<Kind extends FaultKind> = Extract<Fault, { readonly kind: Kind }>;

/**
 * By kind, who does it. Preparing a procedure touches nothing yet.
 * Entries throw when the fault names a link or a node that is not there.
 */
export type FaultTable = {
  readonly [Kind in FaultKind]?: (fault: FaultOf<Kind>) => FaultProcedure;
};

/** Finds the procedure for a fault; undefined when the table has none of its kind. */
export function procedureFor(table: FaultTable, fault: Fault): FaultProcedure | undefined {
  const prepare = table[fault.kind] as ((fault: Fault) => FaultProcedure) | undefined;
  return prepare?.(fault);
}

export function kindsIn(table: FaultTable): readonly FaultKind[] {
  return Object.keys(table) as FaultKind[];
}
