/**
 * The open loop: asks at the times it meant to, however long the answers take, so that a stall is seen by every arrival
 * that it keeps waiting. Free of threads and I/O: time, chance and the client come in, operations go out.
 */
import { withDeadline } from "../../src/runtime/clock.ts";
import type { Clock, Timer } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { RecordEntry } from "./record.ts";
import type { Evidence } from "../history/operation.ts";
import type { SubjectClient } from "../subject.ts";
import { arrivals } from "./arrivals.ts";
import type { Arrival } from "./arrivals.ts";
import { failedOutcome } from "./outcome.ts";
import type { FailedOutcome } from "./outcome.ts";
import type { WorkloadSpec } from "./spec.ts";
import { evidenceOf, insert, lasting, NAMED_READ, READ, readOwn } from "./statements.ts";
import type { Statement } from "./statements.ts";
import type { WriteGate } from "./write-gate.ts";

export interface WorkloadOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly client: SubjectClient;
  readonly spec: WorkloadSpec;
  readonly record: RecordEntry;
  /** The history's time zero, on `clock`. */
  readonly originMs: number;
  /** Ends the arrivals. What is open is waited for, at most `giveUpMs` each. */
  readonly signal: AbortSignal;
  /** Closed, no write is asked; default always open. */
  readonly gate?: WriteGate;
}

/** Resolves when the signal has ended the arrivals and the last open operation has been answered or given up. */
export function runWorkload(options: WorkloadOptions): Promise<void> {
  return new Loop(options).run();
}

type Outcome = { readonly type: "ok"; readonly evidence: readonly Evidence[] } | FailedOutcome;

interface Asked {
  readonly process: number;
  readonly f: Arrival["f"];
  readonly id?: number;
}

class Loop {
  readonly #options: WorkloadOptions;
  readonly #arrivals: Iterator<Arrival, never>;
  readonly #startedAt: number;
  /** First in, first out: every session gets its turn. */
  readonly #idle: number[];
  readonly #open = new Set<Promise<void>>();
  /** By session: its last write that was acknowledged. */
  readonly #ownWrites = new Map<number, number>();
  #next: Arrival;
  #timer: Timer | undefined;
  #lastId = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#arrivals = arrivals(options.spec, options.prng);
    this.#next = this.#arrivals.next().value;
    this.#startedAt = options.clock.now();
    this.#idle = Array.from({ length: options.spec.sessions }, (_, session) => session);
  }

  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    await new Promise<void>((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener("abort", () => resolve(), { once: true });
      this.#arm();
    });
    clock.cancel(this.#timer);
    await Promise.all(this.#open);
  }

  #arm(): void {
    const { clock } = this.#options;
    const delayMs = this.#startedAt + this.#next.atMs - clock.now();
    this.#timer = clock.schedule(Math.max(0, delayMs), () => this.#arrive());
  }

  /** Everything that is due, which after a pause of our own may be more than one. */
  #arrive(): void {
    const { clock, signal } = this.#options;
    if (signal.aborted) return;
    const now = clock.now();
    while (this.#startedAt + this.#next.atMs <= now) {
      this.#take(this.#next);
      this.#next = this.#arrivals.next().value;
    }
    this.#arm();
  }

  #take(arrival: Arrival): void {
    const { client, gate } = this.#options;
    const f = arrival.f === "transaction" && client.readOnlyTransaction === undefined ? "read" : arrival.f;
    if (f === "write" && gate?.isClosed === true) return;
    const session = this.#idle.shift();
    if (session === undefined) {
      this.#options.record({ type: "dropped", at: this.#now(), f });
      return;
    }
    const done = this.#operate(session, f, this.#startedAt + arrival.atMs).finally(() => {
      this.#open.delete(done);
      this.#idle.push(session);
    });
    this.#open.add(done);
  }

  async #operate(process: number, f: Arrival["f"], intendedAt: number): Promise<void> {
    const { clock, record, originMs, spec, gate } = this.#options;
    const operation = { process, f, ...(f === "write" ? { id: ++this.#lastId } : {}) };
    const invoke = record({
      type: "invoke",
      ...operation,
      at: this.#now(),
      intendedAt: intendedAt - originMs,
    });
    if (f === "write") gate?.enter();
    let outcome: Outcome;
    try {
      const evidence = await withDeadline(clock, this.#ask(operation), {
        what: `the ${f}`,
        timeoutMs: spec.giveUpMs,
      });
      outcome = { type: "ok", evidence };
      if (operation.id !== undefined) this.#ownWrites.set(process, operation.id);
    } catch (error) {
      outcome = failedOutcome(f, error);
    }
    if (f === "write") gate?.leave();
    record({ ...operation, ...outcome, at: this.#now(), invoke });
  }

  async #ask({ process, f, id }: Asked): Promise<readonly Evidence[]> {
    const { client } = this.#options;
    switch (f) {
      case "read": {
        const { text, values, name } =
          this.#options.spec.namedReads === true ? NAMED_READ : this.#readFor(process);
        return [evidenceOf(await client.read(text, values, name))];
      }
      case "write": {
        const { text, values } = insert(id as number);
        return [evidenceOf(await client.write(text, values))];
      }
      case "transaction": {
        const read = this.#readFor(process);
        const answers = await client.readOnlyTransaction?.([read, read]);
        return (answers ?? []).map(evidenceOf);
      }
    }
  }

  #readFor(session: number): Statement {
    const ownWrite = this.#ownWrites.get(session);
    const read = ownWrite === undefined ? READ : readOwn(ownWrite);
    const { readMs } = this.#options.spec;
    return readMs === undefined ? read : lasting(read, readMs);
  }

  #now(): number {
    return this.#options.clock.now() - this.#options.originMs;
  }
}
