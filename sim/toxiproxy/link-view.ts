/**
 * A link as an outsider sees it, which is all that counts as proof: whether something gets through, and how late. What
 * that something is depends on who uses the link: queries on the application's links, WAL on the replicas'.
 */
import type { Direction } from "../../chaos/faults/fault.ts";
import type { TcpAddress } from "../nemesis/tcp.ts";
import type { Watch } from "../nemesis/watch.ts";

export interface LinkView {
  /**
   * Opens what is watched, and measures how the link is before the fault.
   * @throws Error when nothing gets through already
   */
  prepare(watch: Watch): Promise<void>;
  /** Resolves when nothing gets through, while the way past the link is as quick as ever. */
  seeSilence(watch: Watch): Promise<void>;
  /** Resolves when something new gets through. Needs no preparation. */
  seeFlow(watch: Watch): Promise<void>;
  /** Resolves when the connection that was there before the fault is gone. */
  seeCut(watch: Watch): Promise<void>;
  /** How long something takes to get through now, in milliseconds. Needs no preparation. */
  measureDelay(watch: Watch, direction: Direction): Promise<number>;
  /** How long `bytes` take to get to the other end now, or `untilMs` when they are not there by then. Needs no preparation. */
  measureTransfer(watch: Watch, bytes: number, untilMs: number): Promise<number>;
  /** How much later things come when every chunk in that direction is this much later. */
  expectedDelay(direction: Direction, latencyMs: number): number;
  /** The servers that must be up for anything to get through. */
  readonly ends: readonly TcpAddress[];
  /** The shortest delay that was measured before the fault. */
  readonly usualDelayMs: number;
  /** Closes what was opened. */
  release(): Promise<void>;
}

/** How long to wait before silence is believed: many times what an answer usually takes. */
export function silenceMs(usualDelayMs: number): number {
  return Math.max(40, 3 * usualDelayMs);
}
