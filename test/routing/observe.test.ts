/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Timeline, makeConfig, makeNode, primarySample, replicaSample } from "./view-builder.ts";

const INTERVAL = 500;

describe("the primary", () => {
  test("is up with its first answer, down after `fall` failures in a row, and up again with one answer", () => {
    const timeline = new Timeline().primary(100).fails("primary").primary(100).fails("primary");
    expect(timeline.told()).toEqual(["primary-up primary"]);
    timeline.fails("primary").fails("primary");
    expect(timeline.told()).toEqual(["primary-up primary", "primary-down primary"]);
    expect(timeline.changes.at(-1)).toMatchObject({ reason: "unreachable" });
    timeline.primary(100);
    expect(timeline.told().at(-1)).toBe("primary-up primary");
  });

  test("that is found in recovery is down at once, told once, and stays so while it does not answer", () => {
    const timeline = new Timeline().allAt(1000).listen();
    for (let i = 0; i < 5; i++) timeline.after(500).sampled("primary", replicaSample(1000));
    timeline.fails("primary", "primary", "primary");
    expect(timeline.changes).toMatchObject([{ kind: "primary-down", reason: "wrong-role", at: 500 }]);
    expect(timeline.write()).toBe("NO_PRIMARY");
    expect(timeline.view.primary.standing).toMatchObject({ kind: "down", reason: "wrong-role", since: 500 });
    timeline.primary(1000);
    expect(timeline.write()).toBe("primary");
  });

  test("takes no replica with it when it is lost, for hours", () => {
    const timeline = new Timeline().allAt(1_000_000).rounds(10).listen();
    const last = timeline.view.primary.sample?.insert;
    timeline.rounds(10_000, (t) => t.fails("primary").replica("r1", last).replica("r2", last));
    expect(timeline.told()).toEqual(["primary-down primary"]);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("evicts nobody when it has been lost with a record that no replica received", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: 1500, readmitLagThresholdMs: 1500 });
    timeline.allAt(1_000_000).rounds(10).listen().after(500);
    const last = timeline.view.primary.sample?.insert;
    timeline
      .primary(9_999_999)
      .rounds(1000, (t) => t.fails("primary").replica("r1", last).replica("r2", last));
    expect(timeline.told()).toEqual(["primary-down primary"]);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });
});

describe("a planned promotion", () => {
  test("evicts nobody: each follows to the new timeline in its own time", () => {
    const timeline = new Timeline().allAt(1_000_000).rounds(5).listen();
    const fork = timeline.view.primary.sample?.insert ?? 0;
    // The primary's address now leads to the promoted server.
    timeline.rounds(1, (t) => t.fails("primary").replica("r1", fork).replica("r2", fork));
    for (let round = 1; round <= 16; round++) {
      const insert = fork + 1000 * round;
      timeline.after(500).primary(insert, { timeline: 2 });
      timeline.replica("r1", round > 3 ? insert : fork, { timeline: round > 3 ? 2 : 1 });
      timeline.replica("r2", round > 12 ? insert : fork, { timeline: round > 12 ? 2 : 1 });
    }
    expect(timeline.told()).toEqual([]);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
    expect(timeline.bound("r2")).toBe(0);
  });

  test("evicts nobody that is seen on the new timeline before the primary is", () => {
    const timeline = new Timeline().allAt(1_000_000).rounds(5).listen();
    const fork = timeline.view.primary.sample?.insert ?? 0;
    timeline
      .after(250)
      .replica("r1", fork + 100, { timeline: 2 })
      .replica("r2", fork + 100, { timeline: 2 });
    timeline.after(250).primary(fork + 200, { timeline: 2 });
    timeline.rounds(10, (t, insert) => t.allAt(insert, { timeline: 2 }));
    expect(timeline.told()).toEqual([]);
  });

  test("evicts as lagging whoever does not follow, and not as wrong", () => {
    const timeline = new Timeline().allAt(1_000_000).rounds(5).listen();
    const fork = timeline.view.primary.sample?.insert ?? 0;
    timeline.rounds(30, (t, insert) => {
      t.primary(insert, { timeline: 2 })
        .replica("r1", insert, { timeline: 2 })
        .replica("r2", fork + 900_000);
    });
    expect(timeline.told()).toEqual(["evicted r2"]);
    expect(timeline.standing("r2")).toBe("evicted lagging");
  });

  test("takes a position on the old timeline for coverage only where the role may not see which it is", () => {
    for (const [walReceiver, bound] of [
      ["streaming", 500],
      ["hidden", 0],
    ] as const) {
      const timeline = new Timeline().allAt(1000).after(500).primary(2000, { timeline: 2 });
      timeline.replica("r1", 2000, { timeline: 1, walReceiver });
      expect(timeline.bound("r1")).toBe(bound);
    }
  });
});

