/**
 * The harness's own writer: one number after the other, straight on the primary, so that every read can be dated by the
 * number that it sees. Not a part of the subject, and past every link that a fault may cut.
 */
import { sleep } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { RecordEntry } from "./record.ts";
import type { DirectConnection } from "../world.ts";
import { failedOutcome } from "./outcome.ts";
import { beat } from "./statements.ts";
import { WriteGate } from "./write-gate.ts";

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** A connection straight to the primary. */
  readonly connect: () => Promise<DirectConnection>;
  readonly everyMs: number;
  readonly record: RecordEntry;
  readonly originMs: number;
  /** The session that it appears as in the history. */
  readonly process: number;
}

export class Heartbeat implements AsyncDisposable {
  readonly gate: WriteGate = new WriteGate();
  readonly #options: HeartbeatOptions;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #connection: DirectConnection | undefined;
  #number = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  /** Resolves when the last beat has been answered and the connection is closed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(): Promise<void> {
    const { clock, everyMs } = this.#options;
    const { signal } = this.#stop;
    let dueAt = clock.now();
    while (!signal.aborted) {
      if (!this.gate.isClosed) await this.#beat();
      // A beat that took longer than the pace is not made up for: its own time stands in the history.
      dueAt = Math.max(dueAt + everyMs, clock.now());
      await sleep(clock, Math.max(0, dueAt - clock.now()), signal).catch(() => undefined);
    }
    await this.#connection?.close();
  }

  async #beat(): Promise<void> {
    const connection = await this.#connected();
    // The gate may have been closed, or all of it ended, while the connection was made.
    if (connection === undefined || this.gate.isClosed || this.#stop.signal.aborted) return;
    const { record } = this.#options;
    const operation = { process: this.#options.process, f: "heartbeat", id: ++this.#number } as const;
    const at = this.#now();
    const invoke = record({ type: "invoke", ...operation, at, intendedAt: at });
    const { text, values } = beat(operation.id);
    this.gate.enter();
    try {
      await connection.query(text, values);
      record({ type: "ok", ...operation, at: this.#now(), invoke });
    } catch (error) {
      record({ ...failedOutcome("heartbeat", error), ...operation, at: this.#now(), invoke });
      this.#connection = undefined;
      await connection.close();
    } finally {
      this.gate.leave();
    }
  }

  /** While the primary is away nothing is asked: there is nobody to ask. */
  async #connected(): Promise<DirectConnection | undefined> {
    try {
      this.#connection ??= await this.#options.connect();
    } catch {
      return undefined;
    }
    return this.#connection;
  }

  #now(): number {
    return this.#options.clock.now() - this.#options.originMs;
  }
}
