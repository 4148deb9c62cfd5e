/** Carries a schedule out: each step at its time, each fault healed some time after it was observed, all of it recorded. */
import { sleep } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { describeFault } from "../faults/fault.ts";
import type { Step } from "../scenarios/scenario.ts";
import { FaultNotObserved } from "../world.ts";
import type { ActiveFault, Nemesis } from "../world.ts";
import type { RecordEntry } from "../workload/record.ts";

export interface StepsOptions {
  readonly clock: Clock;
  readonly nemesis: Nemesis;
  readonly record: RecordEntry;
  readonly originMs: number;
  /** Ends all waiting. Whoever aborts heals: see {@link Nemesis.healAll}. */
  readonly signal: AbortSignal;
  /** Makes writers quiet, or lets them go on; resolves when they are. */
  readonly quiet: (on: boolean) => Promise<void>;
  /** Told of each thing done, in a few words; and, where it was a fault, whether that is on now. */
  readonly onStep: (what: string, fault?: FaultChange) => void;
}

export interface FaultChange {
  /** As `describeFault` gives it. */
  readonly what: string;
  readonly on: boolean;
}

/** Faults that are on before the subject starts, by their step. */
export type EarlyFaults = ReadonlyMap<Step, FaultStep>;

/** Injects what has to be on before the subject starts; resolves when each was observed, or could not be. */
export async function injectEarly(steps: readonly Step[], options: StepsOptions): Promise<EarlyFaults> {
  const early = new Map<Step, FaultStep>();
  for (const [index, step] of steps.entries()) {
    if (step.kind === "fault" && step.beforeStart === true)
      early.set(step, new FaultStep(step, index, options));
  }
  const results = await Promise.allSettled([...early.values()].map((fault) => fault.inject()));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return early;
}

/**
 * Resolves, when every step has been carried out, with what could not be: in words, nothing when all was observed.
 * Rejects with the signal's reason, and only once no step runs any more.
 */
export async function runSteps(
  steps: readonly Step[],
  options: StepsOptions,
  early: EarlyFaults = new Map(),
): Promise<string[]> {
  const { clock, signal } = options;
  const startedAt = clock.now();
  const faults: FaultStep[] = [];
  const lanes = new Map<string, Promise<void>>();
  const run = async (step: Step, index: number, before: Promise<void> | undefined): Promise<void> => {
    await sleep(clock, Math.max(0, startedAt + step.atMs - clock.now()), signal);
    await before;
    if (step.kind === "quiet") return runQuiet(step, options);
    const fault = early.get(step) ?? new FaultStep(step, index, options);
    faults.push(fault);
    if (!early.has(step)) await fault.inject();
    await fault.heal();
  };
  const runs = steps.map((step, index) => {
    const lane = step.kind === "fault" ? step.lane : undefined;
    const running = run(step, index, lane === undefined ? undefined : lanes.get(lane));
    if (lane !== undefined) lanes.set(lane, running);
    return running;
  });
  const results = await Promise.allSettled(runs);
  signal.throwIfAborted();
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return faults.flatMap(({ troubles }) => troubles);
}

async function runQuiet(step: Extract<Step, { kind: "quiet" }>, options: StepsOptions): Promise<void> {
  const { clock, originMs, record, quiet, signal, onStep } = options;
  const told = (on: boolean): void => {
    record({ type: "quiet", on, at: clock.now() - originMs });
    onStep(on ? "writers are quiet" : "writers go on");
  };
  await quiet(true);
  told(true);
  await sleep(clock, step.forMs, signal);
  told(false);
  await quiet(false);
}

/** One fault of a schedule. What goes wrong with it is kept in words; only an abort rejects. */
class FaultStep {
  readonly troubles: string[] = [];
  readonly #step: Extract<Step, { kind: "fault" }>;
  readonly #faultId: number;
  readonly #options: StepsOptions;
  #active: ActiveFault | undefined;

  constructor(step: Extract<Step, { kind: "fault" }>, faultId: number, options: StepsOptions) {
    this.#step = step;
    this.#faultId = faultId;
    this.#options = options;
  }

  async inject(): Promise<void> {
    const { nemesis, signal } = this.#options;
    this.#active = await this.#perform("inject", () => nemesis.inject(this.#step.fault, signal));
  }

  /** When its time is over. Does nothing when it is not on, or is to stay. */
  async heal(): Promise<void> {
    const active = this.#active;
    if (active === undefined || this.#step.staysOn === true) return;
    await sleep(this.#options.clock, this.#step.forMs, this.#options.signal);
    await this.#perform("heal", () => active.heal());
  }

  async #perform<T>(phase: "inject" | "heal", task: () => Promise<T>): Promise<T | undefined> {
    const { clock, originMs, record, signal, onStep } = this.#options;
    const { fault } = this.#step;
    const faultId = this.#faultId;
    const now = (): number => clock.now() - originMs;
    const begunAt = now();
    try {
      const done = await task();
      record({ type: "nemesis", phase, fault, faultId, begunAt, observedAt: now() });
      const change = { what: describeFault(fault), on: phase === "inject" };
      onStep(`${change.on ? "on" : "healed"}: ${change.what}`, change);
      return done;
    } catch (error) {
      record({ type: "nemesis", phase, fault, faultId, begunAt, observedAt: null });
      // Anything else than an effect nobody saw says that the world's own tools are gone: nothing after it can be judged.
      if (signal.aborted || !(error instanceof FaultNotObserved)) throw error;
      this.troubles.push(error.message);
      return undefined;
    }
  }
}
