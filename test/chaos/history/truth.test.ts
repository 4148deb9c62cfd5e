import { describe, expect, test } from "vitest";
import type { Fault } from "../../../chaos/faults/fault.ts";
import { deriveTruth } from "../../../chaos/history/truth.ts";
import type { Truth } from "../../../chaos/history/truth.ts";
import { faults, HistoryBuilder, testPolicy } from "../history-builder.ts";

// down 800, stale 1,400, return 400, probe 400, slack 250, catching up 1,000 ms.
const truthOf = (builder: HistoryBuilder, policy = testPolicy()): Truth =>
  deriveTruth({ history: builder.build(), policy, primary: "primary" });
const node = (truth: Truth, name: string) => {
  const found = name === "primary" ? truth.primary : truth.replicas.get(name);
  if (found === undefined) throw new Error(name);
  return found;
};

test.each([
  ["link-down", faults.appDown("replica-1")],
  ["link-black-hole", faults.blackHole("replica-1")],
  ["node-killed", faults.killed("replica-1")],
  ["node-frozen", { kind: "node-frozen", node: "replica-1" }],
  ["link-reset", { kind: "link-reset", link: "app:replica-1" }],
  ["link-syn-black-hole", { kind: "link-syn-black-hole", link: "app:replica-1" }],
] as const satisfies readonly (readonly [string, Fault])[])(
  "%s makes unreachable, certainly so only between what was observed",
  (_, fault) => {
    const replica = node(
      truthOf(new HistoryBuilder().fault(fault, [1_000, 1_100], [5_000, 5_200])),
      "replica-1",
    );
    expect(replica.possiblyUnreachable).toEqual([{ from: 1_000, to: 5_200 }]);
    expect(replica.certainlyUnreachable).toEqual([{ from: 1_100, to: 5_000 }]);
    expect(replica.certainlyOut).toEqual([{ from: 2_150, to: 5_000 }]);
    expect(replica.undetected).toEqual([
      { from: 1_000, to: 2_150 },
      { from: 5_000, to: 5_450 },
    ]);
  },
);

test("a cut link makes ill until its heal, and is unsettled until the return is due", () => {
  const truth = truthOf(
    new HistoryBuilder().fault(faults.appDown("replica-1"), [1_000, 1_100], [5_000, 5_200]),
  );
  expect(node(truth, "replica-1").possiblyIll).toEqual([{ from: 1_000, to: 5_200 }]);
  expect(node(truth, "replica-1").unsettled).toEqual([{ from: 1_000, to: 6_250 }]);
  expect(node(truth, "replica-2").unsettled).toEqual([]);
  expect(node(truth, "primary").unsettled).toEqual([]);
});

test("a killed replica has to catch up as well", () => {
  const truth = truthOf(
    new HistoryBuilder().fault(faults.killed("replica-1"), [1_000, 1_100], [5_000, 5_200]),
  );
  expect(node(truth, "replica-1").possiblyIll).toEqual([{ from: 1_000, to: 6_200 }]);
});

describe("data", () => {
  test.each<Fault>([
    faults.paused("replica-1"),
    faults.replicationDown("replica-1"),
    { kind: "link-reset", link: "replication:replica-1" },
    { kind: "link-syn-black-hole", link: "replication:replica-1" },
  ])("stop under $kind", (fault) => {
    const builder = new HistoryBuilder().heartbeats(100, 9_000).fault(fault, [1_000, 1_050], [5_000, 5_200]);
    const replica = node(truthOf(builder), "replica-1");
    expect(replica.certainlyHalted).toEqual([{ from: 1_050, to: 5_000 }]);
    expect(replica.possiblyUnreachable).toEqual([]);
    // The heartbeat begun at 1,100 was acknowledged at 1,101.
    expect(replica.certainlyLagging).toEqual([{ from: 1_101 + 1_400 + 250, to: 5_000 }]);
  });

  test("that a lost commit would have brought are not missed", () => {
    const builder = new HistoryBuilder()
      .heartbeat(1, 900)
      .heartbeat(2, 1_100, { type: "info" })
      .heartbeat(3, 1_200, { type: "fail" })
      .fault(faults.paused("replica-1"), [1_000, 1_050], [5_000, 5_200]);
    expect(node(truthOf(builder), "replica-1").certainlyLagging).toEqual([]);
  });

  test("stop for all, possibly, when a killed primary comes back, not while it is dead", () => {
    const truth = truthOf(
      new HistoryBuilder().fault(faults.killed("primary"), [1_000, 1_100], [5_000, 5_200]),
    );
    expect(node(truth, "replica-2").possiblyIll).toEqual([{ from: 5_000, to: 6_200 }]);
    expect(node(truth, "replica-2").certainlyHalted).toEqual([]);
    expect(truth.primaryUnknown).toEqual([{ from: 1_000, to: 5_200 + 400 + 250 }]);
  });
});

