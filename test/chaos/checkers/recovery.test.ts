import { expect, test } from "vitest";
import { recovery } from "../../../chaos/checkers/recovery.ts";
import { faults, HistoryBuilder, input, testPolicy } from "../history-builder.ts";

const THIRDS = ["replica-1", "replica-2", "replica-3"];
const WITHOUT = ["replica-1", "replica-2"];

/** One read every 5 ms, in turn. */
function reads(builder: HistoryBuilder, from: number, to: number, among: readonly string[]): HistoryBuilder {
  let i = 0;
  for (let at = from; at < to; at += 5) {
    builder.read({ at, process: i % 10, node: among[i % among.length] as string });
    i++;
  }
  return builder;
}

/** Off from 1,100 to 5,000 for certain, seen healed at 5,100; 400 + 400 + 250 ms later it must have its share. */
const cut = (): HistoryBuilder =>
  new HistoryBuilder().fault(faults.appDown("replica-3"), [1_000, 1_100], [5_000, 5_100]);
const check = (builder: HistoryBuilder, policy = testPolicy()): ReturnType<typeof recovery.check> =>
  recovery.check(input(builder, { policy, until: 20_000 }));

test("a replica that takes up its third within the budget holds, with when it did", () => {
  const builder = reads(reads(reads(cut(), 500, 1_000, THIRDS), 1_500, 5_600, WITHOUT), 5_600, 7_000, THIRDS);
  const { status, evidence, figures } = check(builder);
  expect(status).toBe("pass");
  // From 6,150 to 7,000, one every 5 ms.
  expect(evidence).toBe(170);
  expect(figures).toMatchObject({ returns: 1, readsAfterReturn: 170, returnBudgetMs: 800 });
  // The first read of the three at 5,600, 5,605, 5,610 that is its own, and the 2 ms that it takes.
  expect(figures["worstFirstReadMs"]).toBe(512);
  // A growth of one read takes three of them: that much earlier at most.
  expect(figures["worstFullShareMs"]).toBeGreaterThan(480);
  expect(figures["worstFullShareMs"]).toBeLessThanOrEqual(512);
});

test("a replica that gets nothing beyond the budget falls", () => {
  const verdict = check(reads(cut(), 5_200, 7_000, WITHOUT));
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toContain("replica-3 did not have its share of 170 reads from 6150 ms on");
  // The fault first.
  expect(verdict.proof[0]).toBe(0);
});

test("a replica that comes back long after the budget falls, however fair it is from then on", () => {
  const late = reads(reads(cut(), 5_200, 7_000, WITHOUT), 7_000, 12_000, THIRDS);
  expect(check(late).status).toBe("fail");
});

test("all reads on the one that returns are a herd", () => {
  const builder = reads(reads(cut(), 5_100, 5_600, ["replica-3"]), 5_600, 7_000, THIRDS);
  const verdict = check(builder);
  expect(verdict.status).toBe("fail");
  expect(verdict.summary).toContain("a herd");
});

test("a herd that begins late on the way is found as well", () => {
  const builder = reads(reads(cut(), 5_100, 5_600, WITHOUT), 5_600, 6_000, ["replica-3"]);
  expect(check(reads(builder, 6_000, 7_000, THIRDS)).summary).toContain("a herd");
});

test("its own share on the way, at once or slowly, is no herd", () => {
  expect(check(reads(cut(), 5_000, 7_000, THIRDS)).status).toBe("pass");
});

test("a slow start may take its time, as configured", () => {
  const builder = reads(reads(cut(), 5_200, 7_000, WITHOUT), 7_000, 8_500, THIRDS);
  expect(check(builder).status).toBe("fail");
  expect(check(builder, testPolicy({ slowStartMs: 1_000 })).status).toBe("pass");
});

test("without an observed heal, or without enough reads after it, it is unknown", () => {
  const never = new HistoryBuilder().fault(faults.appDown("replica-3"), [1_000, 1_100]);
  expect(check(reads(never, 5_000, 9_000, WITHOUT))).toMatchObject({ status: "unknown", evidence: 0 });
  expect(check(reads(new HistoryBuilder(), 0, 500, THIRDS))).toMatchObject({
    status: "unknown",
    evidence: 0,
  });
  // Ten reads would not have shown that it was missing.
  expect(check(reads(cut(), 6_200, 6_250, WITHOUT)).status).toBe("unknown");
});
