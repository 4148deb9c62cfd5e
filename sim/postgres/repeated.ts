/** Statements that are run again and again on one connection, in the background, until somebody ends it or its server is gone. */
import type { DirectConnection } from "../../chaos/world.ts";
import { type Clock, sleep } from "../../src/runtime/clock.ts";

export interface Repetition {
  readonly connection: DirectConnection;
  readonly clock: Clock;
  /** Between the last statement and the first of the next round, in milliseconds. */
  readonly everyMs: number;
  /** Told which round it is, from 0. */
  readonly statements: (round: number) => readonly string[];
}

export class Repeated {
  readonly #repetition: Repetition;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(repetition: Repetition) {
    this.#repetition = repetition;
    // Whatever ends it, nothing is run any more.
    this.#running = this.#run().catch(() => {});
  }

  /** Resolves when nothing runs any more and the connection is closed. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { connection, clock, everyMs, statements } = this.#repetition;
    const { signal } = this.#ending;
    try {
      for (let round = 0; !signal.aborted; round++) {
        for (const statement of statements(round)) await connection.query(statement);
        await sleep(clock, everyMs, signal);
      }
    } finally {
      await connection.close();
    }
  }
}
