/** Carries a schedule out: each step at its time, each fault healed some time after it was observed, all of it recorded. */
import { sleep } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { describeFault } from "../faults/fault.ts";
import type { Step } from "../scenarios/scenario.ts";
import { FaultNotObserved } from "../world.ts";
import type { Nemesis } from "../world.ts";
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
  /** Told of each thing done, in a few words. */
  readonly onStep: (what: string) => void;
}

/**
 * Resolves, when every step has been carried out, with what could not be: in words, nothing when all was observed.
 * Rejects with the signal's reason, and only once no step runs any more.
 */
export async function runSteps(steps: readonly Step[], options: StepsOptions): Promise<string[]> {
  const startedAt = options.clock.now();
  const troubles: string[] = [];
  const runs = steps.map(async (step, index) => {
    await sleep(options.clock, Math.max(0, startedAt + step.atMs - options.clock.now()), options.signal);
    if (step.kind === "quiet") await runQuiet(step, options);
    else await runFault(step, index, options, troubles);
  });
  const results = await Promise.allSettled(runs);
  options.signal.throwIfAborted();
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return troubles;
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

async function runFault(
  step: Extract<Step, { kind: "fault" }>,
  faultId: number,
  options: StepsOptions,
  troubles: string[],
): Promise<void> {
  const { clock, nemesis, originMs, record, signal, onStep } = options;
  const { fault } = step;
  const now = (): number => clock.now() - originMs;

  const perform = async <T>(phase: "inject" | "heal", task: () => Promise<T>): Promise<T | undefined> => {
    const begunAt = now();
    try {
      const done = await task();
      record({ type: "nemesis", phase, fault, faultId, begunAt, observedAt: now() });
      onStep(`${phase === "inject" ? "on" : "healed"}: ${describeFault(fault)}`);
      return done;
    } catch (error) {
      record({ type: "nemesis", phase, fault, faultId, begunAt, observedAt: null });
      if (signal.aborted) throw error;
      troubles.push(
        error instanceof FaultNotObserved
          ? error.message
          : `${phase} of ${describeFault(fault)} failed: ${String(error)}`,
      );
      return undefined;
    }
  };

  const active = await perform("inject", () => nemesis.inject(fault, signal));
  if (active === undefined) return;
  await sleep(clock, step.forMs, signal);
  await perform("heal", () => active.heal());
}
