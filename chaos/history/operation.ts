/**
 * A history: everything that happened in one run, in the order it was recorded. Clients' operations are evidence,
 * the nemesis' observed windows are the truth about faults, and what the router said of itself is testimony.
 * Times are milliseconds of one monotonic clock, counted from the start of the run.
 */
import type { Fault } from "../faults/fault.ts";

/** What a client asks for. `heartbeat` is the harness's own writer, straight on the primary. */
export type OperationFunction = "read" | "write" | "transaction" | "heartbeat";

/** A client is about to ask. */
export interface Invoke {
  readonly type: "invoke";
  readonly index: number;
  /** The session that asks; one session has one operation open at a time. */
  readonly process: number;
  readonly f: OperationFunction;
  /** When the call was made. */
  readonly at: number;
  /** When the open loop meant to make it; the difference is what coordinated omission would hide. */
  readonly intendedAt: number;
  /** The unique id that a write inserts, or the number of a heartbeat. */
  readonly id?: number;
}

/**
 * The answer. `ok`: it happened. `fail`: it certainly did not. `info`: nobody knows (a write whose connection was lost
 * after it was sent); it may still take effect later.
 */
export interface Completion {
  readonly type: "ok" | "fail" | "info";
  readonly index: number;
  readonly process: number;
  readonly f: OperationFunction;
  readonly at: number;
  /** The {@link Invoke.index} that this answers. */
  readonly invoke: number;
  readonly id?: number;
  /** What each statement's rows proved, in order: one for a read or write, several for a transaction. */
  readonly evidence?: readonly Evidence[];
  readonly error?: OperationError;
}

/** What the data itself says about where and how fresh it was read. */
export interface Evidence {
  /** The server's own name for itself (`cluster_name`). */
  readonly node: string;
  readonly role: "primary" | "replica";
  /** Replay position after the statement's snapshot was taken: an upper bound of what it can have seen. */
  readonly replayLsn?: string | undefined;
  /** Number of the newest heartbeat that the statement saw; 0 before the first. */
  readonly heartbeat: number;
  /** Backend process id: two statements of one transaction must share it. */
  readonly backend?: number | undefined;
  /** Where the session asked for its own last acknowledged write: that write's id if the statement saw it, else 0. */
  readonly ownWrite?: number | undefined;
}

export interface OperationError {
  /** A `RouterError`'s code, a SQLSTATE, or a system error's code. */
  readonly code: string;
  readonly message: string;
}

/** The nemesis at work. A fault is on only from `observed` of its inject, and off only from `observed` of its heal. */
export interface NemesisOperation {
  readonly type: "nemesis";
  readonly index: number;
  readonly phase: "inject" | "heal";
  readonly fault: Fault;
  /** Pairs an inject with its heal. */
  readonly faultId: number;
  /** When it was begun; between that and `observedAt` both answers are legal. */
  readonly begunAt: number;
  /** When an independent connection saw the effect; `null` when nobody did. */
  readonly observedAt: number | null;
}

/** The workload's writers and the heartbeat were told to be quiet, or to go on. */
export interface QuietOperation {
  readonly type: "quiet";
  readonly index: number;
  readonly on: boolean;
  readonly at: number;
}

/** What the router said: its events, its log lines. Read only by the checkers that compare it with the truth. */
export interface Testimony {
  readonly type: "testimony";
  readonly index: number;
  readonly at: number;
  readonly event: RouterEvent;
}

export type RouterEvent =
  | { readonly kind: "log"; readonly level: "debug" | "info" | "warn" | "error"; readonly message: string }
  | { readonly kind: "evicted"; readonly node: string; readonly reason: string; readonly basis: string }
  | { readonly kind: "readmitted" | "restored" | "joined" | "draining" | "undrained"; readonly node: string }
  | { readonly kind: "primary-up" | "primary-down"; readonly node: string }
  | { readonly kind: "fallback-started" | "fallback-ended" | "time-jumped" | "local-stall" }
  /** A new set or new weights; picks are counted per epoch. */
  | { readonly kind: "epoch"; readonly epoch: number; readonly weights: Readonly<Record<string, number>> }
  /** Picks made in an epoch that has ended, in decision order: how many of each, those outside the proof apart. */
  | {
      readonly kind: "epoch-picks";
      readonly epoch: number;
      readonly picks: readonly string[];
      readonly apart: number;
    };

/** How the subject's resources looked, before, during or after: for the leak check. */
export interface ResourceSample {
  readonly type: "resources";
  readonly index: number;
  readonly at: number;
  readonly phase: "before-start" | "running" | "after-end";
  /** Per node: connections on the server with the subject's application_name, asked of pg_stat_activity directly. */
  readonly serverConnections: Readonly<Record<string, number>>;
  /** In the subject's thread: kinds of open handles and how many; absent where it cannot be seen. */
  readonly handles?: Readonly<Record<string, number>> | undefined;
}

/** The last look, straight on the primary after everything healed. */
export interface FinalState {
  readonly type: "final";
  readonly index: number;
  readonly at: number;
  /** How often each write id stands in the table, for ids that stand there: `[id, count]`. */
  readonly writes: readonly (readonly [number, number])[];
  /** Write ids found on any node but not on the primary. */
  readonly elsewhere: readonly number[];
}

/** Arrivals that the open loop could not make because every session was busy. */
export interface Dropped {
  readonly type: "dropped";
  readonly index: number;
  readonly at: number;
  readonly f: OperationFunction;
}

export type HistoryEntry =
  | Invoke
  | Completion
  | NemesisOperation
  | QuietOperation
  | Testimony
  | ResourceSample
  | FinalState
  | Dropped;

export type History = readonly HistoryEntry[];
