/**
 * The router in the shape of `pg.Pool`, and an instance of it: some libraries ask before they check a client out for a
 * transaction. It owns no connections. Its events speak of the server connections of every node; its `max` is the sum
 * of the nodes' own, since a client that waits holds none of them.
 */
import type { EventEmitter } from "node:events";
import { Pool } from "pg";
import type { PoolOptions, QueryResult } from "pg";
import type { PoolEvent, QueryInput } from "./driver/driver.ts";
import { textOf } from "./driver/query-config.ts";
import type { Engine } from "./engine.ts";
import { RouterError } from "./errors.ts";
import { callBack, leadToCaller } from "./calling.ts";
import type { Callback } from "./calling.ts";
import { CheckedOutClient } from "./checked-out-client.ts";
import { RoutedClient } from "./routed-client.ts";
import type { Timer } from "./runtime/clock.ts";
import { currentContext } from "./session.ts";
import type { CausalContext } from "./session.ts";
import { routedClientClass } from "./standalone-client.ts";
import type { StatementReader } from "./statements.ts";
import { isSubmittable, textOfSubmittable } from "./submittable.ts";
import type { Submittable } from "./submittable.ts";
import { transactionNeedsClient } from "./transaction.ts";

export interface RoutingPoolSettings {
  /** What ending the pool ends, once every client has been released. */
  readonly end: () => Promise<void>;
  /** Clients out at the same time. @defaultValue the sum of the nodes' maxConnections */
  readonly max?: number | undefined;
  /** The longest wait for a client, in milliseconds; 0 for no limit. @defaultValue the primary's connectionTimeout */
  readonly connectionTimeoutMs?: number | undefined;
}

/**
 * `pg.Pool` as it is: its counters are getters, and one method answers each set of overloads that its types declare.
 * Callers see those types: `router.pool` is declared as `Pool`.
 */
interface PoolBase extends EventEmitter {
  options: PoolOptions;
  ending: boolean;
  ended: boolean;
}
const PgPool: new (options: PoolOptions) => PoolBase = Pool;

type Release = (error?: unknown) => void;
type ConnectCallback = (
  error: Error | undefined,
  client: CheckedOutClient | undefined,
  done: Release,
) => void;

interface Waiter {
  readonly callback: ConnectCallback;
  readonly timer: Timer | undefined;
}

export class RoutingPool extends PgPool {
  readonly #engine: Engine;
  readonly #statements: StatementReader;
  readonly #settings: RoutingPoolSettings;
  readonly #waiting: Waiter[] = [];
  /** Clients that have not been released, and cursors and streams that run on the pool itself. */
  #out = 0;
  #whenAllBack: (() => void) | undefined;

  constructor(engine: Engine, statements: StatementReader, settings: RoutingPoolSettings) {
    super(optionsOf(engine, settings));
    this.#engine = engine;
    this.#statements = statements;
    this.#settings = settings;
    Object.assign(this, { Client: routedClientClass(engine, statements) });
    engine.poolListeners.add(this.#onPoolEvent);
  }

  get totalCount(): number {
    return this.#sum((counts) => counts.total);
  }

  get idleCount(): number {
    return this.#sum((counts) => counts.idle);
  }

  get waitingCount(): number {
    return this.#waiting.length + this.#sum((counts) => counts.waiting);
  }

  get expiredCount(): number {
    return this.#sum((counts) => counts.expired ?? 0);
  }

  /** One statement, wherever it belongs; never one that begins or ends a transaction. */
  query(input: unknown, values?: unknown, callback?: unknown): unknown {
    if (typeof input === "function") {
      const error = new Error("Passing a function as the first parameter to pool.query is not supported");
      return promised(input, (done) => {
        process.nextTick(done, error);
      });
    }
    const given = typeof values === "function" ? values : callback;
    const ownValues = typeof values === "function" ? undefined : (values as unknown[] | undefined);
    if (given !== undefined && given !== null) {
      const answer = callBack(given as Callback, undefined);
      this.#run(input, ownValues).then((result) => answer(undefined, result), answer);
      return undefined;
    }
    return this.#run(input, ownValues).catch(leadToCaller);
  }

  /** A client to be released; with a callback, `done` releases it. */
  connect(callback?: ConnectCallback): Promise<CheckedOutClient> | undefined {
    if (callback !== undefined) {
      this.#checkOut(callback);
      return undefined;
    }
    return new Promise<CheckedOutClient>((resolve, reject) => {
      this.#checkOut((error, client) => (client === undefined ? reject(error) : resolve(client)));
    }).catch(leadToCaller);
  }

  /** Waits for the clients that are out, then ends what the settings say: for `router.pool`, the router. */
  end(callback?: Callback): unknown {
    return promised(callback, (done) => this.#end(done));
  }

  /** @internal The router has been ended under it. */
  routerEnded(): void {
    this.ending = true;
    this.ended = true;
    this.#engine.poolListeners.delete(this.#onPoolEvent);
    this.#refuseWaiting();
  }

  #run(input: unknown, values: unknown[] | undefined): Promise<QueryResult> {
    if (this.#isEnding()) return Promise.reject(endedError());
    if (input === null || input === undefined) {
      return Promise.reject(new TypeError("Client was passed a null or undefined query"));
    }
    const isStream = isSubmittable(input);
    const text = isStream ? textOfSubmittable(input) : textOf(input);
    const classification = this.#statements.classify(text);
    if (classification.transaction !== undefined) return Promise.reject(transactionNeedsClient(text));
    if (isStream) return this.#submit(input);
    const kind = classification.target === "replica" ? "read" : "write";
    return this.#engine.run({
      input: input as QueryInput,
      values,
      classification,
      kind,
      context: this.#context(),
    });
  }

