import { expect, test } from "vitest";
import { injectEarly, runSteps } from "../../../chaos/experiment/run-steps.ts";
import type { StepsOptions } from "../../../chaos/experiment/run-steps.ts";
import type { Fault } from "../../../chaos/faults/fault.ts";
import { Recorder } from "../../../chaos/history/recorder.ts";
import type { Step } from "../../../chaos/scenarios/scenario.ts";
import { FaultNotObserved } from "../../../chaos/world.ts";
import { sleep } from "../../../src/runtime/clock.ts";
import { VirtualClock } from "../../sim/toxiproxy/virtual-clock.ts";

const KILL: Fault = { kind: "node-killed", node: "replica-1" };
const PAUSE: Fault = { kind: "replay-paused", node: "replica-2" };

interface Slow {
  readonly injectMs?: number;
  readonly healMs?: number;
  readonly fails?: "inject" | "heal" | "tools";
}

function carryOut(steps: readonly Step[], slow: Slow = {}) {
  const clock = new VirtualClock();
  const recorder = new Recorder();
  const source = recorder.source();
  const quiet: string[] = [];
  const end = new AbortController();
  let startedAt: number | undefined;
  const options: StepsOptions = {
    clock,
    originMs: 0,
    signal: end.signal,
    record: (draft) => source.append(draft),
    quiet: async (on) => void quiet.push(`${on} at ${clock.now()}`),
    onStep: () => {},
    nemesis: {
      healAll: () => Promise.resolve(),
      inject: async (fault) => {
        await sleep(clock, slow.injectMs ?? 0);
        if (slow.fails === "tools") throw new Error("Toxiproxy does not answer");
        if (slow.fails === "inject") throw new FaultNotObserved(fault, "inject", "it still answers");
        const heal = async (): Promise<void> => {
          await sleep(clock, slow.healMs ?? 0);
          if (slow.fails === "heal") throw new FaultNotObserved(fault, "heal", "it does not answer");
        };
        return { fault, heal, [Symbol.asyncDispose]: heal };
      },
    },
  };
  const done = injectEarly(steps, options).then((early) => {
    startedAt = clock.now();
    return runSteps(steps, options, early);
  });
  // Looked at below; until then its rejection must not count as unhandled.
  done.catch(() => {});
  return { clock, recorder, quiet, end, done, startedAt: () => startedAt };
}

test("a fault is healed so long after it was observed, not after it was begun", async () => {
  const { clock, recorder, done } = carryOut([{ kind: "fault", atMs: 100, forMs: 500, fault: KILL }], {
    injectMs: 40,
    healMs: 70,
  });
  await clock.advance(5000);
  expect(await done).toEqual([]);
  expect(recorder.finish()).toEqual([
    { type: "nemesis", phase: "inject", fault: KILL, faultId: 0, begunAt: 100, observedAt: 140, index: 0 },
    { type: "nemesis", phase: "heal", fault: KILL, faultId: 0, begunAt: 640, observedAt: 710, index: 1 },
  ]);
});

test("steps overlap, each at its own time, with a number of its own", async () => {
  const { clock, recorder, done } = carryOut([
    { kind: "fault", atMs: 0, forMs: 500, fault: KILL },
    { kind: "fault", atMs: 200, forMs: 100, fault: PAUSE },
  ]);
  await clock.advance(5000);
  await done;
  const told = recorder.finish().map((entry) => {
    return entry.type === "nemesis" ? `${entry.faultId} ${entry.phase} ${entry.begunAt}` : entry.type;
  });
  expect(told).toEqual(["0 inject 0", "1 inject 200", "1 heal 300", "0 heal 500"]);
});

test("what nobody saw is recorded as such and told, and the rest goes on", async () => {
  const { clock, recorder, done } = carryOut([{ kind: "fault", atMs: 0, forMs: 100, fault: KILL }], {
    fails: "inject",
  });
  await clock.advance(1000);
  expect(await done).toEqual(["inject of node-killed was not observed: it still answers"]);
  expect(recorder.finish()).toMatchObject([{ phase: "inject", begunAt: 0, observedAt: null }]);
});

test("a heal that nobody saw is told as well", async () => {
  const { clock, recorder, done } = carryOut([{ kind: "fault", atMs: 0, forMs: 100, fault: KILL }], {
    fails: "heal",
  });
  await clock.advance(1000);
  expect(await done).toEqual(["heal of node-killed was not observed: it does not answer"]);
  expect(recorder.finish()).toMatchObject([{ observedAt: 0 }, { phase: "heal", observedAt: null }]);
});

