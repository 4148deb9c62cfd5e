import { expect, test } from "vitest";
import { fairnessLive } from "../../../chaos/checkers/fairness-live.ts";
import { createPrng } from "../../../src/runtime/prng.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const policy = testPolicy({}, { "replica-1": 2, "replica-2": 1, "replica-3": 1 });
const check = (builder: HistoryBuilder): ReturnType<typeof fairnessLive.check> =>
  fairnessLive.check(input(builder, { policy }));

/** Drawn with these chances, out of their sum. */
function drawn(
  chances: Readonly<Record<string, number>>,
  { count, seed = 1, from = 0 }: { readonly count: number; readonly seed?: number; readonly from?: number },
  builder = new HistoryBuilder(),
): HistoryBuilder {
  const prng = createPrng(seed);
  const lots = Object.entries(chances).flatMap(([node, chance]) =>
    Array.from({ length: chance }, () => node),
  );
  for (let i = 0; i < count; i++) builder.read({ at: from + 5 * i, process: i % 50, node: prng.pick(lots) });
  return builder;
}

test("a random choice by weight holds, with what would have been found out and what was seen", () => {
  const verdict = check(drawn({ "replica-1": 2, "replica-2": 1, "replica-3": 1 }, { count: 2_000 }));
  expect(verdict).toMatchObject({ status: "pass", evidence: 2_000 });
  expect(verdict.figures).toMatchObject({
    suiteFalsePositiveRatio: 1e-4,
    falsePositiveRatio: 2e-6,
    setsJudged: 1,
  });
  const { detectableFactor, worstFactorLow, worstFactorHigh } = verdict.figures;
  expect(detectableFactor).toBeGreaterThan(1.1);
  expect(detectableFactor).toBeLessThan(1.4);
  // The share it should have is within the interval.
  expect(worstFactorLow).toBeLessThan(1);
  expect(worstFactorHigh).toBeGreaterThan(1);
});

test("an exact turn by weight holds too", () => {
  const builder = new HistoryBuilder();
  const turn = ["replica-1", "replica-2", "replica-1", "replica-3"];
  for (let i = 0; i < 1_000; i++) builder.read({ at: 5 * i, node: turn[i % 4] as string });
  expect(check(builder).status).toBe("pass");
});

test("equal shares where the weights are 2:1:1 fall, by the read that convicts", () => {
  const verdict = check(drawn({ "replica-1": 1, "replica-2": 1, "replica-3": 1 }, { count: 1_000 }));
  expect(verdict.status).toBe("fail");
  expect(verdict.proof).toHaveLength(2);
  expect(verdict.summary).toMatch(/of \d+ reads replica-\d got \d\.\d\d times its share/);
});

test("a skew that comes and goes is found, although the end looks fair", () => {
  const builder = drawn({ "replica-2": 1 }, { count: 100 });
  drawn({ "replica-1": 2, "replica-2": 1, "replica-3": 1 }, { count: 5_000, from: 500 }, builder);
  expect(check(builder).status).toBe("fail");
});

test("while a replica is certainly out the others share by their weights, and it is not missed", () => {
  // Out from 2,150 on, not yet back at 60,000.
  const builder = (): HistoryBuilder =>
    new HistoryBuilder().fault(faults.appDown("replica-1"), [1_000, 1_100], [60_000, 60_100]);
  const fair = check(drawn({ "replica-2": 1, "replica-3": 1 }, { count: 1_000, from: 2_200 }, builder()));
  expect(fair).toMatchObject({ status: "pass", evidence: 1_000 });
  const unfair = check(drawn({ "replica-2": 4, "replica-3": 1 }, { count: 1_000, from: 2_200 }, builder()));
  expect(unfair.status).toBe("fail");
  // Before anybody must have noticed, nothing is judged.
  const early = check(drawn({ "replica-2": 4, "replica-3": 1 }, { count: 100, from: 1_200 }, builder()));
  expect(early).toMatchObject({ status: "unknown", evidence: 0 });
});

test("too few reads to find out anybody are unknown", () => {
  const verdict = check(drawn({ "replica-1": 2, "replica-2": 1, "replica-3": 1 }, { count: 10 }));
  expect(verdict).toMatchObject({ status: "unknown", evidence: 10 });
  expect(verdict.summary).toContain("after 10 reads");
  expect(check(new HistoryBuilder())).toMatchObject({ status: "unknown", evidence: 0 });
});

test("routers that draw fairly are not convicted", () => {
  for (let seed = 0; seed < 200; seed++) {
    const chances = { "replica-1": 2, "replica-2": 1, "replica-3": 1 };
    expect(check(drawn(chances, { count: 300, seed })).status).toBe("pass");
  }
});
