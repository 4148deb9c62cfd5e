import { describe, expect, test } from "vitest";
import { Recorder } from "../../../chaos/history/recorder.ts";
import type { History, Invoke } from "../../../chaos/history/operation.ts";
import { forEachOperation } from "../../../chaos/history/operations.ts";
import type { Row, SubjectClient } from "../../../chaos/subject.ts";
import { runWorkload } from "../../../chaos/workload/run.ts";
import type { WorkloadSpec } from "../../../chaos/workload/spec.ts";
import { WriteGate } from "../../../chaos/workload/write-gate.ts";
import { createPrng } from "../../../src/runtime/prng.ts";
import { sleep } from "../../../src/runtime/clock.ts";
import { VirtualClock } from "../../sim/toxiproxy/virtual-clock.ts";

const SPEC: WorkloadSpec = {
  sessions: 4,
  ratePerSecond: 100,
  mix: { read: 1, write: 0, transaction: 0 },
  heartbeatMs: 50,
  giveUpMs: 500,
};

const ROW: Row = { node: "replica-1", standby: true, backend: 7, heartbeat: 3, replay_lsn: "0/10" };

interface Experiment {
  readonly clock: VirtualClock;
  readonly gate: WriteGate;
  /** Lets it run for so long, then ends it and gives what was recorded. */
  readonly run: (forMs: number) => Promise<History>;
}

function experiment(client: Partial<SubjectClient>, spec: Partial<WorkloadSpec> = {}): Experiment {
  const clock = new VirtualClock();
  const gate = new WriteGate();
  const recorder = new Recorder();
  const source = recorder.source();
  const end = new AbortController();
  const done = runWorkload({
    clock,
    prng: createPrng(1),
    client: {
      read: () => Promise.resolve([ROW]),
      write: () => Promise.resolve([{ ...ROW, node: "primary", standby: false }]),
      close: () => Promise.resolve(),
      ...client,
    },
    spec: { ...SPEC, ...spec },
    record: (draft) => source.append(draft),
    originMs: 0,
    signal: end.signal,
    gate,
  });
  return {
    clock,
    gate,
    run: async (forMs) => {
      await clock.advance(forMs);
      end.abort();
      await clock.advance(10_000);
      await done;
      expect(clock.pending).toBe(0);
      return recorder.finish();
    },
  };
}

const invokes = (history: History): Invoke[] => history.filter((entry) => entry.type === "invoke");

describe("the open loop", () => {
  test("keeps its schedule while answers are slow: a stall of one is not hidden from the others", async () => {
    const slow = experiment({
      read: async () => {
        await sleep(slow.clock, 35);
        return [ROW];
      },
    });
    const history = await slow.run(1000);
    expect(invokes(history)).toHaveLength(100);
    for (const [n, { at, intendedAt }] of invokes(history).entries()) {
      expect(intendedAt).toBeGreaterThanOrEqual(n * 10);
      expect(intendedAt).toBeLessThan(n * 10 + 5);
      expect(at).toBe(intendedAt);
    }
  });

  test("drops and counts the arrivals that find every session busy, and makes none of them up later", async () => {
    const hanging = experiment({ read: () => new Promise(() => {}) });
    const history = await hanging.run(1000);
    // Four sessions, each busy for 500 ms: 4 + 4 operations of 100 arrivals.
    expect(invokes(history)).toHaveLength(8);
    expect(history.filter(({ type }) => type === "dropped")).toHaveLength(92);
  });

  test("after a pause of its own asks all that was due, with the times at which it was due", async () => {
    const { clock, run } = experiment({}, { sessions: 50 });
    const paused = clock.now.bind(clock);
    let lateMs = 0;
    clock.now = () => paused() + lateMs;
    await clock.advance(100);
    lateMs = 200;
    const history = await run(100);
    const late = invokes(history).filter(({ at, intendedAt }) => at - intendedAt > 100);
    expect(late.length).toBeGreaterThanOrEqual(9);
    expect(history.filter(({ type }) => type === "dropped")).toEqual([]);
  });

  test("ends with nothing open: what was on its way is waited for", async () => {
    const slow = experiment({
      read: async () => {
        await sleep(slow.clock, 300);
        return [ROW];
      },
    });
    const history = await slow.run(15);
    const answered = history.filter(({ type }) => type === "ok");
    expect(answered).toHaveLength(invokes(history).length);
    expect(answered.length).toBeGreaterThan(0);
  });

  test("a session has one operation open at a time", async () => {
    const slow = experiment({
      read: async () => {
        await sleep(slow.clock, 25);
        return [ROW];
      },
    });
    const open = new Map<number, number>();
    let most = 0;
    for (const entry of await slow.run(500)) {
      if (entry.type !== "invoke" && entry.type !== "ok") continue;
      const now = (open.get(entry.process) ?? 0) + (entry.type === "invoke" ? 1 : -1);
      open.set(entry.process, now);
      most = Math.max(most, now);
    }
    expect(most).toBe(1);
  });
});

