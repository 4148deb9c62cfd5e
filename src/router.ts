/**
 * The Router: what an application holds. Each call is classified, decided, run and observed by the engine; this file is
 * the shape that callers see.
 */
import { EventEmitter } from "node:events";
import type { Pool, QueryResult, QueryResultRow } from "pg";
import type { RouterConfig } from "./config/config.ts";
import type { ConfigInput } from "./config/input.ts";
import { loadConfig } from "./config/load.ts";
import { resolveConfig } from "./config/resolve.ts";
import type { QueryInput, PoolCounts } from "./driver/driver.ts";
import type { Driver } from "./driver/driver.ts";
import { createPgDriver } from "./driver/pg-driver.ts";
import { Engine } from "./engine.ts";
import type { EngineNotice } from "./engine.ts";
import { leavesState } from "./routing/classification.ts";
import type { Classification } from "./routing/classification.ts";
import { explainDecision } from "./routing/explain.ts";
import type { Explanation } from "./routing/explain.ts";
import type { Change, EvictionReason } from "./routing/model.ts";
import { statusOf } from "./routing/status.ts";
import type { ClusterStatus } from "./routing/status.ts";
import { systemClock } from "./runtime/clock.ts";
import type { Clock } from "./runtime/clock.ts";
import { consoleLogger } from "./runtime/logger.ts";
import type { Logger } from "./runtime/logger.ts";
import { createPrng, drawSeed } from "./runtime/prng.ts";
import { pgModule } from "./pg-module.ts";
import type { PgModule } from "./pg-module.ts";
import { RoutingPool } from "./pool.ts";
import { currentContext, newCausalContext } from "./session.ts";
import type { CausalContext } from "./session.ts";
import { StatementReader } from "./statements.ts";
import { tellLogger } from "./telling.ts";
import { runTransaction, transactionNeedsClient } from "./transaction.ts";
import type { Transaction, TransactionOptions } from "./transaction.ts";

export interface RouterOptions {
  /** Where transitions are told. @defaultValue warnings and errors on stderr */
  readonly logger?: Logger;
  /** Where the choice among equals begins, and every other draw. @defaultValue drawn per process */
  readonly seed?: number;
  /** Time. @defaultValue the process's monotonic clock */
  readonly clock?: Clock;
  /** How servers are reached. @defaultValue the application's own `pg` */
  readonly driver?: Driver;
  /** Variables for `${VAR}` in a configuration file, and a file of more. @defaultValue the process's environment */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly envFile?: string;
}

/** One statement: text, or `pg`'s query config. */
export type Query = QueryInput;

export interface RouterEvents {
  evicted: [{ node: string; reason: EvictionReason; basis: string }];
  readmitted: [{ node: string; standing: "eligible" | "probation" }];
  restored: [{ node: string }];
  joined: [{ node: string }];
  draining: [{ node: string }];
  undrained: [{ node: string }];
  "primary-up": [{ node: string }];
  "primary-down": [{ node: string; reason: "unreachable" | "wrong-role" }];
  "fallback-started": [];
  "fallback-ended": [];
  epoch: [{ epoch: number; weights: Readonly<Record<string, number>> }];
  "time-jumped": [];
  "local-stall": [];
  /** Every one of the above, with its `kind`. */
  change: [Change | { readonly kind: "local-stall" }];
}

/**
 * Connects a router. Takes a configuration file's path, or the same as an object (`{ db: { … } }`), or a configuration
 * that has been loaded already. Resolves when the nodes that answer have been seen; one that does not answer
 * neither delays nor fails the start, and joins when it comes.
 * @throws RouterError `CONFIG_INVALID` with every problem, each as `file:line:col: what, value, limit`
 */
export async function createRouter(
  config: string | ConfigInput | RouterConfig,
  options: RouterOptions = {},
): Promise<Router> {
  const resolved = await readConfig(config, options);
  const router = new Router(resolved, options);
  try {
    await router.begin();
  } catch (error) {
    await router.end();
    throw error;
  }
  return router;
}

