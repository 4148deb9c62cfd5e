/** Reads statements for the router: the classifier, with its parser and a catalogue that is kept fresh. */
import { loadCatalogue } from "./driver/catalogue-sql.ts";
import type { Connection, Driver } from "./driver/driver.ts";
import { createParserThread } from "./driver/parser-thread.ts";
import type { ParserThread } from "./driver/parser-thread.ts";
import { createSqlParser } from "./driver/sql-parser.ts";
import type { Engine } from "./engine.ts";
import type { CatalogueSnapshot } from "./routing/catalogue.ts";
import { classifyCommand } from "./routing/commands.ts";
import { createClassifier } from "./routing/classify.ts";
import type { Classifier } from "./routing/classify.ts";
import type { Classification } from "./routing/classification.ts";
import { systemClock, withDeadline } from "./runtime/clock.ts";
import type { Clock, Timer } from "./runtime/clock.ts";

const REFRESH_EVERY_MS = 60_000;
/** Statements over objects that nobody knows must not make a query each. */
const REFRESH_AFTER_MISS_MS = 1_000;
const LOAD_TIMEOUT_MS = 10_000;
/** Parsing so many takes 0.3 to 0.7 ms: with a millisecond to spend on a query, more is read on another thread. */
const MAX_TOKENS_AT_ONCE = 750;

export interface StatementReaderOptions {
  readonly clock: Clock;
  readonly driver: Driver;
}

export class StatementReader {
  readonly #engine: Engine;
  readonly #options: StatementReaderOptions;
  #classifier: Classifier | undefined;
  #thread: ParserThread | undefined;
  #catalogue: CatalogueSnapshot | undefined;
  #loading: Promise<void> | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  readonly #stop = new AbortController();
  #connection: Connection | undefined;

  constructor(engine: Engine, options: StatementReaderOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  async start(): Promise<void> {
    const parser = await createSqlParser();
    // In virtual time parsing takes none, and what comes back from a thread would come at no time in particular.
    const isReal = this.#options.clock === systemClock;
    if (isReal && !this.#isStopped) this.#thread = createParserThread(systemClock);
    this.#classifier = createClassifier({
      parser,
      ...(this.#thread && { aside: this.#thread, maxTokensAtOnce: MAX_TOKENS_AT_ONCE }),
      catalogue: () => this.#catalogue,
      maxBytes: this.#engine.config.classifyMaxBytes,
      onMiss: () => this.#refreshSoon(REFRESH_AFTER_MISS_MS),
    });
  }

  /** Where a statement may go. A text that a replica refused lately goes to the primary. */
  classify(text: string): Classification {
    const classifier = this.#classifier;
    if (classifier === undefined) return classifyCommand(text, "");
    const classification = classifier.classify(text);
    const { refusals, clock } = this.#engine;
    // Also where the statement is not proven to read: its caller may say that it does.
    if (!classification.certainWrite && refusals.has(classification.fingerprint, clock.now())) {
      return { ...classification, target: "primary", reason: "refused-before", mayWrite: true };
    }
    return classification;
  }

  /** Resolves when the catalogue has been read, or could not be for now: then what it would tell goes to the primary. */
  async catalogueLoaded(): Promise<void> {
    if (this.#engine.config.replicas.length > 0) await this.#refresh();
  }

  /** Resolves when nothing is being read any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#options.clock.cancel(this.#timer);
    this.#connection?.destroy();
    await Promise.all([this.#thread?.close(), this.#loading]);
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #refreshSoon(minimumAgeMs: number): void {
    if (this.#loading !== undefined || this.#isStopped) return;
    if (this.#options.clock.now() - this.#loadedAt >= minimumAgeMs) void this.#refresh();
  }

  #refresh(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
      this.#loadedAt = this.#options.clock.now();
      this.#armTimer();
    });
    return this.#loading;
  }

  /** From the primary, which has the newest objects, else from any replica that answers. */
  async #load(): Promise<void> {
    const { primary, replicas } = this.#engine.view;
    const names = [
      ...(primary.standing.kind === "up" ? [primary.name] : []),
      ...replicas.filter((replica) => replica.sample !== undefined).map((replica) => replica.name),
    ];
    for (const name of names) {
      if (this.#isStopped) return;
      try {
        await this.#loadFrom(name);
        return;
      } catch {
        // The next node may answer; without any, statements over user objects go to the primary.
      }
    }
  }

  async #loadFrom(name: string): Promise<void> {
    const { clock, driver } = this.#options;
    const { node } = this.#engine.nodeTraffic(name);
    const connection = await driver.connect(node, {
      timeoutMs: this.#engine.config.healthCheck.timeoutMs * 4,
      signal: this.#stop.signal,
    });
    this.#connection = connection;
    try {
      if (this.#isStopped) return;
      const loading = loadCatalogue((text) => rows(connection, text), this.#catalogue);
      const next = await withDeadline(clock, loading, {
        what: `reading the catalogue of "${name}"`,
        timeoutMs: LOAD_TIMEOUT_MS,
        onTimeout: () => connection.destroy(),
      });
      if (next.signature !== this.#catalogue?.signature) this.#engine.refusals.clear();
      this.#catalogue = next;
    } finally {
      this.#connection = undefined;
      await connection.end();
    }
  }

  #armTimer(): void {
    this.#options.clock.cancel(this.#timer);
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.schedule(REFRESH_EVERY_MS, () => void this.#refresh());
    this.#timer.unref();
  }
}

function rows(connection: Connection, text: string): Promise<readonly Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    connection.query(text, undefined, (error, result) => {
      if (error === null || error === undefined) resolve(result.rows as Record<string, unknown>[]);
      else reject(error);
    });
  });
}
