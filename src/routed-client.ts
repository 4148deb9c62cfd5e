/**
 * A client of the routing pool. It holds no server connection: a statement outside a transaction takes one where it
 * belongs and gives it back. A transaction, or session state, pins it to one connection until the server says that the
 * transaction is over, or until the client is released. It never holds two.
 *
 *     free ──BEGIN, SET, LISTEN, cursor──► held ──ReadyForQuery I, nothing left in the session──► free
 *                                            └──connection lost──► broken, until released
 */
import { EventEmitter } from "node:events";
import { escapeIdentifier, escapeLiteral, types } from "pg";
import type { QueryResult } from "pg";
import type { QueryInput } from "./driver/driver.ts";
import type { Lease } from "./driver/node-traffic.ts";
import { ownConfig, textOf } from "./driver/query-config.ts";
import { meaningOf } from "./driver/sqlstate.ts";
import { nodeLost, unknownOutcome } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { RouterError, messageOf } from "./errors.ts";
import { callBack, leadToCaller } from "./calling.ts";
import type { Callback } from "./calling.ts";
import { poolerRefusal } from "./pooler.ts";
import type { Classification } from "./routing/classification.ts";
import { leadingKeyword } from "./routing/sql-lexer.ts";
import type { Timer } from "./runtime/clock.ts";
import { bothContexts, currentContext, newCausalContext } from "./session.ts";
import type { CausalContext } from "./session.ts";
import type { StatementReader } from "./statements.ts";
import { Submission, isSubmittable } from "./submittable.ts";
import type { Submittable } from "./submittable.ts";

/** One statement in the client's queue. */
interface Task {
  readonly text: string;
  /** What runs: a statement, or something that speaks the protocol itself. */
  readonly input: QueryInput;
  readonly values: unknown[] | undefined;
  readonly submission: Submission | undefined;
  readonly context: CausalContext | undefined;
  readonly finish: Callback;
  attempt: number;
}

/** The connection that the client is pinned to, and why. */
interface Held {
  readonly lease: Lease;
  /** Taken for `BEGIN READ ONLY`, so that it may be a standby's. */
  readonly readOnly: boolean;
  /** Something stays in the session: nobody else may get this connection. */
  leavesState: boolean;
  /** The caller knows which session it is (`pg_backend_pid()`), and relies on it. */
  identified: boolean;
  wrote: boolean;
}

type TypeParser = (value: string) => unknown;

/** `pg` takes any type's OID; its types know the built-in ones. */
const parsers: { getTypeParser(oid: number, format: "text" | "binary"): TypeParser } = types;

export class RoutedClient extends EventEmitter {
  readonly #engine: Engine;
  readonly #statements: StatementReader;
  readonly #context: CausalContext = newCausalContext();
  readonly #queue: Task[] = [];
  #running = false;
  #held: Held | undefined;
  #broken: RouterError | undefined;
  #parsers: Map<string, TypeParser> | undefined;
  #closing: { readonly destroy: boolean; readonly closed: () => void } | undefined;

  /** @internal Use `router.pool.connect()`. */
  constructor(engine: Engine, statements: StatementReader) {
    super();
    this.#engine = engine;
    this.#statements = statements;
  }

