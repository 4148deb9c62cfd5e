import { expect, test } from "vitest";
import { logOnce } from "../../../chaos/checkers/log-once.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

const WARNING = "no healthy read replicas available, falling back to primary";

/** The fallback is due from 2,150 to 5,000. */
function allDown(): HistoryBuilder {
  const builder = new HistoryBuilder();
  for (const node of ["replica-1", "replica-2", "replica-3"]) {
    builder.fault(faults.appDown(node), [1_000, 1_100], [5_000, 5_100]);
  }
  return builder;
}

const warn = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, { kind: "log", level: "warn", message: `WARN: ${WARNING} nodes=3` });
const started = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, { kind: "fallback-started" });
const ended = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, { kind: "fallback-ended" });
const endLine = (builder: HistoryBuilder, at: number): HistoryBuilder =>
  builder.tell(at, {
    kind: "log",
    level: "info",
    message: "read replicas are available again, fallback to primary has ended",
  });
const whole = (): HistoryBuilder => endLine(ended(warn(started(allDown(), 1_900), 1_900), 5_500), 5_501);

test("one warning at the begin and one line at the end hold", () => {
  expect(logOnce.check(input(whole()))).toMatchObject({
    status: "pass",
    evidence: 3,
    figures: { fallbacksStarted: 1, warnLines: 1, endLines: 1, fallbacksDemanded: 1 },
  });
});

test.each([
  ["a second warning", () => warn(whole(), 3_000)],
  ["a second line at the end", () => endLine(whole(), 5_502)],
  ["a begin without a warning", () => started(allDown(), 1_900)],
  ["an end without a line", () => ended(warn(started(allDown(), 1_900), 1_900), 5_500)],
  ["a warning without a begin", () => warn(new HistoryBuilder(), 100)],
  ["a warning long after the begin", () => warn(started(allDown(), 1_900), 2_151)],
  ["two begins in a row", () => warn(started(warn(started(allDown(), 1_900), 1_900), 2_000), 2_000)],
  ["an end without a begin", () => endLine(ended(new HistoryBuilder(), 100), 100)],
  [
    "an end while no replica can serve",
    () => endLine(ended(warn(started(allDown(), 1_900), 1_900), 4_000), 4_000),
  ],
  ["no word of a fallback that had to be", allDown],
  [
    "the line at another level",
    () => started(allDown(), 1_900).tell(1_900, { kind: "log", level: "info", message: WARNING }),
  ],
] as const)("%s falls", (_, builder) => {
  const verdict = logOnce.check(input(builder()));
  expect(verdict.status).toBe("fail");
  expect(verdict.proof.length).toBeGreaterThan(0);
});

test("other lines do not matter, and without any fallback it is unknown", () => {
  const message = "replica evicted: unreachable";
  expect(logOnce.check(input(whole().tell(1_500, { kind: "log", level: "warn", message }))).status).toBe(
    "pass",
  );
  expect(logOnce.check(input(new HistoryBuilder().read({ at: 0 })))).toMatchObject({
    status: "unknown",
    evidence: 0,
  });
});
