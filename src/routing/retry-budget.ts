/**
 * A budget against retry storms: over the last ten seconds, retries may be a fifth of the requests, and ten a second in
 * any case. Pure in the sense of the core: it keeps counts, and is told the time.
 *
 * @see Finagle's RetryBudget, which has the same two parameters.
 */

const WINDOW_SECONDS = 10;
const FLOOR_PER_SECOND = 10;
const SHARE = 0.2;

export class RetryBudget {
  readonly #requests = new Float64Array(WINDOW_SECONDS);
  readonly #retries = new Float64Array(WINDOW_SECONDS);
  #second = Number.NEGATIVE_INFINITY;

  request(now: number): void {
    this.#advance(now);
    const slot = this.#slot();
    this.#requests[slot] = (this.#requests[slot] as number) + 1;
  }

  /** Takes one retry out of the budget; `false` when none is left. */
  tryRetry(now: number): boolean {
    this.#advance(now);
    const allowed = FLOOR_PER_SECOND * WINDOW_SECONDS + SHARE * sum(this.#requests);
    if (sum(this.#retries) >= allowed) return false;
    const slot = this.#slot();
    this.#retries[slot] = (this.#retries[slot] as number) + 1;
    return true;
  }

  #slot(): number {
    return ((this.#second % WINDOW_SECONDS) + WINDOW_SECONDS) % WINDOW_SECONDS;
  }

  #advance(now: number): void {
    const second = Math.floor(now / 1000);
    if (second === this.#second) return;
    const passed = Math.min(WINDOW_SECONDS, second - this.#second);
    for (let i = 0; i < passed; i++) {
      const slot = (((second - i) % WINDOW_SECONDS) + WINDOW_SECONDS) % WINDOW_SECONDS;
      this.#requests[slot] = 0;
      this.#retries[slot] = 0;
    }
    this.#second = second;
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
