import { expect, test } from "vitest";
import { liveness } from "../../../chaos/checkers/liveness.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

/** replica-1 is cut off until 2,000 and well from 3,050 on; replica-2 and replica-3 stay paused. */
function storm(): HistoryBuilder {
  return new HistoryBuilder()
    .fault(faults.appDown("replica-1"), [1_000, 1_050], [1_900, 2_000])
    .fault(faults.paused("replica-2"), [1_200, 1_250])
    .fault(faults.paused("replica-3"), [1_300, 1_350]);
}

function withReads(builder: HistoryBuilder, node: string, from = 3_100): HistoryBuilder {
  for (let i = 0; i < 90; i++) builder.read({ at: from + i * 10, node });
  return builder;
}

const judged = (builder: HistoryBuilder) => liveness.check(input(builder, { until: 6_000 }));

test("one replica that is well is enough, and what came before its return is not judged", () => {
  const builder = withReads(storm(), "replica-1").read({ at: 2_500, node: "primary" });
  builder.read({ at: 2_600, type: "fail" });
  expect(judged(builder)).toMatchObject({
    status: "pass",
    evidence: 90,
    figures: { answered: 90, onPrimary: 0, wellReplicas: 1 },
  });
});

test("a read that fails when all is over falls", () => {
  const verdict = judged(withReads(storm(), "replica-1").read({ at: 4_000, type: "fail" }));
  expect(verdict).toMatchObject({ status: "fail", summary: expect.stringContaining("NODE_LOST") });
});

test("a read that still goes to the primary falls", () => {
  const verdict = judged(withReads(storm(), "replica-1").read({ at: 4_000, node: "primary" }));
  expect(verdict).toMatchObject({ status: "fail", summary: expect.stringContaining("went to primary") });
});

test("a replica that is well and answers nothing falls", () => {
  const verdict = judged(withReads(storm(), "replica-2"));
  expect(verdict).toMatchObject({
    status: "fail",
    summary: expect.stringContaining("replica-1 answered none of 90 reads"),
  });
});

test("where nobody is well in the end, or nothing was read, it is unknown", () => {
  const allBroken = storm().fault(faults.appDown("replica-1"), [3_000, 3_050]);
  expect(judged(withReads(allBroken, "primary")).status).toBe("unknown");
  expect(judged(storm()).status).toBe("unknown");
});
