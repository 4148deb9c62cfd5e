import { expect, test } from "vitest";
import { writeSafety } from "../../../chaos/checkers/write-safety.ts";
import { HistoryBuilder, input } from "../history-builder.ts";

const writes = (): HistoryBuilder =>
  new HistoryBuilder()
    .write({ id: 1, at: 0 })
    .write({ id: 2, at: 10, type: "fail" })
    .write({ id: 3, at: 20, type: "info" })
    .write({ id: 4, at: 30, type: "info" });

test("what was acknowledged stands there once, what failed does not, and what is unknown may", () => {
  const verdict = writeSafety.check(
    input(
      writes().final(100, [
        [1, 1],
        [3, 1],
      ]),
    ),
  );
  expect(verdict).toMatchObject({
    status: "pass",
    evidence: 4,
    figures: { acknowledgedWrites: 1, failedWrites: 1, unknownWrites: 2, unknownWritesDone: 1 },
  });
});

test.each([
  ["an acknowledged write that is lost", [], "lost"],
  ["an acknowledged write that was done twice", [[1, 2]], "2 times"],
  [
    "a failed write that was done",
    [
      [1, 1],
      [2, 1],
    ],
    "reported as failed",
  ],
  [
    "an unknown write that was done twice",
    [
      [1, 1],
      [3, 2],
    ],
    "2 times",
  ],
] as const)("%s falls", (_, final, what) => {
  const verdict = writeSafety.check(input(writes().final(100, final)));
  expect(verdict).toMatchObject({ status: "fail" });
  expect(verdict.summary).toContain(what);
  // The invocation, its answer and the last look.
  expect(verdict.proof).toHaveLength(3);
});

test("a write that stands elsewhere falls", () => {
  expect(writeSafety.check(input(writes().final(100, [[1, 1]], [4])))).toMatchObject({
    status: "fail",
    proof: [8],
  });
});

test("a write that another node says it took falls, even if nobody looked at the end", () => {
  const builder = new HistoryBuilder().write({ id: 1, at: 0, node: "replica-1" });
  expect(writeSafety.check(input(builder))).toMatchObject({ status: "fail", proof: [0, 1] });
});

test("a write that was acknowledged or begun after the last look is not missed in it", () => {
  const builder = new HistoryBuilder()
    .write({ id: 1, at: 0 })
    .write({ id: 2, at: 95, tookMs: 10, process: 1 })
    .write({ id: 3, at: 200 })
    .final(100, [[1, 1]]);
  expect(writeSafety.check(input(builder)).status).toBe("pass");
});

test("a write of the warm-up is judged as well", () => {
  const builder = new HistoryBuilder()
    .write({ id: 1, at: 0 })
    .write({ id: 2, at: 60 })
    .final(100, [[2, 1]]);
  expect(writeSafety.check(input(builder, { from: 50 })).status).toBe("fail");
});

test("without a last look, or without an acknowledged write, it is unknown", () => {
  expect(writeSafety.check(input(writes())).status).toBe("unknown");
  const builder = new HistoryBuilder().write({ id: 3, at: 20, type: "info" }).final(100, []);
  expect(writeSafety.check(input(builder))).toMatchObject({ status: "unknown", evidence: 0 });
});
