/** Lets writers be quiet for a while: closed, nothing new is written, and it is known when the last write has ended. */

export class WriteGate {
  #closed = false;
  #inFlight = 0;
  #waiting: (() => void)[] = [];

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Resolves when no write is in flight any more. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  open(): void {
    this.#closed = false;
  }

  enter(): void {
    this.#inFlight += 1;
  }

  leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
