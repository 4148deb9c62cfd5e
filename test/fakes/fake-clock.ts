/**
 * Time by hand, in the order of a real event loop: at each instant timers run first, then what came over the network,
 * then what waits for both (`afterPoll`). `block` is a loop that stood still: everything due comes late, at once.
 */
import { sleep, systemClock } from "../../src/runtime/clock.ts";
import type { Clock, Timer } from "../../src/runtime/clock.ts";

interface Entry extends Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

export class FakeClock implements Clock {
  #now = 1_000_000;
  #order = 0;
  readonly #timers = new Set<Entry>();
  readonly #network = new Set<Entry>();
  #polls: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  schedule(delayMs: number, task: () => void): Timer {
    return this.#add(this.#timers, delayMs, task);
  }

  cancel(timer: Timer | undefined): void {
    if (timer !== undefined) this.#timers.delete(timer as Entry);
  }

  afterPoll(task: () => void): void {
    this.#polls.push(task);
  }

  /** Something arrives over the network, `delayMs` from now. */
  arrive(delayMs: number, task: () => void): void {
    this.#add(this.#network, delayMs, task);
  }

  /** Timers that have been neither run nor cancelled. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets time pass; everything runs when it is due. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.#runDue();
    for (;;) {
      const next = Math.min(...[...this.#timers, ...this.#network].map((entry) => entry.at));
      if (next > until) break;
      this.#now = Math.max(this.#now, next);
      await this.#runDue();
    }
    this.#now = until;
    await this.#runDue();
  }

  /** Lets as much time pass as the promise needs, up to 10 s. */
  finish<T>(promise: Promise<T>): Promise<T> {
    return this.#until(promise, () => this.advance(5));
  }

  /** The same for what also waits for something real, such as a file: real time passes along. */
  finishReal<T>(promise: Promise<T>): Promise<T> {
    return this.#until(promise, async () => {
      await this.advance(5);
      await sleep(systemClock, 1);
    });
  }

  async #until<T>(promise: Promise<T>, step: () => Promise<void>): Promise<T> {
    const settled = { yet: false };
    const settle = (): void => {
      settled.yet = true;
    };
    promise.then(settle, settle);
    for (let i = 0; i < 2000 && !settled.yet; i++) await step();
    if (!settled.yet) throw new Error("it has not come in 10 s of fake time");
    return promise;
  }

  /** The event loop stands still for `ms`; what was due meanwhile runs afterwards, timers before the network. */
  async block(ms: number): Promise<void> {
    await microtasks();
    this.#now += ms;
    await this.#runDue();
  }

  /** Lets promises settle, and whatever is due now run. */
  async settle(): Promise<void> {
    await this.advance(0);
  }

  #add(entries: Set<Entry>, delayMs: number, task: () => void): Entry {
    const entry = { at: this.#now + Math.max(0, delayMs), order: this.#order++, task, unref: () => {} };
    entries.add(entry);
    return entry;
  }

  async #runDue(): Promise<void> {
    await microtasks();
    let idle = false;
    while (!idle) {
      const ran = (await this.#run(this.#timers)) + (await this.#run(this.#network));
      const polls = this.#polls;
      this.#polls = [];
      for (const task of polls) {
        task();
        await microtasks();
      }
      idle = ran + polls.length === 0;
    }
  }

  /** One phase: what is due at its beginning, in order. */
  async #run(entries: Set<Entry>): Promise<number> {
    const due = [...entries]
      .filter((entry) => entry.at <= this.#now)
      .sort((a, b) => a.at - b.at || a.order - b.order);
    for (const entry of due) {
      if (!entries.delete(entry)) continue;
      entry.task();
      await microtasks();
    }
    return due.length;
  }
}

function microtasks(): Promise<void> {
  return new Promise((resolve) => systemClock.afterPoll(resolve));
}
