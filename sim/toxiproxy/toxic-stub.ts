/**
 * One toxic on one direction of one connection: runs its pipe between two channels, one step at a time, and
 * can be interrupted between any two steps.
 */
import type { Clock, Timer } from "../../src/runtime/clock.ts";
import type { Channel } from "./channel.ts";
import type { Ending, Pipe, Signal, Step } from "./toxics/pipe.ts";

/** What came of an interruption: the pipe returned, had ended before, or is in a rest that must be waited for. */
export type Interruption = "interrupted" | "closed" | "busy";

export interface ToxicStubOptions {
  readonly clock: Clock;
  readonly input: Channel;
  readonly output: Channel;
  /** The pipe has ended of itself; its output is about to be closed. */
  readonly onEnd: (ending: Exclude<Ending, "interrupted">) => void;
  /** The pipe threw. */
  readonly onCrash: (error: unknown) => void;
}

/** Longer timers than this fire at once in Node. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A timer may fire this much too early: the event loop's clock has a grain of a millisecond. */
const TIMER_GRAIN_MS = 0.5;

const CLOSED: Signal = { kind: "closed" };
const INTERRUPTED: Signal = { kind: "interrupted" };
const ELAPSED: Signal = { kind: "elapsed" };
const SENT: Signal = { kind: "sent" };

export class ToxicStub {
  readonly #clock: Clock;
  readonly #options: ToxicStubOptions;
  readonly input: Channel;
  output: Channel;
  #pipe: Pipe | undefined;
  /** What the pipe waits for; undefined while it runs, and when it does not. */
  #waitingFor: Step | undefined;
  #timer: Timer | undefined;
  #interrupting = false;
  #ended = false;
  readonly #endWaiters: (() => void)[] = [];

  constructor(options: ToxicStubOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.input = options.input;
    this.output = options.output;
    this.input.onReadable = () => this.#onReadable();
  }

  /** Resolves when the stub has closed its output or was let go of. */
  whenEnded(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended) resolve();
      else this.#endWaiters.push(resolve);
    });
  }

  run(pipe: Pipe): void {
    if (this.#ended) return;
    this.#pipe = pipe;
    this.#advance(undefined);
  }

  interrupt(): Interruption {
    if (this.#ended) return "closed";
    const step = this.#waitingFor;
    if (step === undefined) return "interrupted";
    if (step.kind === "sleep" && !step.interruptible) return "busy";
    this.#interrupting = true;
    this.#wake(step.kind === "send" ? SENT : INTERRUPTED);
    this.#interrupting = false;
    // What began to rest uninterruptibly, or ended, on being interrupted shows in its state.
    if (this.#hasEnded()) return "closed";
    return this.#waitingFor === undefined ? "interrupted" : "busy";
  }

  /** The producer's side of {@link output}: its consumer has made room. */
  onRoom(): void {
    if (this.#waitingFor?.kind === "send") this.#wake(SENT);
  }

  /** Closes the output: for whoever reads it, the connection ends after what was sent. */
  close(): void {
    this.#letGo();
    this.output.close();
  }

  /** Lets go of timers and data, of a connection that is no more. */
  dispose(): void {
    this.#letGo();
    this.input.discard();
    this.output.discard();
  }

  #letGo(): void {
    this.#ended = true;
    this.#waitingFor = undefined;
    this.#clock.cancel(this.#timer);
    for (const resolve of this.#endWaiters.splice(0)) resolve();
  }

  // A step of the pipe can end the stub (through the link): the compiler cannot know.
  #hasEnded(): boolean {
    return this.#ended;
  }

  #onReadable(): void {
    if (this.#waitingFor?.kind !== "receive") return;
    const signal = this.#nextInput();
    if (signal !== undefined) this.#wake(signal);
  }

  #nextInput(): Signal | undefined {
    return this.input.take() ?? (this.input.isClosed ? CLOSED : undefined);
  }

  #wake(signal: Signal): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#waitingFor = undefined;
    this.#advance(signal);
  }

  #advance(first: Signal | undefined): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    try {
      let result = first === undefined ? pipe.next() : pipe.next(first);
      while (result.done !== true) {
        const signal = this.#attempt(result.value);
        if (signal === undefined || this.#ended) return;
        result = pipe.next(signal);
      }
      this.#pipe = undefined;
      if (result.value === "interrupted") return;
      this.#options.onEnd(result.value);
      this.close();
    } catch (error) {
      this.#letGo();
      this.#options.onCrash(error);
    }
  }

  /** The answer to a step that need not wait; else undefined, and the step is waited for. */
  #attempt(step: Step): Signal | undefined {
    switch (step.kind) {
      case "receive": {
        if (this.#interrupting) return INTERRUPTED;
        const signal = this.#nextInput();
        if (signal !== undefined) return signal;
        this.#waitingFor = step;
        if (step.withinMs !== undefined) this.#wakeAfter(step.withinMs);
        return undefined;
      }
      case "send":
        this.output.push(step.chunk);
        if (this.output.hasRoom || this.#interrupting) return SENT;
        this.#waitingFor = step;
        return undefined;
      case "sleep":
        if (this.#interrupting && step.interruptible) return INTERRUPTED;
        if (step.delayMs <= 0) return ELAPSED;
        this.#waitingFor = step;
        this.#wakeAfter(step.delayMs);
        return undefined;
    }
  }

  #wakeAfter(delayMs: number): void {
    const dueMs = this.#clock.now() + delayMs;
    const schedule = (leftMs: number): void => {
      this.#timer = this.#clock.schedule(Math.min(Math.ceil(leftMs), LONGEST_TIMER_MS), () => {
        const stillMs = dueMs - this.#clock.now();
        if (stillMs > TIMER_GRAIN_MS) schedule(stillMs);
        else this.#wake(ELAPSED);
      });
    };
    schedule(delayMs);
  }
}
