/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import type { EvictionReason } from "../../src/routing/model.ts";
import { Timeline, makeConfig } from "./view-builder.ts";

describe("a replica joins", () => {
  test("with its full share as soon as it is proved fresh", () => {
    const timeline = new Timeline({ slowStartMs: 5000 }).primary(100);
    expect(timeline.standing("r1")).toBe("joining");
    timeline.replica("r1", 100);
    expect(timeline.standing("r1")).toBe("eligible");
    expect(timeline.told()).toEqual(["primary-up primary", "joined r1"]);
  });

  test("not on its own word: without a sample of the primary nothing bounds its lag", () => {
    const timeline = new Timeline().replica("r1", 100);
    expect(timeline.standing("r1")).toBe("joining");
    expect(timeline.serving()).toEqual([]);
  });

  test("on its own word where lag does not matter", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: "off" }).replica("r1", 100);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("without the primary once that is known to be down, judged against its peers", () => {
    const timeline = new Timeline().fails("primary").replica("r1", 100);
    expect(timeline.standing("r1")).toBe("joining");
    timeline.fails("primary").after(500).replica("r1", 100).replica("r2", 100);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("not on a timeline on which the primary has not been seen", () => {
    const timeline = new Timeline().primary(1000, { timeline: 1 }).after(10);
    timeline.replica("r1", 2000, { timeline: 2 });
    expect(timeline.standing("r1")).toBe("joining");
    timeline.after(490).primary(1000, { timeline: 1 });
    expect(timeline.standing("r1")).toBe("evicted wrong-timeline");
  });
});

describe("a serving replica is evicted", () => {
  interface Case {
    readonly reason: EvictionReason;
    readonly basis: RegExp;
    readonly make: (timeline: Timeline) => void;
  }

  const cases: readonly Case[] = [
    {
      reason: "unreachable",
      basis: /^2 probes in a row failed \(fall 2\)$/,
      make: (timeline) => timeline.fails("r1", "r1"),
    },
    {
      reason: "lagging",
      basis: /^lag bound 10001 ms above 10000 ms$/,
      make: (timeline) => {
        const stuckAt = timeline.view.primary.sample?.insert;
        timeline.rounds(21, (t, insert) => t.primary(insert).replica("r1", stuckAt).replica("r2", insert));
      },
    },
    {
      reason: "unknown-lag",
      basis: /^it reports no replay position$/,
      make: (timeline) => {
        const { view } = timeline;
        const config = makeConfig({ replicas: { r2: 1, r1: 1 } });
        // Joined anew, so that it has no past: else no position at all is `behind`.
        timeline.reconfigured({
          ...config,
          replicas: view.config.replicas.filter(({ name }) => name === "r2"),
        });
        timeline.reconfigured(config).replica("r1", undefined);
      },
    },
    {
      reason: "replay-paused",
      basis: /^WAL replay is paused$/,
      make: (timeline) => timeline.replica("r1", timeline.nextInsert(), { replayPaused: true }),
    },
    {
      reason: "behind",
      basis: /^replay is at 0\/1, it has been at 0\/F4628$/,
      make: (timeline) => timeline.replica("r1", 1),
    },
    {
      reason: "wrong-role",
      basis: /^it is not in recovery$/,
      make: (timeline) =>
        timeline.sampled("r1", {
          role: "primary",
          systemId: "7301",
          timeline: 2,
          serverVersionNum: 180_004,
          insert: 1,
          flush: 1,
          walWriterDelayMs: 200,
        }),
    },
    {
      reason: "wrong-timeline",
      basis: /^it is on timeline 3, the primary on 1$/,
      make: (timeline) => {
        const insert = timeline.nextInsert();
        timeline.replica("r1", insert, { timeline: 3 }).after(10).primary(insert);
      },
    },
    {
      reason: "wrong-system",
      basis: /^its system identifier is 99, the primary's 7301$/,
      make: (timeline) => timeline.replica("r1", timeline.nextInsert(), { systemId: "99" }),
    },
  ];

  test.each(cases)("as $reason, with the value and the limit in words", ({ reason, basis, make }) => {
    const timeline = new Timeline().allAt(1_000_000).rounds(1).listen();
    make(timeline);
    expect(timeline.standing("r1")).toBe(`evicted ${reason}`);
    const evictions = timeline.changes.filter(({ kind }) => kind === "evicted");
    expect(evictions).toMatchObject([{ node: "r1", reason, basis: expect.stringMatching(basis) }]);
    expect(timeline.serving()).toEqual(["r2"]);
  });

  test("never for a WAL receiver that is gone, waiting or hidden", () => {
    for (const walReceiver of ["gone", "waiting", "hidden"] as const) {
      const timeline = new Timeline().allAt(1_000_000);
      timeline.rounds(100, (t, insert) => {
        t.primary(insert).replica("r1", insert, { walReceiver }).replica("r2", insert);
      });
      expect(timeline.standing("r1")).toBe("eligible");
    }
  });

  test("by time alone: no event has to come", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: 1500 }).allAt(1000).after(500).primary(2000);
    timeline.after(500).primary(3000).after(499).replica("r2", 3000);
    expect(timeline.standing("r1")).toBe("eligible");
    timeline.after(1).primary(4000);
    expect(timeline.bound("r1")).toBe(1500);
    timeline.after(1);
    expect(timeline.standing("r1")).toBe("evicted lagging");
    expect(timeline.changes.at(-2)).toMatchObject({ kind: "evicted", at: 1501 });
  });

  test("not for lag, a pause or an unknown position where lag does not matter", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: "off" }).allAt(1000);
    timeline.replica("r1", 1000, { replayPaused: true }).replica("r2", undefined);
    timeline.rounds(100, (t, insert) => t.primary(insert).replica("r1", 1000).replica("r2", 1000));
    expect(timeline.standing("r1")).toBe("eligible");
    // It had a position and has none: that is not lag, it is behind its own past.
    expect(timeline.told()).toContain("evicted r2");
    expect(timeline.changes.find(({ kind }) => kind === "evicted")).toMatchObject({ reason: "behind" });
  });

  property.prop([fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 7 })])(
    "after `fall` failures in a row and not before; an answer in between starts the count anew",
    (fall, before) => {
      const failures = Math.min(before, fall - 1);
      const timeline = new Timeline({ healthCheck: { fall } }).allAt(1_000_000);
      for (let i = 0; i < failures; i++) timeline.fails("r1");
      timeline.replica("r1", 1_000_000);
      for (let i = 0; i < fall - 1; i++) timeline.fails("r1");
      expect(timeline.standing("r1")).toBe("eligible");
      timeline.fails("r1");
      expect(timeline.standing("r1")).toBe("evicted unreachable");
    },
  );
});

