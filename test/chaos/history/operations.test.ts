import { expect, test } from "vitest";
import { endOf, forEachOperation } from "../../../chaos/history/operations.ts";
import type { History } from "../../../chaos/history/operation.ts";
import { HistoryBuilder } from "../history-builder.ts";

const pairs = (history: History): (readonly [number, number | undefined])[] => {
  const found: (readonly [number, number | undefined])[] = [];
  forEachOperation(history, (invoke, completion) => found.push([invoke.index, completion?.index]));
  return found;
};

test("operations come in the order of invocation, with what answered them", () => {
  const builder = new HistoryBuilder()
    .read({ at: 0, tookMs: 10 })
    .read({ at: 1, tookMs: 2, process: 1 })
    .read({ at: 20, type: "none" });
  expect(pairs(builder.build())).toEqual([
    [0, 3],
    [1, 2],
    [4, undefined],
  ]);
});

test("a part of a history is paired by index, not by position", () => {
  const history = new HistoryBuilder().dropped(0).dropped(1).read({ at: 2 }).build();
  expect(pairs(history.slice(2))).toEqual([[2, 3]]);
});

test("a second answer, and an answer to nothing, are errors", () => {
  const history = new HistoryBuilder().read({ at: 0 }).build();
  const answer = history[1];
  if (answer?.type !== "ok") throw new Error("no answer");
  expect(() => pairs([...history, { ...answer, index: 2 }])).toThrow("answered twice");
  expect(() => pairs([...history, { ...answer, index: 2, process: 9 }])).toThrow("no earlier invocation");
});

test("the end is the latest time that anything tells of", () => {
  expect(endOf([])).toBe(0);
  expect(endOf(new HistoryBuilder().read({ at: 0, tookMs: 7 }).build())).toBe(7);
  const fault = { kind: "checkpointed", node: "primary" } as const;
  expect(endOf(new HistoryBuilder().fault(fault, [5, null]).fault(fault, [6, 9]).build())).toBe(9);
});