async function readConfig(
  config: string | ConfigInput | RouterConfig,
  { env, envFile }: RouterOptions,
): Promise<RouterConfig> {
  if (typeof config === "string") return loadConfig(config, { env, envFile });
  if ("primary" in config) return config;
  return resolveConfig(config);
}

export class Router extends EventEmitter<RouterEvents> {
  readonly #engine: Engine;
  readonly #statements: StatementReader;
  readonly #options: RouterOptions;
  #pool: RoutingPool | undefined;

  /** @internal Use {@link createRouter}. */
  constructor(config: RouterConfig, options: RouterOptions) {
    super();
    this.#options = options;
    const clock = options.clock ?? systemClock;
    const driver = options.driver ?? createPgDriver(clock);
    const prng = createPrng(options.seed ?? drawSeed());
    const log = tellLogger(options.logger ?? consoleLogger);
    this.#engine = new Engine(config, {
      clock,
      driver,
      phase: prng.stream("selection").nextUint32(),
      tell: (notice) => {
        log(notice);
        this.#emit(notice);
      },
    });
    this.#statements = new StatementReader(this.#engine, { clock, driver });
  }

  /** @internal Resolves when the nodes that answer have been seen. */
  async begin(): Promise<void> {
    await Promise.all([this.#statements.start(), this.#engine.start()]);
    await this.#statements.catalogueLoaded();
  }

  /**
   * Runs one statement where it belongs: a replica when it provably only reads, else the primary.
   * @throws RouterError `TRANSACTION_NEEDS_CLIENT` for BEGIN and the like; see {@link RouterErrorCode} for the rest
   */
  query<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#run(query, values, "routed", this.#context());
  }

  /**
   * Runs one statement that the caller says only reads: what cannot be proved either way, and what answers for one node, goes to a
   * replica too. What provably needs the primary still goes there.
   */
  read<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#run(query, values, "read", this.#context());
  }

  /** Runs one statement on the primary. It is never run twice: see `UNKNOWN_OUTCOME`. */
  write<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#run(query, values, "write", this.#context());
  }

  /**
   * Runs `work` in one transaction on one connection: on the primary, or with `readOnly` on a replica. Commits when it
   * resolves, rolls back when it rejects.
   */
  transaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    return runTransaction(this.#engine, work, options, {
      context: this.#context(),
      leavesState: (text) => leavesState(this.#statements.classify(text)),
    });
  }

  /** A caller that reads its own writes, whoever calls in between. */
  session(): Session {
    return new Session(this, newCausalContext());
  }

  /** @internal for {@link Session} */
  runAs<Row extends QueryResultRow>(
    context: CausalContext,
    intent: Intent,
    query: Query,
    values: unknown[] | undefined,
  ): Promise<QueryResult<Row>> {
    return this.#run(query, values, intent, context);
  }

  /** Where a statement would go now, and why. Asks no server. */
  explain(text: string): Explanation {
    return explainDecision(this.#engine.view, this.#statements.classify(text), this.#engine.clock.now());
  }

  /** What the router believes now, as plain data. */
  status(): RouterStatus {
    const cluster = statusOf(this.#engine.view, this.#engine.clock.now());
    const pools = Object.fromEntries(
      this.#engine
        .traffic()
        .map((traffic) => [
          traffic.node.name,
          { ...traffic.counts(), max: traffic.node.pool.max, inFlight: traffic.inFlight },
        ]),
    );
    return { ...cluster, pools, refusals: this.#engine.refusals.size };
  }

  /**
   * Runs on another configuration from now on, without losing a query: nodes that stay keep their connections, new ones
   * join through probation, removed ones finish what runs on them.
   * @throws RouterError `CONFIG_INVALID`, and then nothing has changed
   */
  async reload(config: string | ConfigInput | RouterConfig): Promise<void> {
    const resolved = await readConfig(config, this.#options);
    await this.#engine.reload(resolved);
  }

  /** Takes a replica out of the choice; resolves when nothing runs on it any more. */
  drain(name: string): Promise<void> {
    return this.#engine.drain(name);
  }

  /** Lets a drained replica return, through probation. */
  undrain(name: string): void {
    this.#engine.undrain(name);
  }

  /** The router as a `pg.Pool`, for libraries that take one. An instance of it, too. */
  get pool(): Pool {
    this.#pool ??= new RoutingPool(this.#engine, this.#statements, { end: () => this.end() });
    return this.#pool as unknown as Pool;
  }

  /** The router as a `pg` module, for libraries that build their own pool (TypeORM's `driver`). */
  asPgModule(): PgModule {
    return pgModule(this.#engine, this.#statements);
  }

  /** Lets running statements finish, then closes every connection and timer. Safe to call twice. */
  async end(): Promise<void> {
    await Promise.all([this.#statements.stop(), this.#engine.end()]);
    this.#pool?.routerEnded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #context(): CausalContext | undefined {
    return this.#engine.config.readYourWrites === "off" ? undefined : currentContext.getStore();
  }

  #run<Row extends QueryResultRow>(
    query: Query,
    values: unknown[] | undefined,
    intent: Intent,
    context: CausalContext | undefined,
  ): Promise<QueryResult<Row>> {
    const text = typeof query === "string" ? query : query.text;
    const classification = this.#statements.classify(text);
    if (classification.transaction !== undefined) return Promise.reject(transactionNeedsClient(text));
    const kind = kindOf(intent, classification);
    return this.#engine.run({ input: query, values, classification, kind, context }) as Promise<
      QueryResult<Row>
    >;
  }

  #emit(notice: EngineNotice): void {
    switch (notice.kind) {
      case "probe-failed":
      case "pooler-found":
      case "nudge-failed":
      case "receiver-hidden":
        return;
      case "fallback-started":
      case "fallback-ended":
      case "time-jumped":
      case "local-stall":
        this.emit(notice.kind);
        break;
      case "evicted":
      case "readmitted":
      case "restored":
      case "joined":
      case "draining":
      case "undrained":
      case "primary-up":
      case "primary-down":
      case "epoch": {
        const { kind, ...details } = notice;
        // Which kind has which details is what RouterEvents says; TypeScript cannot follow it through the union.
        EventEmitter.prototype.emit.call(this, kind, details);
      }
    }
    this.emit("change", notice);
  }
}

/** What the caller said a statement is. */
export type Intent = "routed" | "read" | "write";

/** Who may serve it, from what the caller said and what the statement is. */
export function kindOf(intent: Intent, classification: Classification): "read" | "write" {
  switch (intent) {
    case "write":
      return "write";
    case "routed":
      return classification.target === "replica" ? "read" : "write";
    case "read":
      return classification.certainWrite ||
        classification.reason === "hint-primary" ||
        classification.reason === "refused-before"
        ? "write"
        : "read";
  }
}

export interface RouterStatus extends ClusterStatus {
  readonly pools: Readonly<Record<string, PoolCounts & { readonly max: number; readonly inFlight: number }>>;
  /** Statements that a replica refused and that go to the primary for now. */
  readonly refusals: number;
}

/** One caller's view of the router: its reads see its own writes. */
export class Session {
  readonly #router: Router;
  readonly #context: CausalContext;

  /** @internal Use `router.session()`. */
  constructor(router: Router, context: CausalContext) {
    this.#router = router;
    this.#context = context;
  }

  query<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#router.runAs(this.#context, "routed", query, values);
  }

  read<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#router.runAs(this.#context, "read", query, values);
  }

  write<Row extends QueryResultRow = QueryResultRow>(
    query: Query,
    values?: unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#router.runAs(this.#context, "write", query, values);
  }

  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T> {
    return this.run(() => this.#router.transaction(work, options));
  }

  /** Everything that `work` asks of the router, through whatever layers, belongs to this session. */
  run<T>(work: () => T): T {
    return currentContext.run(this.#context, work);
  }
}
