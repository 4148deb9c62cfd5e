/**
 * The only door to time. Everything that measures, waits or expires takes a {@link Clock};
 * the simulator passes its own, so nothing outside `src/runtime` may reach for the real one.
 */

/** A pending timer; pass it to {@link Clock.cancel}. */
export interface Timer {
  /** Lets the process exit although the timer is pending. */
  unref(): void;
}

export interface Clock {
  /** Monotonic time in milliseconds, with an arbitrary origin that all threads of a process share. Never goes back. */
  now(): number;
  /** Wall-clock time in milliseconds since 1970, for logs and reports only; never for a decision. */
  wallTime(): number;
  /** Calls `task` once, no sooner than `delayMs` from now. */
  schedule(delayMs: number, task: () => void): Timer;
  cancel(timer: Timer | undefined): void;
  /**
   * Calls `task` after pending I/O has been read. A deadline is judged there, because a timer that fires
   * after a blocked event loop runs before the answers that arrived meanwhile have been looked at.
   */
  afterPoll(task: () => void): void;
}

// `performance.now()` starts at 0 in every thread; shifted to the process-wide monotonic clock, times taken in different
// threads of one process can be compared.
const threadOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  now: () => performance.now() + threadOffsetMs,
  wallTime: () => Date.now(),
  // A deadline that has just passed may come as a negative delay, of which Node would warn.
  schedule: (delayMs, task) => setTimeout(task, Math.max(0, delayMs)),
  cancel: (timer) => {
    if (timer !== undefined) clearTimeout(timer as NodeJS.Timeout);
  },
  afterPoll: (task) => {
    setImmediate(task);
  },
};

/**
 * Resolves after `delayMs`; rejects with the signal's reason when it aborts first.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      clock.cancel(timer);
      reject(signal?.reason);
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** What {@link withDeadline} rejects with when time is up. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
  readonly timeoutMs: number;

  constructor(what: string, timeoutMs: number) {
    super(`${what} did not finish within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

export interface DeadlineOptions {
  /** What is being waited for, for the error's text. */
  readonly what: string;
  readonly timeoutMs: number;
  /** Called when time is up, to let go of whatever the promise holds. */
  readonly onTimeout?: () => void;
}

/**
 * Settles as `promise` does, or rejects with a {@link DeadlineError} after `timeoutMs`. The deadline is judged
 * only after pending I/O has been read, so that our own pause is not mistaken for the other side's.
 */
export function withDeadline<T>(clock: Clock, promise: Promise<T>, options: DeadlineOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const timer = clock.schedule(options.timeoutMs, () => {
      clock.afterPoll(() => {
        if (settled) return;
        settled = true;
        options.onTimeout?.();
        reject(new DeadlineError(options.what, options.timeoutMs));
      });
    });
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      clock.cancel(timer);
      finish();
    };
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
