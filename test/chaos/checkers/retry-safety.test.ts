import { expect, test } from "vitest";
import { retrySafety } from "../../../chaos/checkers/retry-safety.ts";
import { HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const builder = (): HistoryBuilder =>
  new HistoryBuilder()
    .write({ id: 1, at: 0 })
    .write({ id: 2, at: 10, type: "fail" })
    .write({ id: 3, at: 20, type: "info" })
    .write({ id: 4, at: 30, type: "none", process: 1 });
const check = (history: HistoryBuilder, policy = testPolicy()): ReturnType<typeof retrySafety.check> =>
  retrySafety.check(input(history, { policy }));

test("each write stands once at most", () => {
  const history = builder().final(100, [
    [1, 1],
    [3, 1],
    [4, 1],
  ]);
  expect(check(history)).toMatchObject({
    status: "pass",
    evidence: 4,
    figures: { writesJudged: 4, writesInDoubt: 3 },
  });
});

test.each([
  [1, "ok"],
  [2, "fail"],
  [3, "info"],
  [4, "info"],
])("write %i, whose caller was told %s, falls when it stands twice", (id, told) => {
  const verdict = check(builder().final(100, [[id, 2]]));
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toBe(`write ${id} stands 2 times; its caller was told "${told}"`);
  expect(verdict.proof).toContain(7);
});

test("a write that nobody asked for falls when it stands twice", () => {
  expect(check(builder().final(100, [[77, 2]]))).toMatchObject({ status: "fail", proof: [7] });
});

test("picks made again are within what the policy allows for all reads together", () => {
  const told = (apart: number): HistoryBuilder =>
    builder()
      .read({ at: 40 })
      .transaction({ at: 50 })
      .tell(60, { kind: "epoch-picks", epoch: 1, picks: [], apart })
      .final(100, [[1, 1]]);
  // Two retries for each of two reads, and 20 for what the subject asks for itself.
  expect(check(told(24))).toMatchObject({
    status: "pass",
    figures: { picksApart: 24, picksApartPerRead: 12 },
  });
  expect(check(told(25))).toMatchObject({ status: "fail" });
  // A session's own write may cost each read one more.
  expect(check(told(26), testPolicy({ readYourWrites: "client" })).status).toBe("pass");
});

test("without a last look, or a write before it, it is unknown", () => {
  expect(check(builder())).toMatchObject({ status: "unknown", evidence: 0 });
  expect(check(new HistoryBuilder().final(0, []).write({ id: 1, at: 10 }))).toMatchObject({
    status: "unknown",
    evidence: 0,
  });
});