describe("an idle primary", () => {
  test("evicts nobody over hours, at the lowest threshold that is allowed", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: 1500, readmitLagThresholdMs: 1500 }).allAt(
      1_000_000,
    );
    timeline.listen().rounds(14_400, (t) => t.allAt(1_000_000));
    expect(timeline.now).toBe(2 * 3_600_000);
    expect(timeline.changes).toEqual([]);
    expect(timeline.view.nudgeDue).toBe(false);
  });

  test("with an unfinished last record evicts nobody, as long as the nudge closes it", () => {
    const timeline = new Timeline().allAt(1_000_000).listen();
    const nudges = idleWithGaps(timeline, { hours: 2, reopenEveryMs: 60_000 });
    expect(timeline.told()).toEqual([]);
    // Each gap takes one; the last is still open.
    expect(nudges).toBe(119);
  });

  test("with an unfinished last record evicts everybody when nobody may nudge", () => {
    const timeline = new Timeline({ lagNudge: false }).allAt(1_000_000).listen();
    expect(idleWithGaps(timeline, { hours: 0.1, reopenEveryMs: 60_000 })).toBe(0);
    expect(timeline.told()).toContain("evicted r1");
    expect(timeline.told()).toContain("fallback-started");
  });

  property.prop(
    [fc.integer({ min: 0, max: INTERVAL - 1 }), fc.integer({ min: 0, max: INTERVAL - 1 }), fc.nat(999)],
    {
      numRuns: 300,
    },
  )(
    "makes a bound of at most four intervals between such a gap and its nudge",
    (primaryPhase, replicaPhase, opensAt) => {
      const timeline = new Timeline({ replicas: { r1: 1 } });
      let [insert, replay, peak] = [1000, 1000, 0];
      for (let ms = 0; ms < 12_000; ms++) {
        timeline.at(ms);
        if (ms === 4000 + opensAt) insert += 800;
        if (timeline.view.nudgeDue) {
          insert += 100;
          replay = insert;
          timeline.nudged();
        }
        if (ms > 3000) peak = Math.max(peak, timeline.bound("r1") ?? Number.POSITIVE_INFINITY);
        if (ms % INTERVAL === primaryPhase) timeline.primary(insert);
        if (ms % INTERVAL === replicaPhase) timeline.replica("r1", replay);
      }
      expect(replay).toBe(1000 + 800 + 100);
      expect(peak).toBeLessThanOrEqual(4 * INTERVAL);
    },
  );

  /** Every minute a transaction leaves an unfinished record; a nudge finishes it, and all is replayed at once. */
  function idleWithGaps(
    timeline: Timeline,
    { hours, reopenEveryMs }: { hours: number; reopenEveryMs: number },
  ): number {
    let [insert, replay, nudges] = [1_000_000, 1_000_000, 0];
    const end = timeline.now + hours * 3_600_000;
    while (timeline.now < end) {
      timeline.after(INTERVAL);
      if (timeline.now % reopenEveryMs === 0) insert += 800;
      timeline.primary(insert).replica("r1", replay).replica("r2", replay);
      if (timeline.view.nudgeDue) {
        nudges += 1;
        insert += 100;
        replay = insert;
        timeline.nudged();
      }
    }
    return nudges;
  }
});