test("tools that are gone end the run: what follows is no fault of the subject", async () => {
  const { clock, done } = carryOut([{ kind: "fault", atMs: 0, forMs: 100, fault: KILL }], { fails: "tools" });
  await clock.advance(1000);
  await expect(done).rejects.toThrow("Toxiproxy does not answer");
});

test("writers are quiet from one time to the other", async () => {
  const { clock, recorder, quiet, done } = carryOut([{ kind: "quiet", atMs: 50, forMs: 300 }]);
  await clock.advance(1000);
  await done;
  expect(quiet).toEqual(["true at 50", "false at 350"]);
  expect(recorder.finish()).toMatchObject([
    { type: "quiet", on: true, at: 50 },
    { type: "quiet", on: false, at: 350 },
  ]);
});

test("aborting ends every wait, and rejects with its reason once no step runs any more", async () => {
  const { clock, end, done } = carryOut([
    { kind: "fault", atMs: 0, forMs: 60_000, fault: KILL },
    { kind: "fault", atMs: 50_000, forMs: 60_000, fault: PAUSE },
  ]);
  await clock.advance(100);
  end.abort(new Error("enough"));
  await expect(done).rejects.toThrow("enough");
  expect(clock.pending).toBe(0);
});

test("what has to be on before the start is on before, and is healed so long after the start", async () => {
  const { clock, recorder, done, startedAt } = carryOut(
    [
      { kind: "fault", atMs: 100, forMs: 100, fault: PAUSE },
      { kind: "fault", atMs: 0, forMs: 300, fault: KILL, beforeStart: true },
    ],
    { injectMs: 40 },
  );
  await clock.advance(5000);
  expect(await done).toEqual([]);
  expect(startedAt()).toBe(40);
  expect(recorder.finish()).toMatchObject([
    { phase: "inject", fault: KILL, faultId: 1, begunAt: 0, observedAt: 40 },
    { phase: "inject", fault: PAUSE, faultId: 0, begunAt: 140, observedAt: 180 },
    { phase: "heal", fault: PAUSE, faultId: 0, begunAt: 280 },
    { phase: "heal", fault: KILL, faultId: 1, begunAt: 340 },
  ]);
});

test("what could not be put on before the start is told, and not healed", async () => {
  const { clock, recorder, done } = carryOut(
    [{ kind: "fault", atMs: 0, forMs: 300, fault: KILL, beforeStart: true }],
    { fails: "inject" },
  );
  await clock.advance(1000);
  expect(await done).toEqual(["inject of node-killed was not observed: it still answers"]);
  expect(recorder.finish()).toHaveLength(1);
});

test("steps of one lane never overlap, however long a heal takes", async () => {
  const lane = "replica-1";
  const { clock, recorder, done } = carryOut(
    [
      { kind: "fault", atMs: 0, forMs: 100, fault: KILL, lane },
      { kind: "fault", atMs: 150, forMs: 100, fault: PAUSE, lane },
      { kind: "fault", atMs: 150, forMs: 100, fault: PAUSE, lane: "another" },
    ],
    { healMs: 300 },
  );
  await clock.advance(5000);
  await done;
  const told = recorder.finish().map((entry) => {
    return entry.type === "nemesis" ? `${entry.faultId} ${entry.phase} ${entry.begunAt}` : entry.type;
  });
  expect(told).toEqual([
    "0 inject 0",
    "2 inject 150",
    "0 heal 100",
    "1 inject 400",
    "2 heal 250",
    "1 heal 500",
  ]);
});

test("a fault that stays on is not healed, and waited for by nobody", async () => {
  const { clock, recorder, done } = carryOut([
    { kind: "fault", atMs: 0, forMs: 0, fault: KILL, staysOn: true },
    { kind: "fault", atMs: 50, forMs: 10, fault: PAUSE },
  ]);
  await clock.advance(1000);
  expect(await done).toEqual([]);
  const told = recorder
    .finish()
    .map((entry) => (entry.type === "nemesis" ? `${entry.faultId} ${entry.phase}` : ""));
  expect(told).toEqual(["0 inject", "1 inject", "1 heal"]);
});
