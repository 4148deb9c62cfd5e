/** A host in a thread of its own: what the subject does there, or fails to do, cannot hold up or end the runner. */
import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import { systemClock, withDeadline } from "../../src/runtime/clock.ts";
import type { HistoryBatch } from "../history/recorder.ts";
import { SubjectFailed, subjectFailed } from "./host.ts";
import type { HostOptions, SubjectHost } from "./host.ts";
import type { Command, Order, Report, WorkerSetting } from "./protocol.ts";
import { CLOSE_TIMEOUT_MS } from "./stage.ts";
import type { HandleCounts, SubjectFacts } from "./stage.ts";

const LOAD_TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 15_000;
/** Beyond what an order may take by itself: a thread that has not answered by then hangs. */
const HANG_MARGIN_MS = 3_000;

export function threadHost(options: HostOptions): SubjectHost {
  return new ThreadHost(options);
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

class ThreadHost implements SubjectHost {
  readonly #worker: Worker;
  readonly #giveUpMs: number;
  readonly #receive: (batch: HistoryBatch) => void;
  readonly #lost = new AbortController();
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #ending = false;

  constructor({ setting, subject, receive, onOutput }: HostOptions) {
    this.#receive = receive;
    this.#giveUpMs = setting.spec.giveUpMs;
    const workerData: WorkerSetting = { setting, subject };
    // The same extension as this file's: sources run as they are, or compiled.
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      name: "fairlead-subject",
      workerData,
      execArgv: [],
      stdout: onOutput !== undefined,
      stderr: onOutput !== undefined,
    });
    if (onOutput !== undefined) {
      for (const input of [this.#worker.stdout, this.#worker.stderr])
        createInterface({ input }).on("line", onOutput);
    }
    this.#worker.on("message", (report: Report) => this.#take(report));
    this.#worker.on("error", (error) =>
      this.#lose(`the subject's thread crashed: ${messageOf(error)}`, error),
    );
    this.#worker.on("exit", (code) => this.#lose(`the subject's thread ended by itself, with code ${code}`));
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  load(): Promise<SubjectFacts> {
    return this.#order<SubjectFacts>("load", LOAD_TIMEOUT_MS);
  }

  connect(): Promise<void> {
    return this.#order("connect", CONNECT_TIMEOUT_MS);
  }

  begin(): Promise<void> {
    return this.#order("begin", HANG_MARGIN_MS);
  }

  quiet(on: boolean): Promise<void> {
    return this.#order(on ? "quiet-on" : "quiet-off", this.#giveUpMs + HANG_MARGIN_MS);
  }

  stop(): Promise<void> {
    return this.#order("stop", this.#giveUpMs + HANG_MARGIN_MS);
  }

  close(): Promise<HandleCounts | undefined> {
    return this.#order("close", CLOSE_TIMEOUT_MS + HANG_MARGIN_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
    // Whoever was left waiting, and its deadline, would hold the process up.
    this.#failAll(new SubjectFailed("the subject's thread was ended"));
  }

  async #order<T>(command: Command, timeoutMs: number): Promise<T> {
    this.#lost.signal.throwIfAborted();
    const id = ++this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    const order: Order = { id, command };
    this.#worker.postMessage(order);
    try {
      return (await withDeadline(systemClock, answer, {
        what: `the subject's thread, told to ${command},`,
        timeoutMs,
      })) as T;
    } catch (error) {
      throw error instanceof SubjectFailed ? error : subjectFailed(command, error);
    } finally {
      this.#waiting.delete(id);
    }
  }

  #take(report: Report): void {
    switch (report.kind) {
      case "batch":
        this.#receive(report.batch);
        return;
      case "done":
        this.#waiting.get(report.id)?.resolve(report.value);
        return;
      case "failed":
        this.#waiting.get(report.id)?.reject(new Error(report.message));
    }
  }

  #lose(message: string, cause?: unknown): void {
    if (this.#ending || this.#lost.signal.aborted) return;
    const error = new SubjectFailed(message, { cause });
    this.#lost.abort(error);
    this.#failAll(error);
  }

  #failAll(error: SubjectFailed): void {
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