describe("an operation", () => {
  test("carries the evidence of each of its statements", async () => {
    const both = experiment(
      { readOnlyTransaction: (statements) => Promise.resolve(statements.map(() => [ROW])) },
      { mix: { read: 1, write: 1, transaction: 1 } },
    );
    const seen = new Map<string, unknown>();
    forEachOperation(await both.run(1000), (invoke, completion) => seen.set(invoke.f, completion?.evidence));
    const evidence = { node: "replica-1", role: "replica", heartbeat: 3, backend: 7, replayLsn: "0/10" };
    expect(seen.get("read")).toEqual([evidence]);
    expect(seen.get("transaction")).toEqual([evidence, evidence]);
    expect(seen.get("write")).toMatchObject([{ node: "primary", role: "primary" }]);
  });

  test("of a subject without transactions is a read instead", async () => {
    const history = await experiment({}, { mix: { read: 0, write: 0, transaction: 1 } }).run(100);
    expect(new Set(invokes(history).map(({ f }) => f))).toEqual(new Set(["read"]));
  });

  test("that writes has an id of its own", async () => {
    const history = await experiment({}, { mix: { read: 0, write: 1, transaction: 0 } }).run(1000);
    const ids = invokes(history).map(({ id }) => id);
    expect(new Set(ids).size).toBe(100);
  });

  test("of a session that has written asks for its last acknowledged write as well, and no other does", async () => {
    const asked: (readonly unknown[])[] = [];
    const own = experiment(
      {
        read: (_text, values) => {
          asked.push(values);
          return Promise.resolve([values.length === 0 ? ROW : { ...ROW, own_write: values[0] }]);
        },
      },
      { mix: { read: 3, write: 1, transaction: 0 } },
    );
    const written = new Map<number, number>();
    let told = 0;
    forEachOperation(await own.run(1000), (invoke, completion) => {
      if (invoke.f === "write" && invoke.id !== undefined) written.set(invoke.process, invoke.id);
      if (invoke.f !== "read") return;
      expect(completion?.evidence?.[0]?.ownWrite).toBe(written.get(invoke.process));
      if (written.has(invoke.process)) told++;
    });
    expect(told).toBeGreaterThan(30);
    expect(asked.some((values) => values.length === 0)).toBe(true);
  });

  test("may have to last, or be named: what says where it comes from is the same", async () => {
    const asked: { readonly text: string; readonly name: string | undefined }[] = [];
    const read: SubjectClient["read"] = (text, _values, name) => {
      asked.push({ text, name });
      return Promise.resolve([ROW]);
    };
    await experiment({ read }, { readMs: 30 }).run(50);
    const [lasting] = asked.splice(0);
    expect(lasting?.text).toMatch(/as heartbeat, .*pg_sleep\(greatest\(30, /);
    expect(lasting?.name).toBeUndefined();
    await experiment({ read }, { namedReads: true }).run(50);
    const [named] = asked;
    expect(named?.text).toMatch(/as heartbeat, .*altered\.\* from fairlead_chaos\.altered/);
    expect(named?.name).toBe("fairlead_chaos_read");
  });

  test("that is not answered is given up: a read fails, a write is left in doubt", async () => {
    const never = (): Promise<never> => new Promise(() => {});
    const history = await experiment(
      { read: never, write: never },
      { mix: { read: 1, write: 1, transaction: 0 }, sessions: 100 },
    ).run(200);
    forEachOperation(history, (invoke, completion) => {
      expect(completion).toMatchObject({
        type: invoke.f === "write" ? "info" : "fail",
        error: { code: "GAVE_UP" },
      });
      expect((completion?.at ?? 0) - invoke.at).toBeCloseTo(500);
    });
  });

  test("whose answer says nothing of where it comes from proves nothing", async () => {
    const history = await experiment({ read: () => Promise.resolve([{ one: 1 }]) }).run(20);
    expect(history.find(({ type }) => type === "fail")).toMatchObject({ error: { code: "NO_EVIDENCE" } });
  });

  test("whose call throws at once has failed like any other", async () => {
    const history = await experiment({
      read: () => {
        throw new Error("not even a promise");
      },
    }).run(20);
    expect(history.find(({ type }) => type === "fail")).toMatchObject({
      error: { code: "Error", message: "not even a promise" },
    });
  });
});

describe("quiet", () => {
  test("closes the gate for new writes, and is reached when the last has been answered", async () => {
    const slow = experiment(
      {
        write: async () => {
          await sleep(slow.clock, 100);
          return [{ ...ROW, standby: false }];
        },
      },
      { mix: { read: 1, write: 1, transaction: 0 }, sessions: 50 },
    );
    await slow.clock.advance(200);
    let quietAt: number | undefined;
    void slow.gate.close().then(() => {
      quietAt = slow.clock.now();
    });
    await slow.clock.advance(300);
    slow.gate.open();
    const history = await slow.run(200);
    const writes = invokes(history).filter(({ f }) => f === "write");
    expect(quietAt).toBeGreaterThan(200);
    expect(quietAt).toBeLessThanOrEqual(300);
    expect(writes.filter(({ at }) => at > 200 && at < 500)).toEqual([]);
    expect(writes.filter(({ at }) => at > 500).length).toBeGreaterThan(3);
    expect(
      invokes(history).filter(({ f, at }) => f === "read" && at > 200 && at < 500).length,
    ).toBeGreaterThan(8);
  });
});