describe("the nudge", () => {
  test("is due once a gap has stayed open for an interval while the primary stands still", () => {
    const timeline = stuck(new Timeline().allAt(1_000_000));
    expect(timeline.view.nudgeDue).toBe(false);
    stuck(timeline);
    expect(timeline.view.nudgeDue).toBe(true);
  });

  test("is due at once when a replica has all that was flushed, and the rest makes its bound grow", () => {
    const healthCheck = { intervalMs: 200, timeoutMs: 200 };
    const timeline = new Timeline({ replicas: { r1: 1 }, healthCheck }).allAt(1_000_000);
    const due: boolean[] = [];
    // WAL that nobody commits: it goes on being written, so that the primary never stands still.
    for (let i = 1; i <= 4; i++) {
      timeline.after(200).sampled("primary", primarySample(1_000_000 + 800 * i, { flush: 1_000_000 }));
      timeline.replica("r1", 1_000_000);
      due.push(timeline.view.nudgeDue);
    }
    // What was covered grows older by 200 ms a round; above two intervals it is time. The flushed position proves 600 ms.
    expect(due).toEqual([false, false, true, true]);
  });

  test("is not due for a replica that has not got what was flushed", () => {
    const timeline = new Timeline({ replicas: { r1: 1 } }).allAt(1_000_000);
    for (let i = 1; i <= 4; i++) {
      timeline
        .after(INTERVAL)
        .primary(1_000_000 + 800 * i)
        .replica("r1", 1_000_000);
      expect(timeline.view.nudgeDue).toBe(false);
    }
  });

  test("comes at most once an interval, also when it does not help", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: 3_600_000 }).allAt(1_000_000);
    const nudges: number[] = [];
    let dueAgainAtOnce = false;
    for (let ms = 1; ms <= 20_000; ms++) {
      timeline.at(ms);
      if (ms % 100 === 0) timeline.primary(1_000_800).replica("r1", 1_000_000).replica("r2", 1_000_000);
      if (timeline.view.nudgeDue) {
        nudges.push(ms);
        timeline.nudged();
        dueAgainAtOnce ||= timeline.view.nudgeDue;
      }
    }
    expect(dueAgainAtOnce).toBe(false);
    expect(nudges.length).toBeGreaterThan(30);
    for (const [i, at] of nudges.slice(1).entries())
      expect(at - (nudges[i] as number)).toBeGreaterThanOrEqual(INTERVAL);
  });

  test("is not due while the primary writes, and not while a replica still catches up", () => {
    const writing = new Timeline().allAt(1_000_000);
    writing.rounds(10, (t, insert) =>
      t
        .primary(insert)
        .replica("r1", insert - 500)
        .replica("r2", insert),
    );
    expect(writing.view.nudgeDue).toBe(false);
    const held = writing.view.primary.sample?.insert;
    for (let i = 0; i < 10; i++) {
      writing.rounds(1, (t, insert) => t.primary(insert).replica("r1", held).replica("r2", insert));
      expect(writing.view.nudgeDue).toBe(false);
    }
    const replaying = new Timeline().allAt(1_000_000);
    for (let i = 1; i < 10; i++) {
      replaying
        .after(500)
        .primary(2_000_000)
        .replica("r1", 1_000_000 + i)
        .replica("r2", 2_000_000);
      expect(replaying.view.nudgeDue).toBe(false);
    }
  });

  test.each([
    ["it is switched off", { lagNudge: false }, (t: Timeline) => t],
    ["lag does not matter", { replicaLagThresholdMs: "off" as const }, (t: Timeline) => t],
    ["the primary is lost", {}, (t: Timeline) => t.fails("primary", "primary")],
    ["the replicas are drained", {}, (t: Timeline) => t.drained("r1").drained("r2")],
    ["the replicas are lost", {}, (t: Timeline) => t.fails("r1", "r1", "r2", "r2")],
    [
      "replay is paused",
      {},
      (t: Timeline) =>
        t.replica("r1", 1_000_000, { replayPaused: true }).replica("r2", 1_000_000, { replayPaused: true }),
    ],
  ])("is never due when %s", (_when, options, make) => {
    const timeline = stuck(stuck(stuck(new Timeline(options).allAt(1_000_000))));
    make(timeline);
    for (let i = 0; i < 100; i++) {
      expect(timeline.view.nudgeDue).toBe(false);
      timeline.after(500);
      if (timeline.view.primary.standing.kind === "up") timeline.primary(1_000_800);
    }
  });

  test("comes ten times less often for replicas that lag already", () => {
    const timeline = new Timeline().allAt(1_000_000);
    while (timeline.serving().length > 0) stuck(timeline);
    const nudges: number[] = [];
    for (let i = 0; i < 200; i++) {
      stuck(timeline);
      if (timeline.view.nudgeDue) {
        nudges.push(timeline.now);
        timeline.nudged();
      }
    }
    expect(nudges).toHaveLength(20);
  });
});

