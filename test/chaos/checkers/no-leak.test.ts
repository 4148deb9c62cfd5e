import { expect, test } from "vitest";
import { noLeak } from "../../../chaos/checkers/no-leak.ts";
import { faults, HistoryBuilder, input } from "../history-builder.ts";

const on = (count: number): Record<string, number> => ({
  primary: count,
  "replica-1": count,
  "replica-2": count,
  "replica-3": count,
});

/** Pools of 10. */
const run = (running: number, after: number): HistoryBuilder =>
  new HistoryBuilder()
    .resources(0, { phase: "before-start", serverConnections: on(0), handles: { TCPSocketWrap: 2 } })
    .resources(10, { phase: "running", serverConnections: on(running) })
    .resources(20, { phase: "after-end", serverConnections: on(after), handles: { TCPSocketWrap: 2 } });

test("pools within their sizes and nothing left hold", () => {
  expect(noLeak.check(input(run(13, 0)))).toMatchObject({
    status: "pass",
    evidence: 3,
    figures: { peakConnections: 13 },
  });
});

test("one connection more than the pool, the probe and two beside falls", () => {
  expect(noLeak.check(input(run(14, 0)))).toMatchObject({ status: "fail", proof: [1] });
});

test("a server behind a broken link may not have learnt yet that connections were closed", () => {
  const builder = run(14, 0);
  for (const node of ["primary", "replica-1", "replica-2", "replica-3"]) {
    builder.fault(faults.blackHole(node), [1, 2], [5, 6]);
  }
  expect(noLeak.check(input(builder)).status).toBe("pass");
});

test("a connection that is left falls, but only the last look counts", () => {
  expect(noLeak.check(input(run(5, 1)))).toMatchObject({ status: "fail", proof: [2] });
  const slow = run(5, 1).resources(30, { phase: "after-end", serverConnections: on(0) });
  expect(noLeak.check(input(slow)).status).toBe("pass");
});

test("a handle that is left falls, one that was there before or went away does not", () => {
  const left = run(5, 0).resources(30, {
    phase: "after-end",
    serverConnections: on(0),
    handles: { TCPSocketWrap: 2, Timeout: 1 },
  });
  expect(noLeak.check(input(left))).toMatchObject({ status: "fail", proof: [0, 3] });
  const fewer = run(5, 0).resources(30, { phase: "after-end", serverConnections: on(0), handles: {} });
  expect(noLeak.check(input(fewer)).status).toBe("pass");
});

test("without a look after the end, or with a node left out of it, it is unknown", () => {
  const never = new HistoryBuilder().resources(10, { phase: "running", serverConnections: on(1) });
  expect(noLeak.check(input(never))).toMatchObject({ status: "unknown", evidence: 0 });
  const some = new HistoryBuilder().resources(10, { phase: "after-end", serverConnections: { primary: 0 } });
  expect(noLeak.check(input(some)).status).toBe("unknown");
});