  /** As `pg`'s client takes it: text or a config, values, a callback in any place, or a Submittable. */
  query(input: unknown, values?: unknown, callback?: unknown): unknown {
    if (input === null || input === undefined) {
      throw new TypeError("Client was passed a null or undefined query");
    }
    if (isSubmittable(input)) return this.#submit(input, callback ?? values);
    const given =
      callback ?? (typeof values === "function" ? values : (input as { callback?: unknown }).callback);
    const ownValues = typeof values === "function" ? undefined : (values as unknown[] | undefined);
    if (given === undefined || given === null) {
      return new Promise<QueryResult>((resolve, reject) => {
        this.#enqueue(input as QueryInput, ownValues, (error, result) => {
          if (error === null || error === undefined) resolve(result as QueryResult);
          else reject(error);
        });
      }).catch(leadToCaller);
    }
    if (typeof given !== "function") throw new TypeError("callback is not a function");
    this.#enqueue(input as QueryInput, ownValues, callBack(given as Callback, null));
    return undefined;
  }

  /** @internal Runs a Submittable; `finished` hears when the connection is done with it. */
  submit(submittable: Submittable, finished: (error: unknown) => void): void {
    if (this.#parsers !== undefined) withTypes(submittable, this.#types());
    const submission = new Submission(submittable);
    this.#add({ text: submission.text, input: submittable as never, submission, finish: finished });
  }

  /** `I`, `T` or `E`, in the server's words; `I` while no connection is held. */
  getTransactionStatus(): "I" | "T" | "E" | null {
    return this.#held === undefined ? "I" : this.#held.lease.connection.getTransactionStatus();
  }

  /** The backend that the client is pinned to; null while it is free, because the next statement may run anywhere. */
  get processID(): number | null {
    return this.#held?.lease.connection.processID ?? null;
  }

  /** The node whose connection the client holds now. */
  get node(): string | undefined {
    return this.#held?.lease.node;
  }

  get user(): string {
    return this.#engine.config.primary.user;
  }

  get database(): string {
    return this.#engine.config.primary.database;
  }

  get host(): string {
    return this.#engine.config.primary.host;
  }

  get port(): number {
    return this.#engine.config.primary.port;
  }

  escapeIdentifier(text: string): string {
    return escapeIdentifier(text);
  }

  escapeLiteral(text: string): string {
    return escapeLiteral(text);
  }

  /** For this client only, on whatever connection its statements run. */
  setTypeParser(oid: number, format: "text" | "binary" | TypeParser, parse?: TypeParser): void {
    const parser = typeof format === "function" ? format : parse;
    this.#parsers ??= new Map();
    if (parser !== undefined)
      this.#parsers.set(`${oid} ${typeof format === "function" ? "text" : format}`, parser);
  }

  getTypeParser(oid: number, format: "text" | "binary" = "text"): TypeParser {
    return this.#parsers?.get(`${oid} ${format}`) ?? parsers.getTypeParser(oid, format);
  }

  /** A pinned connection keeps the process alive, or does not. */
  ref(): void {
    this.#socket()?.ref();
  }

  unref(): void {
    this.#socket()?.unref();
  }

  /**
   * @internal Ends it: what is queued still runs, unless `destroy`; then whatever it holds is given back, or closed when
   * something was left in the session.
   */
  close(destroy: boolean, closed: () => void): void {
    this.#closing = { destroy, closed };
    if (destroy && this.#held !== undefined && this.#running) {
      // As a pool does that is given a client with an error: it does not wait for an answer.
      this.#break(this.#held, new Error("Connection terminated"));
      this.#letGo(true);
    }
    if (!this.#running) this.#next();
  }

  #socket(): { ref(): void; unref(): void } | undefined {
    return this.#held?.lease.connection.client as unknown as { ref(): void; unref(): void } | undefined;
  }

  #submit(submittable: Submittable, callback: unknown): Submittable {
    if (typeof callback === "function") submittable.callback ??= callback as Callback;
    this.submit(submittable, () => {});
    return submittable;
  }

  #enqueue(input: QueryInput, values: unknown[] | undefined, finish: Callback): void {
    this.#add({ text: textOf(input), input: this.#typed(input), values, finish });
  }

  #add(task: {
    readonly text: string;
    readonly input: QueryInput;
    readonly values?: unknown[] | undefined;
    readonly submission?: Submission;
    readonly finish: Callback;
  }): void {
    const { text, input, values, submission, finish } = task;
    if (this.#closing !== undefined) {
      const error = new RouterError(
        "CLOSED",
        "the client has been released: its statements belong to nobody now",
      );
      process.nextTick(() => this.#refuse(submission, finish, error));
      return;
    }
    this.#queue.push({ text, input, values, submission, context: this.#contextNow(), finish, attempt: 0 });
    this.#next();
  }

  #contextNow(): CausalContext | undefined {
    if (this.#engine.config.readYourWrites === "off") return undefined;
    const ambient = currentContext.getStore();
    return ambient === undefined ? this.#context : bothContexts(ambient, this.#context);
  }

  #typed(input: QueryInput): QueryInput {
    if (this.#parsers === undefined || (input as { types?: unknown }).types !== undefined) return input;
    const config = typeof input === "string" ? { text: input } : ownConfig(input);
    return { ...(config as object), types: this.#types() } as QueryInput;
  }

  #types(): { getTypeParser: (oid: number, format?: "text" | "binary") => TypeParser } {
    return { getTypeParser: (oid, format) => this.getTypeParser(oid, format) };
  }

  #next(): void {
    if (this.#running) return;
    const task = this.#queue.shift();
    if (task === undefined) {
      if (this.#closing !== undefined) this.#closed(this.#closing);
      else if (this.listenerCount("drain") > 0) this.emit("drain");
      return;
    }
    this.#running = true;
    if (this.#broken !== undefined) {
      const broken = this.#broken;
      process.nextTick(() => this.#through(task, broken, true));
    } else this.#dispatch(task, this.#statements.classify(task.text));
  }

  #dispatch(task: Task, classification: Classification): void {
    if (this.#held !== undefined) this.#runHeld(task, classification, this.#held);
    else if (task.submission !== undefined || this.#mustHold(classification))
      this.#hold(task, classification);
    else this.#runFree(task, classification);
  }

  #mustHold(classification: Classification): boolean {
    if (classification.transaction !== undefined || classification.pinsSession) return true;
    if (asksForIdentity(classification)) return true;
    // Notices come on the connection, so somebody who listens must be there.
    return this.listenerCount("notice") > 0;
  }

  /** On whatever connection the engine finds, again elsewhere when that is safe. */
  #runFree(task: Task, classification: Classification): void {
    const kind = classification.target === "replica" ? "read" : "write";
    this.#engine
      .run({ input: task.input, values: task.values, classification, kind, context: task.context })
      .then(
        (result) => this.#through(task, null, false, result),
        (error: unknown) => this.#through(task, error),
      );
  }

  /** Takes a connection for this statement, and for those after it while something holds it. */
  #hold(task: Task, classification: Classification): void {
    const { transaction } = classification;
    const begins = transaction?.command === "begin";
    const readOnly = begins && transaction.readOnly && !transaction.serializable;
    const plainRead = !asksForIdentity(classification) && classification.target === "replica";
    const kind = readOnly || plainRead ? "read" : "write";
    this.#engine.lease({ kind, context: task.context }).then(
      (lease) => {
        const held = {
          lease,
          readOnly: kind === "read",
          leavesState: false,
          identified: false,
          wrote: false,
        };
        this.#held = held;
        this.#attend(lease);
        this.#runHeld(task, classification, held);
      },
      (error: unknown) => this.#through(task, error, true),
    );
  }

  #runHeld(task: Task, classification: Classification, held: Held): void {
    if (task.submission?.isClosed === true) {
      task.submission.discard();
      this.#settle(task, held);
      this.#through(task, undefined);
      return;
    }
    const refusal = this.#refusal(task, classification, held);
    if (refusal !== undefined) {
      this.#settle(task, held);
      this.#through(task, refusal, true);
      return;
    }
    const { lease } = held;
    const statusBefore = lease.connection.getTransactionStatus();
    const deadline = this.#armDeadline(lease);
    const explain = (error: unknown): unknown =>
      this.#explain(error, { task, classification, held, statusBefore });
    const answered = (error: unknown, result?: QueryResult): void => {
      this.#engine.clock.cancel(deadline);
      this.#note(classification, held);
      if (error === null || error === undefined) {
        this.#settle(task, held);
        this.#through(task, null, false, result);
      } else this.#failed(error, explain(error), { task, classification, held, statusBefore });
    };
    try {
      if (task.submission === undefined) lease.run(task.input, task.values, answered);
      else this.#runSubmission(task.submission, lease, explain, answered);
    } catch (thrown) {
      // `pg` throws on a malformed call before anything is sent.
      answered(thrown);
    }
  }

  #runSubmission(
    submission: Submission,
    lease: Lease,
    explain: (error: unknown) => unknown,
    answered: (error: unknown) => void,
  ): void {
    const { client } = lease.connection;
    if (client === undefined) {
      const error = new TypeError("this driver runs no cursors, streams or query objects");
      submission.fail(error);
      answered(error);
      return;
    }
    submission.run(client, explain, (error) => {
      if (error !== undefined) lease.failed(error);
      answered(error);
    });
  }

  /** What must not run on the connection that is held. */
  #refusal(task: Task, classification: Classification, held: Held): RouterError | undefined {
    const { node } = held.lease;
    if (this.#engine.isBehindPooler(node)) {
      const refusal = poolerRefusal(node, task.input, classification);
      if (refusal !== undefined) return refusal;
    }
    const onReplica = held.readOnly && node !== this.#engine.config.primary.name;
    // A standby takes an advisory lock without a word, and it excludes nobody on any other node.
    if (!onReplica || !/advisory/i.test(classification.detail ?? "")) return undefined;
    return new RouterError(
      "NO_ELIGIBLE_NODE",
      `an advisory lock on the replica "${node}" would exclude nobody elsewhere: take it in a transaction that is not READ ONLY`,
      { node },
    );
  }

  #armDeadline(lease: Lease): Timer | undefined {
    const { queryTimeoutMs } = this.#engine.config;
    if (queryTimeoutMs === undefined) return undefined;
    const { clock } = this.#engine;
    return clock.schedule(queryTimeoutMs, () => {
      clock.afterPoll(() => {
        if (!this.#running || this.#held?.lease !== lease) return;
        lease.abort(
          new RouterError("DEADLINE_EXCEEDED", `no answer within queryTimeout (${queryTimeoutMs} ms)`),
        );
      });
    });
  }

  /** What a statement may have left behind, whether or not it failed. */
  #note(classification: Classification, held: Held): void {
    if (classification.pinsSession) held.leavesState = true;
    if (asksForIdentity(classification)) held.identified = true;
    if (classification.mayWrite && !held.readOnly) held.wrote = true;
  }

  /** The server is ready again: keeps the connection only while something holds it. */
  #settle(task: Task, held: Held): void {
    if (this.#held !== held || held.lease.connection.getTransactionStatus() !== "I") return;
    if (held.wrote && task.context !== undefined) task.context.writtenAt = this.#engine.clock.now();
    held.wrote = false;
    if (!held.leavesState && !held.identified) this.#letGo(false);
  }

  #failed(error: unknown, told: unknown, failed: FailedTask): void {
    const { task, held } = failed;
    if (this.#isLost(held.lease, error)) {
      if (this.#mayBeginAgain(failed)) {
        this.#letGo(true);
        task.attempt += 1;
        this.#hold(task, failed.classification);
        return;
      }
      this.#break(held, error);
      this.#letGo(true);
      this.#through(task, told);
      return;
    }
    // Told at once, as `pg` does; what comes next waits for the server.
    task.finish(told);
    const { connection } = held.lease;
    const ready = (): void => {
      this.#settle(task, held);
      this.#running = false;
      this.#next();
    };
    if (connection.whenReady === undefined) ready();
    else connection.whenReady(ready);
  }

  /** Nothing can have come of a BEGIN whose connection was lost. */
  #mayBeginAgain({ task, classification, statusBefore }: FailedTask): boolean {
    return (
      task.submission === undefined &&
      this.#closing === undefined &&
      statusBefore === "I" &&
      classification.reason === "transaction-control" &&
      classification.transaction?.command === "begin" &&
      task.attempt < this.#engine.config.retries.max
    );
  }

  #isLost(lease: Lease, error: unknown): boolean {
    if (lease.lost !== undefined || this.#broken !== undefined) return true;
    const meaning = meaningOf(error);
    return meaning === "connection-lost" || meaning === "server-unavailable";
  }

  /** What the caller is told: the server's own word, or what a lost connection means for the statement. */
  #explain(error: unknown, { task, classification, held, statusBefore }: FailedTask): unknown {
    const { lease } = held;
    if (!this.#isLost(lease, error)) return error;
    const cause = lease.lost ?? error;
    if (cause instanceof RouterError && cause.code === "DEADLINE_EXCEEDED") return cause;
    const inTransaction = statusBefore !== "I";
    const mayHaveHappened = inTransaction ? mayCommit(task.text, classification) : classification.mayWrite;
    if (mayHaveHappened && !held.readOnly) return unknownOutcome(lease.node, cause);
    return cause instanceof RouterError ? cause : nodeLost(lease.node, cause);
  }

  #attend(lease: Lease): void {
    const { client } = lease.connection;
    if (client === undefined) return;
    client.on("notice", this.#onNotice);
    client.on("notification", this.#onNotification);
    client.on("error", this.#onError);
  }

  readonly #onNotice = (notice: unknown): void => void this.emit("notice", notice);
  readonly #onNotification = (message: unknown): void => void this.emit("notification", message);
  /** A statement that runs is failed by `pg`; this is for a connection that is lost while it is only held. */
  readonly #onError = (error: unknown): void => {
    const held = this.#held;
    if (held === undefined || this.#running) return;
    held.lease.failed(error);
    this.#break(held, held.lease.lost ?? error);
    this.#letGo(true);
  };

  /** What was held is gone, and the transaction or session state with it: nothing may run as if it were still there. */
  #break(held: Held, cause: unknown): void {
    if (this.#broken !== undefined) return;
    const { node } = held.lease;
    const broken = new RouterError(
      "NODE_LOST",
      `the connection to "${node}" that this client held was lost (${messageOf(cause)}): release it and check out another`,
      { node, cause },
    );
    this.#broken = broken;
    if (this.#closing !== undefined) return;
    process.nextTick(() => {
      // Unlike `pg`'s, this client has nothing that only the event would tell: no listener, no crash.
      if (this.listenerCount("error") > 0) this.emit("error", broken);
      this.emit("end");
    });
  }

  #letGo(destroy: boolean): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const { client } = held.lease.connection;
    client?.off("notice", this.#onNotice);
    client?.off("notification", this.#onNotification);
    client?.off("error", this.#onError);
    held.lease.release(destroy);
  }

  /** A statement is over. `unsaid`: a Submittable that never reached a connection has to be told. */
  #through(task: Task, error: unknown, unsaid = false, result?: QueryResult): void {
    this.#running = false;
    try {
      if (unsaid) this.#refuse(task.submission, task.finish, error);
      else task.finish(error, result);
    } finally {
      this.#next();
    }
  }

  #refuse(submission: Submission | undefined, finish: Callback, error: unknown): void {
    try {
      submission?.fail(error);
    } finally {
      finish(error);
    }
  }

  #closed({ destroy, closed }: { readonly destroy: boolean; readonly closed: () => void }): void {
    const held = this.#held;
    if (held !== undefined) {
      this.#letGo(destroy || held.leavesState || held.lease.connection.getTransactionStatus() !== "I");
    }
    this.#closing = { destroy, closed: () => {} };
    closed();
  }
}

interface FailedTask {
  readonly task: Task;
  readonly classification: Classification;
  readonly held: Held;
  readonly statusBefore: "I" | "T" | "E" | null;
}

/** Who asks which backend it talks to means to talk to it again. */
function asksForIdentity(classification: Classification): boolean {
  return classification.reason === "node-local" && classification.detail?.includes("pg_backend_pid") === true;
}

/** Whether a text sent inside a transaction may have made it last. */
function mayCommit(text: string, classification: Classification): boolean {
  if (classification.reason === "multi-statement") return classification.transaction !== undefined;
  const keyword = leadingKeyword(text);
  return keyword === "COMMIT" || keyword === "END" || keyword === "PREPARE";
}

/** `pg` gives a Submittable's result the connection's parsers, unless it has some. */
function withTypes(submittable: Submittable, ownTypes: unknown): void {
  const result = (submittable as { _result?: { _types?: unknown } })._result;
  if (result !== undefined) result._types ??= ownTypes;
}
