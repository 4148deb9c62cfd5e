/** A clock that stands still until it is told to go on, for tests of what waits. */
import type { Clock, Timer } from "../../../src/runtime/clock.ts";

interface Entry extends Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #entries = new Set<Entry>();

  now(): number {
    return this.#nowMs;
  }

  wallTime(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, task: () => void): Timer {
    const entry: Entry = { dueMs: this.#nowMs + delayMs, task, unref: () => {} };
    this.#entries.add(entry);
    return entry;
  }

  cancel(timer: Timer | undefined): void {
    if (timer !== undefined) this.#entries.delete(timer as Entry);
  }

  afterPoll(task: () => void): void {
    this.schedule(0, task);
  }

  get pending(): number {
    return this.#entries.size;
  }

  /** Runs what falls due, one by one in order, with what streams do in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      await settle();
      const next = [...this.#entries].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.#entries.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.task();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets everything run that streams have put off. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
