import fc from "fast-check";
import { expect, test } from "vitest";
import { sessionOrder } from "../../../chaos/checkers/session-order.ts";
import { runCheckers } from "../../../chaos/checkers/run-checkers.ts";
import { HistoryBuilder, input } from "../history-builder.ts";
import { sessionRun } from "../session-run.ts";
import type { SessionRun } from "../session-run.ts";

const check = (builder: HistoryBuilder): ReturnType<typeof sessionOrder.check> =>
  sessionOrder.check(input(builder, { claims: ["read-your-writes", "monotonic-reads"] }));
/** Acknowledged at 102; its own statement saw heartbeat 5. */
const written = (): HistoryBuilder => new HistoryBuilder().write({ id: 9, at: 100, heartbeat: 5 });

test("reads that show the session's own write, and never less than before, hold", () => {
  const builder = written()
    .heartbeat(6, 110)
    .read({ at: 120, heartbeat: 5, ownWrite: 9 })
    .read({ at: 130, heartbeat: 6 })
    .read({ at: 140, heartbeat: 6, node: "primary" });
  expect(check(builder)).toMatchObject({
    status: "pass",
    evidence: 5,
    figures: { readsAfterOwnWrite: 3, readsPossiblyWithoutOwnWrite: 0, readsAfterRead: 2 },
  });
});

test("a read that does not show the session's own acknowledged write falls", () => {
  const verdict = check(written().read({ at: 120, heartbeat: 5, ownWrite: 0 }));
  expect(verdict).toMatchObject({ status: "fail", proof: [1, 2, 3] });
  expect(verdict.summary).toContain("did not show write 9");
});

test("a read of data from before the write's own statement cannot show the write, and falls", () => {
  expect(check(written().read({ at: 120, heartbeat: 4 }))).toMatchObject({
    status: "fail",
    proof: [1, 2, 3],
  });
});

test("a read that may or may not show it is counted, and does not fall", () => {
  const builder = written().heartbeat(6, 110).read({ at: 120, heartbeat: 5 });
  expect(check(builder)).toMatchObject({ status: "pass", figures: { readsPossiblyWithoutOwnWrite: 1 } });
});

test.each(["info", "fail", "none"] as const)("a write that was answered %s need not be shown", (type) => {
  const builder = new HistoryBuilder()
    .write({ id: 8, at: 0, heartbeat: 1 })
    .write({ id: 9, at: 100, type, process: type === "none" ? 1 : 0 })
    .read({ at: 120, heartbeat: 1, ownWrite: 8 });
  expect(check(builder).status).toBe("pass");
});

test("a read that shows an older heartbeat than an earlier one of its session falls, another session's does not", () => {
  const read = (process: number): HistoryBuilder =>
    new HistoryBuilder().read({ at: 0, heartbeat: 5 }).read({ at: 10, heartbeat: 4, process });
  expect(check(read(0))).toMatchObject({ status: "fail", proof: [1, 2, 3] });
  expect(check(read(1))).toMatchObject({ status: "unknown", evidence: 0 });
});

test("what showed most counts, however long ago", () => {
  const builder = new HistoryBuilder()
    .read({ at: 0, heartbeat: 5 })
    .read({ at: 10, heartbeat: 5 })
    .read({ at: 20, heartbeat: 4 });
  expect(check(builder).status).toBe("fail");
});

test("of two replicas the one that had replayed less may have shown less: counted, no failure", () => {
  const read = (node: string, replayLsn: string): HistoryBuilder =>
    new HistoryBuilder()
      .read({ at: 0, heartbeat: 5, node: "replica-1", replayLsn: "0/20" })
      .read({ at: 10, heartbeat: 5, node, replayLsn });
  const possibly = (builder: HistoryBuilder): unknown => check(builder).figures["readsThatPossiblyWentBack"];
  expect(check(read("replica-2", "0/10"))).toMatchObject({ status: "pass" });
  expect(possibly(read("replica-2", "0/10"))).toBe(1);
  expect(possibly(read("replica-2", "0/30"))).toBe(0);
  expect(possibly(read("replica-1", "0/10"))).toBe(0);
});

test("each claim is held against who makes it, and nothing against who makes none", () => {
  const stale = written().read({ at: 120, heartbeat: 4 }).read({ at: 130, heartbeat: 6, ownWrite: 9 });
  const back = written()
    .read({ at: 120, heartbeat: 7, ownWrite: 9 })
    .read({ at: 130, heartbeat: 6, ownWrite: 9 });
  const judged = (builder: HistoryBuilder, ...claims: ("read-your-writes" | "monotonic-reads")[]): string =>
    sessionOrder.check(input(builder, { claims })).status;
  expect(judged(stale, "read-your-writes")).toBe("fail");
  expect(judged(stale, "monotonic-reads")).toBe("pass");
  expect(judged(back, "read-your-writes")).toBe("pass");
  expect(judged(back, "monotonic-reads")).toBe("fail");
  const { status, verdicts } = runCheckers([sessionOrder], input(stale), []);
  // Told, and counted for nothing.
  expect(verdicts).toMatchObject([{ status: "not-claimed", figures: { readsWithoutOwnWrite: 1 } }]);
  expect(verdicts[0]?.summary).toContain("1 of 2 reads lacked");
  expect(status).toBe("unknown");
});

const options = fc.record({
  seed: fc.nat(),
  operations: fc.integer({ min: 12, max: 120 }),
  tellsOwnWrites: fc.boolean(),
});

test("sessions that are served in order are never found guilty", () => {
  let possible = 0;
  fc.assert(
    fc.property(options, (chosen) => {
      const { status, summary, figures } = check(sessionRun(chosen).builder);
      expect(status, summary).toBe("pass");
      // Who asks for its own write is never in doubt.
      expect(chosen.tellsOwnWrites ? figures["readsPossiblyWithoutOwnWrite"] : 0).toBe(0);
      possible += figures["readsThatPossiblyWentBack"] as number;
    }),
    { numRuns: 1_000 },
  );
  expect(possible).toBeGreaterThan(0);
});

test.each([
  ["a read without the own write", (run: SessionRun) => ({ ownWrite: 0, heartbeat: run.heartbeatSeen })],
  ["a read from before the own write", (run: SessionRun) => ({ heartbeat: run.heartbeatAtWrite - 1 })],
  [
    "a read that goes back",
    (run: SessionRun) => ({ ownWrite: run.lastWrite, heartbeat: run.heartbeatSeen - 1 }),
  ],
])("%s is found in any run", (_, planted) => {
  fc.assert(
    fc.property(options, (chosen) => {
      const run = sessionRun(chosen);
      run.builder.read({ at: run.endAt, node: "replica-1", ...planted(run) });
      expect(check(run.builder).status).toBe("fail");
    }),
    { numRuns: 200 },
  );
});