describe("the fallback", () => {
  test("never starts while replicas are still joining", () => {
    const timeline = new Timeline().primary(1000).fails("r1");
    for (let i = 0; i < 10; i++) timeline.after(500).primary(1000).tick();
    timeline.fails("r1");
    expect(timeline.standing("r1")).toBe("evicted unreachable");
    expect(timeline.view.fallback).toBe(false);
    timeline.fails("r2", "r2");
    expect(timeline.told().filter((told) => told.startsWith("fallback"))).toEqual(["fallback-started"]);
  });

  test("starts and ends once a transition", () => {
    const timeline = new Timeline().allAt(1_000_000).listen();
    for (let i = 0; i < 3; i++) {
      timeline
        .fails("r1", "r1", "r2", "r2", "r1", "r2")
        .rounds(3, (t, insert) => t.primary(insert).fails("r1", "r2"));
      timeline.rounds(25);
    }
    const fallbacks = timeline.told().filter((told) => told.startsWith("fallback"));
    expect(fallbacks).toEqual(
      Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? "fallback-started" : "fallback-ended")),
    );
  });

  test("is told after the evictions that cause it, and ends with the return that ends it", () => {
    const timeline = new Timeline({ replicas: { r1: 1 } }).allAt(1_000_000).listen().fails("r1", "r1");
    expect(timeline.changes.map(({ kind }) => kind)).toEqual(["evicted", "epoch", "fallback-started"]);
    timeline.listen().rounds(2);
    expect(timeline.changes.map(({ kind }) => kind)).toEqual(["readmitted", "epoch", "fallback-ended"]);
  });

  test("covers replicas that were drained, and ends when the split is switched off", () => {
    const timeline = new Timeline().allAt(1_000_000).drained("r1").drained("r2");
    expect(timeline.view.fallback).toBe(true);
    timeline.reconfigured(makeConfig({ replicas: {} }));
    expect(timeline.view.fallback).toBe(false);
    expect(timeline.told().at(-1)).toBe("fallback-ended");
  });
});

