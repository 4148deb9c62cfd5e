/**
 * Reads long texts on a thread of its own, one after the other, so that the event loop goes on meanwhile. The thread
 * is started by such a text, ends when there has been none for a while, and keeps no process alive. When it cannot
 * be had, nothing is read here.
 */
import { Worker } from "node:worker_threads";
import type { AsideReader, ReadOutcome } from "../routing/parser.ts";
import type { Clock, Timer } from "../runtime/clock.ts";

export interface ParserThread extends AsideReader {
  /** Ends the thread; what was not read is never answered. Safe to call twice. */
  close(): Promise<void>;
}

export function createParserThread(clock: Clock): ParserThread {
  return new WorkerParserThread(clock);
}

/** More than this would mean texts that never repeat: reading them is of no use to anyone. */
const MOST_WAITING = 64;
/** The longest text takes about 50 ms; a thread that needs so long hangs. */
const TIMEOUT_MS = 5_000;
/** A thread holds some 20 MB, and a program sends few shapes that it has not sent before. */
const IDLE_MS = 10_000;
/** A thread that fails this often without having read a text is not tried again. */
const MOST_FAILURES = 3;

interface Task {
  readonly text: string;
  readonly done: (outcome: ReadOutcome) => void;
}

class WorkerParserThread implements ParserThread {
  readonly #clock: Clock;
  readonly #tasks: Task[] = [];
  #worker: Worker | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  /** The first text is with the thread. */
  #busy = false;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  read(text: string, done: (outcome: ReadOutcome) => void): boolean {
    if (this.#closed || this.#failures >= MOST_FAILURES || this.#tasks.length >= MOST_WAITING) return false;
    this.#tasks.push({ text, done });
    // Later, because starting a thread takes as long as parsing may.
    if (!this.#busy) this.#clock.afterPoll(() => this.#sendNext());
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tasks.length = 0;
    await this.#end();
  }

  #sendNext(): void {
    const [task] = this.#tasks;
    if (task === undefined || this.#busy || this.#closed) return;
    this.#busy = true;
    this.#arm(TIMEOUT_MS, () => {
      if (this.#tasks[0] !== task) return;
      void this.#end();
      this.#answer({ kind: "overwhelmed" });
    });
    this.#worker ??= this.#start();
    this.#worker.postMessage(task.text);
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, {
      name: "fairlead-sql",
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 },
    });
    worker.on("message", (outcome: ReadOutcome) => {
      this.#failures = 0;
      if (worker === this.#worker) this.#answer(outcome);
    });
    worker.on("error", () => {
      if (worker !== this.#worker) return;
      void this.#end();
      this.#fail();
    });
    worker.on("exit", () => {
      if (worker !== this.#worker) return;
      this.#worker = undefined;
      this.#fail();
    });
    // After the listeners: adding one takes it back.
    worker.unref();
    return worker;
  }

  /** The text that was with the thread gets no answer from it; the others have another thread, or none. */
  #fail(): void {
    this.#failures++;
    if (this.#failures < MOST_FAILURES) {
      this.#answer({ kind: "unavailable" });
      return;
    }
    this.#clock.cancel(this.#timer);
    this.#busy = false;
    for (const { done } of this.#tasks.splice(0)) done({ kind: "unavailable" });
  }

  #answer(outcome: ReadOutcome): void {
    this.#busy = false;
    this.#arm(IDLE_MS, () => void this.#end());
    this.#tasks.shift()?.done(outcome);
    this.#sendNext();
  }

  /** There is one timer, and what it waits for is judged after the thread's answers have been heard. */
  #arm(delayMs: number, task: () => void): void {
    this.#clock.cancel(this.#timer);
    const timer = this.#clock.schedule(delayMs, () => {
      this.#clock.afterPoll(() => {
        if (this.#timer === timer && !this.#closed) task();
      });
    });
    timer.unref();
    this.#timer = timer;
  }

  async #end(): Promise<void> {
    this.#clock.cancel(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

/** Beside this file, as a source or compiled. */
const WORKER_URL = new URL(
  `parser-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);
