import fc from "fast-check";
import { expect, test } from "vitest";
import { forEachOperation } from "../../../chaos/history/operations.ts";
import { HistorySource, Recorder } from "../../../chaos/history/recorder.ts";
import type { HistoryDraft } from "../../../chaos/history/recorder.ts";

const invoke = (process: number, at: number): HistoryDraft => ({
  type: "invoke",
  process,
  f: "read",
  at,
  intendedAt: at,
});
const ok = (process: number, at: number, invoke: number): HistoryDraft => ({
  type: "ok",
  process,
  f: "read",
  at,
  invoke,
});

test("sources are merged by time, numbered from 0, and answers follow their invocations", () => {
  const recorder = new Recorder();
  const local = recorder.source();
  const worker = new HistorySource();
  local.append({ type: "quiet", on: true, at: 5 });
  const first = worker.append(invoke(1, 1));
  recorder.receive("workload", worker.drain());
  worker.append(ok(1, 6, first));
  const second = worker.append(invoke(1, 7));
  recorder.receive("workload", worker.drain());
  worker.append(ok(1, 9, second));
  recorder.receive("workload", worker.drain());
  local.append({
    type: "nemesis",
    phase: "inject",
    fault: { kind: "checkpointed", node: "primary" },
    faultId: 0,
    begunAt: 2,
    observedAt: 8,
  });
  expect(recorder.finish()).toMatchObject([
    { index: 0, type: "invoke", at: 1 },
    { index: 1, type: "quiet" },
    { index: 2, type: "ok", invoke: 0 },
    { index: 3, type: "invoke", at: 7 },
    { index: 4, type: "nemesis", observedAt: 8 },
    { index: 5, type: "ok", invoke: 3 },
  ]);
});

test("a lost batch is an error, not a hole", () => {
  const recorder = new Recorder();
  const worker = new HistorySource();
  worker.append(invoke(1, 1));
  worker.drain();
  worker.append(invoke(1, 2));
  expect(() => recorder.receive("workload", worker.drain())).toThrow(
    "source workload sent entries from 1 on, expected from 0 on",
  );
});

test("an answer without its question is an error", () => {
  const recorder = new Recorder();
  recorder.source().append(ok(1, 1, 0));
  expect(() => recorder.finish()).toThrow("a completion of process 1 answers 0");
});

test("whatever the sources and their batches, every answer stays with its question", () => {
  const times = fc.array(fc.array(fc.nat(20), { maxLength: 20 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(times, fc.nat(5), (sources, batch) => {
      const recorder = new Recorder();
      let asked = 0;
      for (const [process, gaps] of sources.entries()) {
        const source = new HistorySource();
        let at = 0;
        for (const [i, gap] of gaps.entries()) {
          at += gap;
          // The pair is told apart by its time, which is unique within a process.
          const question = source.append(invoke(process, at));
          source.append(ok(process, at + 0.25, question));
          at += 0.5;
          asked++;
          if (i % (batch + 1) === 0) recorder.receive(`${process}`, source.drain());
        }
        recorder.receive(`${process}`, source.drain());
      }
      const history = recorder.finish();
      let answered = 0;
      let last = 0;
      forEachOperation(history, (question, answer) => {
        answered++;
        expect(answer).toMatchObject({ process: question.process, at: question.at + 0.25 });
        expect(question.at).toBeGreaterThanOrEqual(last);
        last = question.at;
      });
      expect(answered).toBe(asked);
      expect(history.map(({ index }) => index)).toEqual(history.map((_, i) => i));
    }),
  );
});