describe("a jump of our own clock", () => {
  test("evicts nobody, and lets nobody serve before a new sample", () => {
    const timeline = new Timeline().allAt(1_000_000).fails("r2").listen();
    timeline.now += 3_600_000;
    timeline.jumped();
    expect(timeline.serving()).toEqual([]);
    expect(timeline.bound("r1")).toBeUndefined();
    expect(timeline.told()).toEqual(["time-jumped"]);
    timeline.fails("r2").primary(2_000_000).replica("r1", 2_000_000);
    expect(timeline.serving()).toEqual(["r1"]);
    timeline.replica("r2", 2_000_000);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
    expect(timeline.told()).toEqual(["time-jumped"]);
  });

  test("voids answers to probes that were sent before it", () => {
    const timeline = new Timeline().allAt(1_000_000).after(100);
    const sentAt = timeline.now;
    timeline.now += 60_000;
    timeline.jumped().answered("primary", primarySample(1_000_000), sentAt);
    timeline
      .answered("r1", replicaSample(1_000_000), sentAt)
      .answered("r2", replicaSample(1_000_000), sentAt);
    expect(timeline.serving()).toEqual([]);
    expect(timeline.view.ring).toBeUndefined();
    timeline.allAt(1_000_000);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("starts no fallback, and a lost primary found after it takes no replica with it", () => {
    const timeline = new Timeline().allAt(1_000_000).listen();
    timeline.now += 60_000;
    timeline.jumped().replica("r1", 1_000_000).replica("r2", 1_000_000).fails("primary", "primary");
    expect(timeline.serving()).toEqual(["r1", "r2"]);
    expect(timeline.told()).toEqual(["time-jumped", "primary-down primary"]);
  });

  test("keeps an evicted replica out until its probe has passed again", () => {
    const timeline = new Timeline().allAt(1_000_000).fails("r1", "r1");
    timeline.now += 60_000;
    timeline.jumped().tick().primary(1_000_000);
    expect(timeline.standing("r1")).toBe("evicted unreachable");
    timeline.replica("r1", 1_000_000).after(500).replica("r1", 1_000_000);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("leaves alone who serves where lag does not matter", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: "off" }).allAt(1_000_000).jumped();
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });
});

describe("a new configuration", () => {
  test("keeps the nodes that stay, drops those that go and lets new ones join with a growing share", () => {
    const timeline = new Timeline({ replicas: { r1: 1, r2: 1 } }).allAt(1_000_000).fails("r2", "r2");
    const before = timeline.state("r2");
    timeline.reconfigured(makeConfig({ replicas: { r3: 1, r2: 4 }, slowStartMs: 5000 }));
    expect(timeline.state("r2")).toEqual({ ...before, weight: 4 });
    expect(timeline.view.replicas.map(({ name }) => name)).toEqual(["r3", "r2"]);
    expect(timeline.standing("r3")).toBe("joining");
    timeline.replica("r3", 1_000_000);
    expect(timeline.standing("r3")).toBe("probation 1");
  });

  test("of new weights is a new epoch at once", () => {
    const timeline = new Timeline()
      .allAt(1_000_000)
      .listen()
      .reconfigured(makeConfig({ replicas: { r1: 1, r2: 3 } }));
    expect(timeline.changes).toMatchObject([{ kind: "epoch", weights: { r1: 10, r2: 30 } }]);
  });

  test("that changes nothing tells nothing and keeps the order of the picks", () => {
    const timeline = new Timeline().allAt(1_000_000).listen();
    timeline.read();
    const { selection } = timeline.view;
    timeline.reconfigured(makeConfig());
    expect(timeline.changes).toEqual([]);
    expect(timeline.view.selection).toEqual(selection);
  });

  test("that gives a name to another server makes it join anew, whatever the old one still answers", () => {
    const timeline = new Timeline().allAt(1_000_000).after(100);
    const sentAt = timeline.now;
    const moved = makeConfig();
    timeline.after(100).reconfigured({
      ...moved,
      replicas: [makeNode("r1", 1, "elsewhere.test"), makeNode("r2", 1)],
    });
    timeline.after(100).answered("r1", replicaSample(1_000_000), sentAt);
    expect(timeline.standing("r1")).toBe("joining");
    timeline.replica("r1", 1_000_000);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("with another primary starts its ring anew", () => {
    const timeline = new Timeline().allAt(1_000_000);
    timeline.reconfigured({ ...makeConfig(), primary: makeNode("primary", 1, "elsewhere.test") });
    expect(timeline.view.ring).toBeUndefined();
    expect(timeline.view.primary.standing.kind).toBe("joining");
    timeline.after(500).primary(1_000_100);
    expect(timeline.told().filter((told) => told === "primary-up primary")).toHaveLength(2);
  });

  test("ignores what a node that is gone still answers", () => {
    const timeline = new Timeline().allAt(1_000_000).reconfigured(makeConfig({ replicas: { r2: 1 } }));
    const { view } = timeline;
    timeline.replica("r1", 9_000_000).fails("r1").suspected("r1");
    expect(timeline.view).toEqual(view);
  });
});

describe("a sample", () => {
  test("that is older than the one before says nothing", () => {
    const timeline = new Timeline().allAt(1_000_000).after(500).allAt(2_000_000);
    const { view } = timeline;
    timeline.answered("r1", replicaSample(1_000_000), 100).answered("primary", primarySample(1_000_000), 100);
    expect(timeline.view).toEqual(view);
  });
});

/** A primary that stands still, and replicas that stay short of it. */
function stuck(timeline: Timeline): Timeline {
  return timeline.rounds(1, (t) => t.primary(1_000_800).replica("r1", 1_000_000).replica("r2", 1_000_000));
}
