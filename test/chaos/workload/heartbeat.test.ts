import { expect, test } from "vitest";
import { Recorder } from "../../../chaos/history/recorder.ts";
import type { Completion, History } from "../../../chaos/history/operation.ts";
import { Heartbeat } from "../../../chaos/workload/heartbeat.ts";
import type { DirectConnection } from "../../../chaos/world.ts";
import { VirtualClock } from "../../sim/toxiproxy/virtual-clock.ts";

const answersIn = (history: History): Completion[] =>
  history.flatMap((entry) => ("invoke" in entry ? [entry] : []));

function beating(changes: { readonly query?: () => Promise<never[]>; readonly connect?: () => void } = {}) {
  const clock = new VirtualClock();
  const recorder = new Recorder();
  const source = recorder.source();
  const counts = { open: 0, connected: 0 };
  const connect = async (): Promise<DirectConnection> => {
    changes.connect?.();
    counts.open += 1;
    counts.connected += 1;
    const close = async (): Promise<void> => {
      counts.open -= 1;
    };
    return { query: () => changes.query?.() ?? Promise.resolve([]), close, [Symbol.asyncDispose]: close };
  };
  const heartbeat = new Heartbeat({
    clock,
    connect,
    everyMs: 50,
    record: (draft) => source.append(draft),
    originMs: 0,
    process: 128,
  });
  return { clock, recorder, counts, heartbeat };
}

test("the heartbeat writes one number after the other at its pace, and closes its connection", async () => {
  const { clock, recorder, counts, heartbeat } = beating();
  await clock.advance(1000);
  const stopped = heartbeat.stop();
  await clock.advance(0);
  await stopped;
  const acknowledged = answersIn(recorder.finish());
  expect(new Set(acknowledged.map(({ type }) => type))).toEqual(new Set(["ok"]));
  expect(acknowledged.map(({ id }) => id)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
  expect(acknowledged.map(({ at }) => at)).toEqual(Array.from({ length: 21 }, (_, i) => i * 50));
  expect(counts).toEqual({ open: 0, connected: 1 });
  expect(clock.pending).toBe(0);
});

test("a beat whose connection is lost is in doubt, and the next has a connection and a number of its own", async () => {
  let lost = false;
  const { clock, recorder, counts, heartbeat } = beating({
    query: () => {
      if (lost) return Promise.resolve([]);
      lost = true;
      return Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
    },
  });
  await clock.advance(60);
  const stopped = heartbeat.stop();
  await clock.advance(0);
  await stopped;
  const answers = answersIn(recorder.finish());
  expect(answers.map(({ type, id }) => `${type} ${id}`)).toEqual(["info 1", "ok 2"]);
  expect(counts).toEqual({ open: 0, connected: 2 });
});

test("while the primary cannot be reached nothing is asked", async () => {
  let isThere = false;
  const { clock, recorder, heartbeat } = beating({
    connect: () => {
      if (!isThere) throw new Error("refused");
    },
  });
  await clock.advance(500);
  isThere = true;
  await clock.advance(100);
  const stopped = heartbeat.stop();
  await clock.advance(0);
  await stopped;
  const asked = recorder.finish().filter((entry) => entry.type === "invoke");
  expect(asked[0]).toMatchObject({ id: 1, at: 550 });
});

test("while the gate is closed the heart stands still, and goes on with the next number", async () => {
  const { clock, recorder, heartbeat } = beating();
  await clock.advance(100);
  await heartbeat.gate.close();
  await clock.advance(300);
  heartbeat.gate.open();
  await clock.advance(100);
  const stopped = heartbeat.stop();
  await clock.advance(0);
  await stopped;
  const beats = answersIn(recorder.finish());
  expect(beats.filter(({ at }) => at > 100 && at < 400)).toEqual([]);
  expect(beats.map(({ id }) => id)).toEqual(beats.map((_, i) => i + 1));
  expect(beats.at(-1)?.at).toBeGreaterThan(400);
});
