/**
 * One subject under load, in whatever thread it is given: loads it, connects it, asks of it, closes it. The thread's worker
 * and the inline host are both made of this.
 */
import { getActiveResourcesInfo } from "node:process";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/input.ts";
import { sleep, withDeadline } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { createPrng } from "../../src/runtime/prng.ts";
import type { Claim, Subject, SubjectClient } from "../subject.ts";
import type { Rig } from "../world.ts";
import { runWorkload } from "./run.ts";
import type { RecordEntry } from "./record.ts";
import type { WorkloadSpec } from "./spec.ts";
import { WriteGate } from "./write-gate.ts";

/** What a subject's stage is set up with: plain data, so that it can cross to a thread. */
export interface StageSetting {
  readonly rig: Rig;
  readonly policy: ConfigInput;
  readonly applicationName: string;
  readonly seed: number;
  readonly spec: WorkloadSpec;
  readonly originMs: number;
}

/** Kinds of open handles and how many. */
export type HandleCounts = Readonly<Record<string, number>>;

export interface SubjectFacts {
  readonly name: string;
  readonly claims: readonly Claim[];
  /** Open handles before it was connected; absent where they cannot be told from others'. */
  readonly handles?: HandleCounts | undefined;
}

export interface StageOptions {
  readonly setting: StageSetting;
  readonly clock: Clock;
  readonly record: RecordEntry;
  readonly loadSubject: () => Promise<Subject>;
  /** Whether this thread is the subject's alone, so that its open handles are the subject's. */
  readonly ownThread: boolean;
}

/** How long a subject may take to close. */
export const CLOSE_TIMEOUT_MS = 5_000;
const HANDLES_TIMEOUT_MS = 1_000;
const HANDLES_POLL_MS = 20;

export class Stage {
  readonly #options: StageOptions;
  readonly #gate = new WriteGate();
  readonly #ending = new AbortController();
  #subject: Subject | undefined;
  #client: SubjectClient | undefined;
  #workload: Promise<void> = Promise.resolve();
  #handlesBefore: HandleCounts | undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  async load(): Promise<SubjectFacts> {
    const subject = await this.#options.loadSubject();
    this.#subject = subject;
    this.#handlesBefore = this.#handles();
    return { name: subject.name, claims: [...subject.claims], handles: this.#handlesBefore };
  }

  async connect(): Promise<void> {
    const { setting, clock, record } = this.#options;
    const { rig, applicationName, seed, originMs } = setting;
    if (this.#subject === undefined) throw new Error("a subject is loaded before it is connected");
    this.#client = await this.#subject.connect({
      rig,
      policy: resolveConfig(setting.policy),
      applicationName,
      seed,
      tell: (event) => void record({ type: "testimony", at: clock.now() - originMs, event }),
    });
  }

  begin(): void {
    const { setting, clock, record } = this.#options;
    if (this.#client === undefined) throw new Error("a subject is connected before it is asked");
    this.#workload = runWorkload({
      clock,
      prng: createPrng(setting.seed).stream("workload"),
      client: this.#client,
      spec: setting.spec,
      record,
      originMs: setting.originMs,
      signal: this.#ending.signal,
      gate: this.#gate,
    });
  }

  /** Resolves when writers are quiet, or may go on. */
  async quiet(on: boolean): Promise<void> {
    if (on) await this.#gate.close();
    else this.#gate.open();
  }

  /** Ends the arrivals; resolves when the last operation has been answered or given up. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#workload;
  }

  /**
   * Closes the subject, and gives what is still open in its thread after that.
   * @throws DeadlineError when it does not close within 5 s
   */
  async close(): Promise<HandleCounts | undefined> {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) {
      await withDeadline(this.#options.clock, client.close(), {
        what: `closing the subject "${this.#subject?.name ?? ""}"`,
        timeoutMs: CLOSE_TIMEOUT_MS,
      });
    }
    return await this.#handlesAfter();
  }

  /** Sockets close behind their owner: what is there at first may still go. */
  async #handlesAfter(): Promise<HandleCounts | undefined> {
    const { clock } = this.#options;
    const deadline = clock.now() + HANDLES_TIMEOUT_MS;
    let handles = this.#handles();
    while (handles !== undefined && hasMore(handles, this.#handlesBefore ?? {}) && clock.now() < deadline) {
      await sleep(clock, HANDLES_POLL_MS);
      handles = this.#handles();
    }
    return handles;
  }

  #handles(): HandleCounts | undefined {
    if (!this.#options.ownThread) return undefined;
    const counts: Record<string, number> = {};
    for (const kind of getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }
}

function hasMore(now: HandleCounts, before: HandleCounts): boolean {
  return Object.entries(now).some(([kind, count]) => count > (before[kind] ?? 0));
}
