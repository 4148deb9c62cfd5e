/** What `router.pool.connect()` gives: a routed client that has to be released. */
import type { Engine } from "./engine.ts";
import { RoutedClient } from "./routed-client.ts";
import type { StatementReader } from "./statements.ts";

export class CheckedOutClient extends RoutedClient {
  readonly #onReleased: () => void;
  #released = false;

  /** @internal Use `router.pool.connect()`. */
  constructor(engine: Engine, statements: StatementReader, onReleased: () => void) {
    super(engine, statements);
    this.#onReleased = onReleased;
  }

  /**
   * Gives the client back, when what is queued on it has run. A connection that it holds is closed if an error or `true`
   * is passed, if a transaction is open, or if something was left in the session.
   * @throws Error when it has been released before
   */
  release(error?: unknown): void {
    if (this.#released) {
      throw new Error("Release called on client which has already been released to the pool.");
    }
    this.#released = true;
    this.close(Boolean(error), this.#onReleased);
  }

  connect(callback?: (error: Error) => void): Promise<never> | undefined {
    const error = new Error("Client has already been connected. You cannot reuse a client.");
    if (callback === undefined) return Promise.reject(error);
    process.nextTick(callback, error);
    return undefined;
  }
}