  /** A cursor, a stream, a query object: on a connection of its own until it is through. */
  #submit(submittable: Submittable): Promise<QueryResult> {
    const client = new RoutedClient(this.#engine, this.#statements);
    this.#out += 1;
    return new Promise((resolve, reject) => {
      let result: QueryResult | undefined;
      submittable.callback ??= (_error, given) => (result = given);
      client.submit(submittable, (error) => {
        client.close(error !== null && error !== undefined, () => this.#back());
        if (error === null || error === undefined) {
          resolve(result ?? (submittable as { _result?: QueryResult })._result ?? (undefined as never));
        } else reject(error);
      });
    });
  }

  #checkOut(callback: ConnectCallback): void {
    if (this.#isEnding()) {
      callback(endedError(), undefined, () => {});
    } else if (this.#out < this.#max() && this.#waiting.length === 0) {
      this.#out += 1;
      process.nextTick(() => this.#handOut(callback));
    } else this.#wait(callback);
  }

  #handOut(callback: ConnectCallback): void {
    const client = new CheckedOutClient(this.#engine, this.#statements, () => this.#back());
    callback(undefined, client, (error) => client.release(error));
  }

  #wait(callback: ConnectCallback): void {
    const { clock } = this.#engine;
    const timeoutMs = this.#timeoutMs();
    const timer = timeoutMs > 0 ? clock.schedule(timeoutMs, () => clock.afterPoll(expire)) : undefined;
    const waiter: Waiter = { callback, timer };
    const expire = (): void => {
      const at = this.#waiting.indexOf(waiter);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      callback(exhausted(this.#max(), timeoutMs), undefined, () => {});
    };
    this.#waiting.push(waiter);
  }

  /** A client has come back: the next one that waits takes its place. */
  #back(): void {
    const next = this.#isEnding() ? undefined : this.#waiting.shift();
    if (next !== undefined) {
      this.#engine.clock.cancel(next.timer);
      this.#handOut(next.callback);
      return;
    }
    this.#out -= 1;
    if (this.#out === 0) this.#whenAllBack?.();
  }

  #end(done: (error?: unknown) => void): void {
    if (this.ending) {
      done(new Error("Called end on pool more than once"));
      return;
    }
    this.ending = true;
    this.#refuseWaiting();
    const finish = (): void => {
      this.#settings.end().then(
        () => {
          this.routerEnded();
          done(undefined);
        },
        (error: unknown) => done(error),
      );
    };
    if (this.#out === 0) finish();
    else this.#whenAllBack = finish;
  }

  #refuseWaiting(): void {
    for (const { callback, timer } of this.#waiting.splice(0)) {
      this.#engine.clock.cancel(timer);
      callback(endedError(), undefined, () => {});
    }
  }

  #isEnding(): boolean {
    return this.ending || this.#engine.isClosed;
  }

  #context(): CausalContext | undefined {
    return this.#engine.config.readYourWrites === "off" ? undefined : currentContext.getStore();
  }

  #max(): number {
    return this.#settings.max ?? sumOfMaxima(this.#engine);
  }

  #timeoutMs(): number {
    return this.#settings.connectionTimeoutMs ?? this.#engine.config.primary.pool.connectionTimeoutMs;
  }

  #sum(pick: (counts: ReturnType<ReturnType<Engine["traffic"]>[number]["counts"]>) => number): number {
    return this.#engine.traffic().reduce((sum, traffic) => sum + pick(traffic.counts()), 0);
  }

  readonly #onPoolEvent = (event: PoolEvent, client: unknown, error: Error | undefined): void => {
    // The router looks after lost connections: nobody has to listen, and nothing crashes when nobody does.
    if (this.listenerCount(event) === 0) return;
    if (event === "release") this.emit(event, error || null, client);
    else if (event === "error") this.emit(event, error, client);
    else this.emit(event, client);
  };
}

/** What libraries read off a pool's options. No secret: a pool that somebody builds from these has to bring its own. */
function optionsOf(engine: Engine, settings: RoutingPoolSettings): PoolOptions {
  const { primary } = engine.config;
  return {
    host: primary.host,
    port: primary.port,
    user: primary.user,
    database: primary.database,
    application_name: primary.applicationName,
    max: settings.max ?? sumOfMaxima(engine),
    connectionTimeoutMillis: settings.connectionTimeoutMs ?? primary.pool.connectionTimeoutMs,
    idleTimeoutMillis: primary.pool.idleTimeoutMs,
    maxLifetimeSeconds: Math.ceil(primary.pool.maxLifetimeMs / 1000),
  } as PoolOptions;
}

function sumOfMaxima(engine: Engine): number {
  return engine.traffic().reduce((sum, { node }) => sum + node.pool.max, 0);
}

/** A promise, or nothing where a callback was given. */
function promised(callback: unknown, work: (done: Callback) => void): unknown {
  if (typeof callback === "function") {
    work(callBack(callback as Callback, undefined));
    return undefined;
  }
  return new Promise<unknown>((resolve, reject) => {
    work((error, result) => (error === null || error === undefined ? resolve(result) : reject(error)));
  }).catch(leadToCaller);
}

function exhausted(max: number, timeoutMs: number): RouterError {
  const cause = new Error("timeout exceeded when trying to connect");
  return new RouterError(
    "POOL_EXHAUSTED",
    `no client came free within ${timeoutMs} ms: all ${max} are out. Release them sooner, or raise maxConnections`,
    { cause },
  );
}

function endedError(): Error {
  return new Error("Cannot use a pool after calling end on the pool");
}