test("a slow link makes unreachable, possibly, where it costs half of a probe's deadline", () => {
  const slow = (latencyMs: number): Truth =>
    truthOf(new HistoryBuilder().fault(faults.slow("replica-1", latencyMs), [1_000, 1_100], [5_000, 5_200]));
  expect(node(slow(49), "replica-1").possiblyIll).toEqual([]);
  expect(node(slow(50), "replica-1").possiblyIll).toEqual([{ from: 1_000, to: 5_200 }]);
  expect(node(slow(5_000), "replica-1").certainlyUnreachable).toEqual([]);
});

test("overlapping faults add up, and no replica is left only where all are out", () => {
  const builder = new HistoryBuilder()
    .fault(faults.appDown("replica-1"), [0, 10], [9_000, 9_100])
    .fault(faults.killed("replica-2"), [1_000, 1_010], [8_000, 8_100])
    .fault(faults.appDown("replica-3"), [2_000, 2_010], [5_000, 5_100])
    .fault(faults.blackHole("replica-3"), [4_000, 4_010], [7_000, 7_100]);
  expect(truthOf(builder).noReplica).toEqual([{ from: 3_060, to: 7_000 }]);
  const drained = testPolicy({}, { "replica-1": 1, "replica-2": 1, "replica-4": 0 });
  expect(truthOf(builder, drained).noReplica).toEqual([{ from: 2_060, to: 8_000 }]);
});

describe("a step that nobody observed", () => {
  test("is between for ever, and named", () => {
    const truth = truthOf(new HistoryBuilder().fault(faults.appDown("replica-1"), [1_000, null]));
    expect(node(truth, "replica-1").possiblyIll).toEqual([{ from: 1_000, to: Infinity }]);
    expect(node(truth, "replica-1").certainlyUnreachable).toEqual([]);
    expect(truth.unobserved).toHaveLength(1);
  });

  test("is between until a heal was observed, also when the heal took two tries", () => {
    const history = new HistoryBuilder()
      .fault(faults.appDown("replica-1"), [1_000, 1_100], [5_000, null])
      .build();
    const heal = history.findLast((entry) => entry.type === "nemesis");
    if (heal === undefined) throw new Error("no heal");
    const again = { ...heal, index: history.length, begunAt: 6_000, observedAt: 6_100 };
    const truth = deriveTruth({ history: [...history, again], policy: testPolicy(), primary: "primary" });
    expect(node(truth, "replica-1").certainlyUnreachable).toEqual([{ from: 1_100, to: 5_000 }]);
    expect(node(truth, "replica-1").possiblyUnreachable).toEqual([{ from: 1_000, to: 6_100 }]);
    expect(truth.unobserved).toEqual([]);
  });

  test("is none where a fault needs no heal, or the run ended under it", () => {
    const builder = new HistoryBuilder()
      .fault({ kind: "checkpointed", node: "primary" }, [1_000, 1_100])
      .fault(faults.appDown("replica-1"), [2_000, 2_100]);
    expect(truthOf(builder).unobserved).toEqual([]);
  });
});

test("a replica that had not caught up when the primary died stays behind until it is back", () => {
  const builder = new HistoryBuilder()
    .fault(faults.paused("replica-1"), [1_000, 1_100], [2_000, 2_100])
    .fault(faults.killed("primary"), [3_050, 3_060], [8_000, 8_100]);
  const truth = truthOf(builder);
  expect(node(truth, "replica-1").possiblyIll).toEqual([{ from: 1_000, to: 9_100 }]);
  expect(node(truth, "replica-2").possiblyIll).toEqual([{ from: 8_000, to: 9_100 }]);
  expect(truth.primaryKilled).toEqual([{ from: 3_050, to: 9_100 }]);
});

describe("a fault that lets some through", () => {
  const on = (fault: Fault): Truth =>
    truthOf(new HistoryBuilder().heartbeats(100, 9_000).fault(fault, [1_000, 1_100], [5_000, 5_200]));

  test("postmaster-frozen: whoever has a connection is served, so both answers are legal", () => {
    const truth = on({ kind: "postmaster-frozen", node: "replica-1" });
    expect(node(truth, "replica-1").possiblyUnreachable).toEqual([{ from: 1_000, to: 5_200 }]);
    expect(node(truth, "replica-1").certainlyUnreachable).toEqual([]);
    expect(node(truth, "replica-2").possiblyIll).toEqual([]);
  });

  test.each([
    [1_000, [{ from: 1_000, to: 5_200 }]],
    // 2,000 bytes take 100 ms: half of a probe's deadline.
    [20_000, [{ from: 1_000, to: 5_200 }]],
    [21_000, []],
  ])("link-bandwidth of %i bytes a second makes unreachable: %j", (bytesPerSecond, expected) => {
    const replica = node(on({ kind: "link-bandwidth", link: "app:replica-1", bytesPerSecond }), "replica-1");
    expect(replica.possiblyUnreachable).toEqual(expected);
    expect(replica.certainlyUnreachable).toEqual([]);
  });

  test("link-bandwidth on replication may halt data, and does not certainly", () => {
    const truth = on({ kind: "link-bandwidth", link: "replication:replica-1", bytesPerSecond: 1_000 });
    expect(node(truth, "replica-1").possiblyHalted).toEqual([{ from: 1_000, to: 5_200 }]);
    expect(node(truth, "replica-1").certainlyLagging).toEqual([]);
  });
});

