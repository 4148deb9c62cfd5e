/** The router in the shape of `pg.Client`, for libraries that open a single client of their own. */
import type { Engine } from "./engine.ts";
import { RoutedClient } from "./routed-client.ts";
import type { StatementReader } from "./statements.ts";

export class StandaloneClient extends RoutedClient {
  #connected = false;
  #ended = false;

  connect(callback?: (error: Error | null, client?: this) => void): Promise<this> | undefined {
    const error = this.#connected
      ? new Error("Client has already been connected. You cannot reuse a client.")
      : null;
    this.#connected = true;
    if (error === null) process.nextTick(() => this.emit("connect"));
    if (callback !== undefined) {
      process.nextTick(() => (error === null ? callback(null, this) : callback(error)));
      return undefined;
    }
    return error === null ? Promise.resolve(this) : Promise.reject(error);
  }

  /** Lets what is queued run, then gives back or closes what it holds. */
  end(callback?: () => void): Promise<void> | undefined {
    const ended = new Promise<void>((resolve) => {
      if (this.#ended) resolve();
      else
        this.close(false, () => {
          process.nextTick(() => this.emit("end"));
          resolve();
        });
    });
    this.#ended = true;
    if (callback === undefined) return ended;
    void ended.then(callback);
    return undefined;
  }
}

/** A class that takes and ignores connection settings, as `new Client(config)`: the router knows where its nodes are. */
export function routedClientClass(
  engine: Engine,
  statements: StatementReader,
): new (settings?: unknown) => StandaloneClient {
  return class RoutedStandaloneClient extends StandaloneClient {
    constructor(_settings?: unknown) {
      super(engine, statements);
    }
  };
}
