/** Looking again and again until something is seen: with a deadline, and a word on what was seen instead. */
import { type Clock, DeadlineError, sleep, withDeadline } from "../../src/runtime/clock.ts";

/** What a look found instead of what it looked for; undefined when it has seen that. */
export type Missing = string | undefined;

/** The time was up, or the look could not be done. The message says what was seen last. */
export class NotSeen extends Error {
  override readonly name = "NotSeen";
}

export interface WatchOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Errors that no patience will mend; they end the watch at once. Default: none. */
  readonly isFatal?: (error: unknown) => boolean;
}

/** Short, because the budgets of a run are counted from what is seen here. */
const lookEveryMs = 10;

/** One stretch of watching, from its creation to its deadline. */
export class Watch {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly #deadline: number;
  readonly #isFatal: (error: unknown) => boolean;
  #last: Missing;

  constructor(options: WatchOptions) {
    this.clock = options.clock;
    this.signal = options.signal;
    this.#deadline = options.clock.now() + options.timeoutMs;
    this.#isFatal = options.isFatal ?? (() => false);
  }

  /** At least 1, so that it can be given as a deadline. */
  get leftMs(): number {
    return Math.max(1, this.#deadline - this.clock.now());
  }

  pause(durationMs: number): Promise<void> {
    return sleep(this.clock, durationMs, this.signal);
  }

  /**
   * Looks every 10 ms until nothing is missing. A look that throws is a look that saw the error instead.
   * @throws NotSeen at the deadline; the signal's reason; a fatal error as it is
   */
  async until(look: () => Promise<Missing>): Promise<void> {
    while (true) {
      const missing = await this.#look(look);
      if (missing === undefined) return;
      this.#last = missing;
      if (this.clock.now() >= this.#deadline) throw new NotSeen(missing);
      await this.pause(lookEveryMs);
    }
  }

  /** Does `attempt` again until it succeeds; as {@link until} otherwise. */
  retry(attempt: () => Promise<void>): Promise<void> {
    return this.until(async () => {
      await attempt();
      return undefined;
    });
  }

  async #look(look: () => Promise<Missing>): Promise<Missing> {
    this.signal.throwIfAborted();
    try {
      return await withDeadline(this.clock, this.#orAborted(look()), {
        what: "a look",
        timeoutMs: this.leftMs,
      });
    } catch (error) {
      this.signal.throwIfAborted();
      if (this.#isFatal(error)) throw error;
      // A look that was cut short knows less than the one before it, or the one inside it.
      return error instanceof DeadlineError ? (this.#last ?? messageOf(error)) : messageOf(error);
    }
  }

  #orAborted<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const done = (): void => signal.removeEventListener("abort", onAbort);
      promise.then(resolve, reject).finally(done);
    });
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  if (error instanceof Error) return error.message || error.name;
  const { message } = (error ?? {}) as { readonly message?: unknown };
  return typeof message === "string" ? message : String(error);
}