describe("an evicted replica returns", () => {
  property.prop([fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 7 })])(
    "after `rise` passes of its own probe in a row; a failure in between starts the count anew",
    (rise, before) => {
      const timeline = new Timeline({ healthCheck: { rise } }).allAt(1_000_000).fails("r1", "r1");
      for (let i = 0; i < Math.min(before, rise - 1); i++) timeline.replica("r1", 1_000_000);
      timeline.fails("r1");
      for (let i = 0; i < rise - 1; i++) timeline.replica("r1", 1_000_000);
      // What others answer, and time, are no passes.
      timeline.replica("r2", 1_000_000).primary(1_000_000).tick().tick();
      expect(timeline.standing("r1")).toBe("evicted unreachable");
      timeline.replica("r1", 1_000_000);
      expect(timeline.standing("r1")).toBe("eligible");
      expect(timeline.told().at(-1)).toBe("readmitted r1");
    },
  );

  test("only below the lower of the two lag limits", () => {
    const timeline = new Timeline({ replicaLagThresholdMs: 8000, readmitLagThresholdMs: 3000 }).allAt(
      1_000_000,
    );
    timeline.rounds(20);
    for (let lag = 0; lag <= 17; lag++) {
      timeline.rounds(1, (t, insert) => t.primary(insert).replica("r2", insert));
    }
    expect(timeline.standing("r1")).toBe("evicted lagging");
    timeline.rounds(20, behind(8));
    expect(timeline.standing("r1")).toBe("evicted lagging");
    timeline.rounds(20, behind(4));
    expect(timeline.standing("r1")).toBe("eligible");
    timeline.rounds(8, (t, insert) => t.primary(insert).replica("r2", insert)).rounds(20, behind(12));
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("not before it is back where it has been, within a timeline", () => {
    const timeline = new Timeline().allAt(5000).replica("r1", 4000);
    expect(timeline.standing("r1")).toBe("evicted behind");
    for (let replay = 4100; replay < 5000; replay += 100)
      timeline.after(500).primary(5000).replica("r1", replay);
    expect(timeline.standing("r1")).toBe("evicted behind");
    timeline.after(500).primary(5000).replica("r1", 5000).after(500).replica("r1", 5000);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("is not measured by its past across a switch of the timeline", () => {
    const timeline = new Timeline().allAt(5000).replica("r1", 4000);
    // The fork was at 4500: on the new timeline 4600 is further than 5000 on the old one.
    timeline.after(500).primary(4600, { timeline: 2 });
    timeline.after(500).replica("r1", 4600, { timeline: 2 }).after(500).replica("r1", 4600, { timeline: 2 });
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("is measured by its past on the new timeline from then on", () => {
    const timeline = new Timeline().allAt(5000).after(500).allAt(4600, { timeline: 2 });
    timeline.after(500).allAt(4800, { timeline: 2 }).replica("r1", 4700, { timeline: 2 });
    expect(timeline.standing("r1")).toBe("evicted behind");
  });

  test("whatever a server of another cluster has answered in its place", () => {
    for (const replay of [10, 9_000_000]) {
      const timeline = new Timeline().allAt(5000).replica("r1", replay, { systemId: "other" });
      expect(timeline.standing("r1")).toBe("evicted wrong-system");
      timeline.rounds(2);
      expect(timeline.standing("r1")).toBe("eligible");
    }
  });

  test("also when that other one answered before the primary said which cluster this is", () => {
    const timeline = new Timeline().replica("r1", 9_000_000, { systemId: "other" }).primary(5000);
    expect(timeline.standing("r1")).toBe("evicted wrong-system");
    timeline.rounds(2);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("but is still measured by its past when it comes back from another cluster's", () => {
    const timeline = new Timeline().allAt(5000).replica("r1", 10, { systemId: "other" }).replica("r1", 4000);
    expect(timeline.standing("r1")).toBe("evicted behind");
  });

  test("not between two samples of a primary that it has left behind", () => {
    const timeline = new Timeline({ healthCheck: { rise: 1 } }).allAt(1_000_000);
    for (let i = 0; i < 20; i++) {
      timeline.after(250).replica("r1", 2_000_000, { timeline: 2 });
      timeline.after(250).primary(1_000_000).replica("r2", 1_000_000);
    }
    expect(timeline.standing("r1")).toBe("evicted wrong-timeline");
    expect(timeline.told().filter((told) => told.endsWith(" r1"))).toEqual(["joined r1", "evicted r1"]);
  });

  test("in ten steps of its share, each an epoch of its own", () => {
    const timeline = new Timeline({ replicas: { r1: 3, r2: 3 }, slowStartMs: 5000 }).allAt(1_000_000);
    timeline.fails("r1", "r1").rounds(2).listen();
    expect(timeline.standing("r1")).toBe("probation 1");
    const start = timeline.now;
    const shares: number[] = [];
    for (let step = 1; step < 10; step++) {
      shares.push(timeline.view.selection.candidates.find(({ name }) => name === "r1")?.weight ?? 0);
      timeline.at(start + 500 * step - 1);
      expect(timeline.standing("r1")).toBe(`probation ${step}`);
      timeline.at(start + 500 * step);
    }
    expect(shares).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27]);
    expect(timeline.standing("r1")).toBe("eligible");
    expect(timeline.view.selection.candidates).toEqual([
      { name: "r1", weight: 30 },
      { name: "r2", weight: 30 },
    ]);
    expect(timeline.told()).toEqual(["restored r1"]);
    expect(timeline.changes.filter(({ kind }) => kind === "epoch")).toHaveLength(9);
  });

  test("is evicted from probation as from its full share", () => {
    const timeline = new Timeline({ slowStartMs: 5000 }).allAt(1_000_000).fails("r1", "r1").rounds(2);
    expect(timeline.standing("r1")).toBe("probation 1");
    timeline.fails("r1", "r1");
    expect(timeline.standing("r1")).toBe("evicted unreachable");
  });
});

describe("a replica that flaps", () => {
  test("stays away twice as long each time, up to 60 intervals", () => {
    const timeline = new Timeline().allAt(1_000_000);
    const took = Array.from({ length: 8 }, () => outage(timeline));
    // rise = 2 passes; then 2 × rise intervals, doubling.
    expect(took).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test("comes back at once again after it has held", () => {
    const timeline = new Timeline().allAt(1_000_000);
    for (let i = 0; i < 4; i++) outage(timeline);
    timeline.rounds(21);
    expect(outage(timeline)).toBe(2);
    expect(outage(timeline)).toBe(4);
  });

  test("is not taken for one when it only fails rarely", () => {
    const timeline = new Timeline().allAt(1_000_000);
    for (let i = 0; i < 10; i++) {
      timeline.rounds(21);
      expect(outage(timeline)).toBe(2);
    }
  });
});

describe("an operator", () => {
  test("drains a replica and takes it back with a growing share", () => {
    const timeline = new Timeline({ slowStartMs: 5000 }).allAt(1_000_000).listen().drained("r1");
    expect(timeline.standing("r1")).toBe("draining");
    expect(timeline.serving()).toEqual(["r2"]);
    timeline.rounds(10).drained("r1");
    expect(timeline.standing("r1")).toBe("draining");
    timeline.undrained("r1");
    expect(timeline.serving()).toEqual(["r2"]);
    timeline.rounds(1);
    expect(timeline.standing("r1")).toBe("probation 1");
    expect(timeline.told()).toEqual(["draining r1", "undrained r1", "joined r1"]);
  });

  test("cannot drain what is not there", () => {
    const timeline = new Timeline().allAt(1_000_000);
    const { view } = timeline;
    expect(timeline.drained("r9").undrained("primary").view).toEqual(view);
  });

  test("keeps a replica of weight 0 out, drained or not, and it wakes nobody", () => {
    const timeline = new Timeline({ replicas: { r1: 0, r2: 1 } }).allAt(1_000_000).undrained("r1").rounds(5);
    expect(timeline.standing("r1")).toBe("draining");
    timeline.fails("r1", "r1", "r1").replica("r1", 1).suspected("r1");
    expect(timeline.standing("r1")).toBe("draining");
    expect(timeline.serving()).toEqual(["r2"]);
    expect(timeline.told()).toEqual(["primary-up primary", "draining r1", "joined r2"]);
  });

  test("who gives it a weight takes it in with a growing share", () => {
    const timeline = new Timeline({ replicas: { r1: 0, r2: 1 }, slowStartMs: 5000 }).allAt(1_000_000);
    timeline.reconfigured(makeConfig({ replicas: { r1: 2, r2: 1 }, slowStartMs: 5000 })).rounds(1);
    expect(timeline.standing("r1")).toBe("probation 1");
    timeline
      .drained("r1")
      .reconfigured(makeConfig({ replicas: { r1: 3, r2: 1 } }))
      .rounds(3);
    expect(timeline.standing("r1")).toBe("draining");
  });

  test("who takes back a replica that is lost is told so", () => {
    const timeline = new Timeline()
      .allAt(1_000_000)
      .drained("r1")
      .fails("r1", "r1")
      .listen()
      .undrained("r1")
      .tick();
    expect(timeline.standing("r1")).toBe("evicted unreachable");
    expect(timeline.told()).toEqual(["undrained r1", "evicted r1"]);
  });
});

describe("a suspect", () => {
  test("is left out until its probe has answered", () => {
    const timeline = new Timeline().allAt(1_000_000).suspected("r1");
    expect(timeline.serving()).toEqual(["r2"]);
    expect(timeline.standing("r1")).toBe("eligible");
    timeline.replica("r1", 1_000_000);
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("is still left out when its probe fails, before it is evicted", () => {
    const timeline = new Timeline({ healthCheck: { fall: 3 } })
      .allAt(1_000_000)
      .suspected("r1")
      .fails("r1", "r1");
    expect(timeline.standing("r1")).toBe("eligible");
    expect(timeline.serving()).toEqual(["r2"]);
  });

  test("serves when nobody else can", () => {
    const timeline = new Timeline().allAt(1_000_000).suspected("r1").suspected("r2");
    expect(timeline.serving()).toEqual(["r1", "r2"]);
    timeline.replica("r2", 1_000_000);
    expect(timeline.serving()).toEqual(["r2"]);
    timeline.fails("r2", "r2");
    expect(timeline.serving()).toEqual(["r1"]);
    expect(timeline.view.fallback).toBe(false);
  });
});

/** r1 holds what the primary had that many rounds ago. */
function behind(rounds: number): (timeline: Timeline, insert: number) => void {
  return (timeline, insert) => {
    timeline
      .primary(insert)
      .replica("r1", insert - 1000 * rounds)
      .replica("r2", insert);
  };
}

/** Fails, and then answers every interval until it is back; how many intervals that took. */
function outage(timeline: Timeline): number {
  timeline.fails("r1", "r1");
  let intervals = 0;
  while (timeline.standing("r1").startsWith("evicted")) {
    timeline.rounds(1);
    intervals += 1;
    if (intervals > 500) throw new Error("it never came back");
  }
  return intervals;
}
