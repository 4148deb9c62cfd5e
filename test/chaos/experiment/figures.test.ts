import { expect, test } from "vitest";
import { faultReports, figuresOf } from "../../../chaos/experiment/figures.ts";
import { describeFault } from "../../../chaos/faults/fault.ts";
import type { Fault } from "../../../chaos/faults/fault.ts";
import { Recorder } from "../../../chaos/history/recorder.ts";
import type { History, RouterEvent } from "../../../chaos/history/operation.ts";

const KILL: Fault = { kind: "node-killed", node: "replica-2" };

interface Asked {
  readonly f?: "read" | "write";
  readonly at: number;
  readonly tookMs?: number;
  readonly node?: string;
  readonly heartbeat?: number;
  readonly failed?: boolean;
}

class Book {
  readonly #recorder = new Recorder();
  #process = 0;

  asked({ f = "read", at, tookMs = 10, node = "replica-1", heartbeat = 99, failed = false }: Asked): this {
    const source = this.#recorder.source();
    const operation = { process: this.#process++, f };
    const invoke = source.append({ type: "invoke", ...operation, at, intendedAt: at });
    const evidence = [{ node, role: "replica" as const, heartbeat }];
    const answer = failed
      ? ({ type: "fail", error: { code: "X", message: "x" } } as const)
      : ({ type: "ok", evidence } as const);
    source.append({ ...operation, ...answer, at: at + tookMs, invoke });
    return this;
  }

  beat(id: number, at: number): this {
    const source = this.#recorder.source();
    const operation = { process: 500, f: "heartbeat", id } as const;
    const invoke = source.append({ type: "invoke", ...operation, at: at - 1, intendedAt: at - 1 });
    source.append({ type: "ok", ...operation, at, invoke });
    return this;
  }

  killed(observedAt: number, healedAt: number): this {
    const source = this.#recorder.source();
    const one = { type: "nemesis", fault: KILL, faultId: 0 } as const;
    source.append({ ...one, phase: "inject", begunAt: observedAt - 30, observedAt });
    source.append({ ...one, phase: "heal", begunAt: healedAt - 100, observedAt: healedAt });
    return this;
  }

  said(at: number, event: RouterEvent): this {
    this.#recorder.source().append({ type: "testimony", at, event });
    return this;
  }

  dropped(at: number): this {
    this.#recorder.source().append({ type: "dropped", at, f: "read" });
    return this;
  }

  finish(): History {
    return this.#recorder.finish();
  }
}

const measured = (history: History): ReturnType<typeof figuresOf> =>
  figuresOf({ history, from: 1000, until: 9000 });

test("what was asked outside the measured part does not count", () => {
  const history = new Book()
    .asked({ at: 500, failed: true })
    .asked({ at: 1500 })
    .asked({ at: 9500, tookMs: 700 })
    .dropped(900)
    .dropped(2000)
    .finish();
  expect(measured(history)).toMatchObject({ reads: 1, failedReads: 0, dropped: 1, longestStallMs: 10 });
});

test("shares are counted by who answered the clients", () => {
  const book = new Book();
  for (let i = 0; i < 3; i++) book.asked({ at: 2000 + i, node: "replica-1" });
  book.asked({ at: 3000, node: "replica-2" }).asked({ at: 3001, failed: true });
  book.asked({ f: "write", at: 3002, node: "primary" }).asked({ f: "write", at: 3003, failed: true });
  expect(measured(book.finish())).toMatchObject({
    reads: 5,
    failedReads: 1,
    writes: 2,
    failedWrites: 1,
    shares: { "replica-1": 0.75, "replica-2": 0.25 },
  });
});

test("staleness is for how long the first heartbeat that a read did not see had been acknowledged", () => {
  const history = new Book()
    .beat(1, 1000)
    .beat(2, 2000)
    .beat(3, 3000)
    .asked({ at: 2600, heartbeat: 1 })
    .asked({ at: 2700, heartbeat: 2 })
    .finish();
  expect(measured(history).worstStalenessMs).toBe(600);
});

test("detection runs from the fault's beginning to the eviction of what it hit, recovery from the observed heal", () => {
  const history = new Book()
    .killed(2000, 5000)
    .said(2100, { kind: "evicted", node: "replica-1", reason: "lagging", basis: "other" })
    .said(2450, { kind: "evicted", node: "replica-2", reason: "unreachable", basis: "2 probes" })
    .said(5300, { kind: "readmitted", node: "replica-2" })
    .said(6300, { kind: "restored", node: "replica-2" })
    .finish();
  expect(measured(history)).toMatchObject({ detectionMs: 480, recoveryMs: 1300 });
});

test("a router that noticed before the observer did took what it took", () => {
  const history = new Book()
    .killed(2000, 5000)
    .said(1990, { kind: "evicted", node: "replica-2", reason: "unreachable", basis: "2 probes" })
    .finish();
  expect(measured(history).detectionMs).toBe(20);
});

test("a router that says nothing has neither figure", () => {
  const figures = measured(new Book().killed(2000, 5000).finish());
  expect(figures).not.toHaveProperty("detectionMs");
  expect(figures).not.toHaveProperty("recoveryMs");
});

test("a fault is reported with the times at which it was begun and seen", () => {
  expect(faultReports(new Book().killed(2000, 5000).finish(), ({ fault }) => describeFault(fault))).toEqual([
    {
      fault: "node-killed replica-2",
      injectBegunAtMs: 1970,
      injectObservedAtMs: 2000,
      healBegunAtMs: 4900,
      healObservedAtMs: 5000,
    },
  ]);
});
