import { expect, test } from "vitest";
import { longFork } from "../../../chaos/checkers/long-fork.ts";
import { runCheckers } from "../../../chaos/checkers/run-checkers.ts";
import { writeSafety } from "../../../chaos/checkers/write-safety.ts";
import { HistoryBuilder, input } from "../history-builder.ts";

const written = (): HistoryBuilder => new HistoryBuilder().write({ id: 9, at: 0 });
const check = (builder: HistoryBuilder): ReturnType<typeof longFork.check> => longFork.check(input(builder));

test("x without y on one node, y without x on another: counted, and no failure", () => {
  const one = written()
    .read({ at: 10, node: "primary", heartbeat: 6, ownWrite: 0 })
    .read({ at: 20, node: "replica-1", heartbeat: 5, ownWrite: 9 });
  expect(check(one)).toMatchObject({
    status: "pass",
    informational: true,
    evidence: 2,
    figures: { readsCompared: 2, longForks: 1 },
  });
  const other = written()
    .read({ at: 10, node: "replica-1", heartbeat: 5, ownWrite: 9 })
    .read({ at: 20, node: "primary", heartbeat: 6, ownWrite: 0 });
  expect(check(other).figures["longForks"]).toBe(1);
});

test.each([
  ["both saw the write", "replica-1", 5, 9],
  ["one saw neither", "replica-1", 5, 0],
  ["one saw both", "replica-1", 6, 9],
  ["it was the same node", "primary", 5, 9],
])("it is none when %s", (what, node, heartbeat, ownWrite) => {
  const builder = written()
    .read({ at: 10, node: "primary", heartbeat: 6, ownWrite: what === "both saw the write" ? 9 : 0 })
    .read({ at: 20, node, heartbeat, ownWrite });
  expect(check(builder)).toMatchObject({ figures: { readsCompared: 2, longForks: 0 } });
});

test("without reads that tell of their own writes there is nothing to compare, and no scenario is unknown for it", () => {
  const builder = written()
    .read({ at: 10 })
    .final(100, [[9, 1]]);
  expect(check(builder)).toMatchObject({ status: "unknown", evidence: 0, informational: true });
  expect(runCheckers([longFork, writeSafety], input(builder), []).status).toBe("pass");
  // Alone, it is not a judgement.
  expect(runCheckers([longFork], input(builder), []).status).toBe("unknown");
});