describe("late replication", () => {
  const late = (latencyMs: number, direction: "upstream" | "downstream"): Truth =>
    truthOf(
      new HistoryBuilder()
        .heartbeats(100, 9_000)
        .fault(
          { kind: "link-latency", link: "replication:replica-1", latencyMs, direction },
          [1_000, 3_000],
          [5_000, 5_200],
        ),
    );

  test("beyond the budget is lag from when the delay was seen: nothing written since can have come before", () => {
    const replica = node(late(2_000, "downstream"), "replica-1");
    // 80 of 100 parts of the delay have been seen at 3,000; the heartbeat of 1,400 was acknowledged at 1,401.
    expect(replica.certainlyHalted).toEqual([{ from: 1_400, to: 5_000 }]);
    expect(replica.certainlyLagging).toEqual([{ from: 1_401 + 1_400 + 250, to: 5_000 }]);
  });

  test("within the budget is never certainly lag", () => {
    expect(node(late(1_649, "downstream"), "replica-1").certainlyLagging).toEqual([]);
    expect(node(late(1_649, "downstream"), "replica-1").possiblyIll).not.toEqual([]);
  });

  test("of the feedback is no illness at all", () => {
    const truth = late(2_000, "upstream");
    expect(node(truth, "replica-1").possiblyIll).toEqual([]);
    expect(node(truth, "replica-1").unsettled).toEqual([]);
  });
});

test("a frozen primary is as a dead one to its replicas: behind only when it comes back", () => {
  const truth = truthOf(
    new HistoryBuilder().fault({ kind: "node-frozen", node: "primary" }, [1_000, 1_100], [5_000, 5_200]),
  );
  expect(node(truth, "replica-2").possiblyIll).toEqual([{ from: 5_000, to: 6_200 }]);
  expect(truth.primaryKilled).toEqual([{ from: 1_000, to: 6_200 }]);
  expect(truth.primary.certainlyUnreachable).toEqual([{ from: 1_100, to: 5_000 }]);
});

describe("a server that is there and does not serve as it should", () => {
  const on = [1_000, 1_100] as const;
  const off = [5_000, 5_200] as const;

  test.each<Fault>([
    { kind: "recovery-conflict", node: "replica-1" },
    { kind: "server-full", node: "replica-1", slots: "free" },
  ])("$kind loses attempts, and makes nobody ill", (fault) => {
    const truth = truthOf(new HistoryBuilder().fault(fault, on, off));
    expect(node(truth, "replica-1").possiblyIll).toEqual([]);
    expect(node(truth, "replica-1").undetected).toEqual([{ from: 1_000, to: 5_450 }]);
    expect(node(truth, "replica-2").undetected).toEqual([]);
  });

  test("slow statements make nobody ill, and lose nothing", () => {
    const fault: Fault = { kind: "statements-slow", node: "replica-1", takeMs: 800 };
    const replica = node(truthOf(new HistoryBuilder().fault(fault, on, off)), "replica-1");
    expect([replica.possiblyIll, replica.undetected]).toEqual([[], []]);
  });

  test("a replica that is fed in another way is well, but for the moments in which that changes", () => {
    const fault: Fault = { kind: "replica-fed", node: "replica-1", by: "archive" };
    const replica = node(truthOf(new HistoryBuilder().fault(fault, on, off)), "replica-1");
    expect(replica.possiblyIll).toEqual([
      { from: 1_000, to: 2_100 },
      { from: 5_000, to: 6_200 },
    ]);
    expect([replica.certainlyHalted, replica.possiblyUnreachable]).toEqual([[], []]);
  });

  test("one with no slot at all is possibly unreachable, and certainly nothing", () => {
    const fault: Fault = { kind: "server-full", node: "replica-1", slots: "all" };
    const replica = node(truthOf(new HistoryBuilder().fault(fault, on, off)), "replica-1");
    expect(replica.possiblyUnreachable).toEqual([{ from: 1_000, to: 5_200 }]);
    expect([replica.certainlyUnreachable, replica.certainlyOut]).toEqual([[], []]);
  });

  test("a promoted replica gets no data, is out once a probe must have seen its role, and is away while it is rebuilt", () => {
    const fault: Fault = { kind: "replica-promoted", node: "replica-1" };
    const replica = node(truthOf(new HistoryBuilder().fault(fault, on, off)), "replica-1");
    expect(replica.certainlyHalted).toEqual([{ from: 1_100, to: 5_000 }]);
    expect(replica.certainlyOut).toEqual([{ from: 2_150, to: 5_000 }]);
    expect(replica.possiblyIll).toEqual([{ from: 1_000, to: 6_200 }]);
    expect(replica.undetected).toEqual([
      { from: 1_000, to: 2_150 },
      { from: 5_000, to: 5_450 },
    ]);
  });
});
