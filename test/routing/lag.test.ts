/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { knownUntil } from "../../src/routing/bound.ts";
import { coveredAt, withPrimarySample } from "../../src/routing/lag.ts";
import type { LagRing } from "../../src/routing/lag.ts";
import { Timeline, makeConfig, primarySample, replicaSample } from "./view-builder.ts";

const INTERVAL = 500;
const TIMEOUT = 500;
const keep = { keepMs: 10_000 };

describe("the ring", () => {
  test("says until when everything acknowledged has been replayed", () => {
    const ring = ringOf([0, 100], [500, 200], [1000, 300]);
    expect(coveredAt(ring, 99)).toBeUndefined();
    expect(coveredAt(ring, 100)).toBe(0);
    expect(coveredAt(ring, 299)).toBe(500);
    expect(coveredAt(ring, 300)).toBe(1000);
    expect(coveredAt(ring, 999)).toBe(1000);
  });

  test("takes the flush position for what was acknowledged 3 × wal_writer_delay earlier", () => {
    const sample = primarySample(300, { flush: 250, walWriterDelayMs: 200 });
    const ring = withPrimarySample(ringOf([0, 100]), sample, 1000, keep);
    expect(coveredAt(ring, 249)).toBe(0);
    expect(coveredAt(ring, 250)).toBe(1000 - 3 * 200);
    expect(coveredAt(ring, 300)).toBe(1000);
  });

  test("never takes the flush position for less than an older insert position proves", () => {
    const ring = withPrimarySample(ringOf([900, 250]), primarySample(300, { flush: 250 }), 1000, keep);
    expect(coveredAt(ring, 250)).toBe(900);
  });

  test("keeps the newest time of equal positions, and does not grow on an idle primary", () => {
    let ring = ringOf([0, 100]);
    for (let at = 500; at <= 500_000; at += 500) ring = withPrimarySample(ring, primarySample(100), at, keep);
    expect(ring.entries).toHaveLength(1);
    expect(coveredAt(ring, 100)).toBe(500_000);
  });

  test("begins anew on another timeline and for another system", () => {
    const ring = ringOf([0, 100], [500, 200]);
    const promoted = withPrimarySample(ring, primarySample(150, { timeline: 2 }), 1000, keep);
    expect(promoted.timeline).toBe(2);
    expect(coveredAt(promoted, 149)).toBeUndefined();
    const other = withPrimarySample(ring, primarySample(150, { systemId: "other" }), 1000, keep);
    expect(coveredAt(other, 149)).toBeUndefined();
  });

  test("forgets what is older than its horizon, but for one entry", () => {
    let ring: LagRing | undefined;
    for (let at = 0; at <= 60_000; at += 500) ring = withPrimarySample(ring, primarySample(at), at, keep);
    const times = ring?.entries.map((entry) => entry.at) ?? [];
    expect(times[0]).toBe(49_500);
    expect(times).toHaveLength(22);
    expect(ring && coveredAt(ring, 49_499)).toBeUndefined();
  });

  property.prop([
    fc.array(fc.record({ step: fc.nat(3), unflushed: fc.nat(5), afterMs: fc.nat(1500) }), { minLength: 1 }),
    fc.nat(60),
    fc.nat(10),
  ])("never covers less for a replica that is further", (steps, replay, ahead) => {
    let ring: LagRing | undefined;
    let [at, insert] = [0, 0];
    for (const { step, unflushed, afterMs } of steps) {
      at += afterMs;
      insert += step;
      const flush = Math.max(0, insert - unflushed);
      ring = withPrimarySample(ring, primarySample(insert, { flush }), at, keep);
    }
    if (ring === undefined) throw new Error("the ring is empty");
    const near = coveredAt(ring, replay) ?? Number.NEGATIVE_INFINITY;
    expect(coveredAt(ring, replay + ahead) ?? Number.NEGATIVE_INFINITY).toBeGreaterThanOrEqual(near);
  });
});

describe("the lag bound", () => {
  test("grows by itself while a replica's probes are missing", () => {
    const timeline = new Timeline().allAt(100).after(500).primary(200);
    expect(timeline.bound("r1")).toBe(500);
    timeline.fails("r1").after(400);
    expect(timeline.bound("r1")).toBe(900);
    timeline.after(100).primary(300).after(300);
    expect(timeline.bound("r1")).toBe(1300);
  });

  test("of a replica that has not moved on an idle primary starts over with each sample of the primary", () => {
    const timeline = new Timeline().allAt(100).after(500).primary(100);
    expect(timeline.bound("r1")).toBe(0);
  });

  test("is unknown, not zero, before the first sample of either side", () => {
    const timeline = new Timeline();
    expect(timeline.bound("r1")).toBeUndefined();
    timeline.replica("r1", 100);
    expect(timeline.bound("r1")).toBeUndefined();
    const other = new Timeline().primary(100);
    expect(other.bound("r1")).toBeUndefined();
  });

  test("is proved anew once the replica has gone back: what it held it may have lost", () => {
    const timeline = new Timeline().at(1000).primary(500).at(1500).primary(900).replica("r1", 900);
    expect(timeline.state("r1").coveredAt).toBe(1500);
    timeline.after(100).replica("r1", 600);
    expect(timeline.state("r1").coveredAt).toBe(1000);
    timeline.after(100).replica("r1", 400);
    expect(timeline.bound("r1")).toBeUndefined();
  });

  test("is given by the flush position where the insert position is out of reach", () => {
    const timeline = new Timeline().at(1000).primary(500, { flush: 400 }).replica("r1", 400);
    expect(timeline.bound("r1")).toBe(600);
  });

  test("stands still while the primary is lost, however long", () => {
    const timeline = new Timeline().allAt(100).after(500).allAt(200).after(200);
    expect(timeline.bound("r1")).toBe(200);
    timeline.after(800).fails("primary");
    const frozen = timeline.bound("r1");
    // Its next probe might have taken its whole timeout; no answer can be newer than that.
    expect(frozen).toBe(INTERVAL + TIMEOUT);
    for (let i = 0; i < 200; i++) timeline.after(500).fails("primary").replica("r1", 200).replica("r2", 200);
    expect(timeline.bound("r1")).toBe(frozen);
    expect(timeline.standing("r1")).toBe("eligible");
    expect(timeline.standing("r2")).toBe("eligible");
    expect(timeline.told()).not.toContain("evicted r1");
  });

  test("grows for want of an answer only as far as a replica that is well stays below the threshold", () => {
    const atTheFloor = {
      replicaLagThresholdMs: 2 * INTERVAL + TIMEOUT,
      readmitLagThresholdMs: 2 * INTERVAL + TIMEOUT,
    };
    const timeline = new Timeline(atTheFloor).allAt(100).after(500).primary(200).replica("r1", 100);
    expect(timeline.bound("r1")).toBe(INTERVAL);
    timeline.after(60_000).fails("primary", "primary");
    expect(timeline.bound("r1")).toBe(2 * INTERVAL);
    expect(timeline.standing("r1")).toBe("eligible");
  });

  test("shrinks while the primary is lost when the replica replays what it had received", () => {
    const timeline = new Timeline().allAt(100).after(500).primary(200).after(500).primary(300).after(1500);
    timeline.fails("primary", "primary");
    expect(timeline.bound("r1")).toBe(1500 + TIMEOUT);
    timeline.replica("r1", 200);
    expect(timeline.bound("r1")).toBe(1000 + TIMEOUT);
    timeline.replica("r1", 300);
    expect(timeline.bound("r1")).toBe(500 + TIMEOUT);
  });

  test("follows the peers while the primary is lost: who falls behind them is evicted", () => {
    const timeline = new Timeline({ replicas: { r1: 1, r2: 1, r3: 1 } }).allAt(1000).rounds(3);
    const stuckAt = timeline.view.primary.sample?.insert ?? 0;
    timeline.after(500).fails("primary").fails("primary");
    let leading = stuckAt;
    for (let i = 0; i < 24; i++) {
      // The primary is out of our reach, not dead: it goes on writing, and r3 does not hear of it.
      leading += 1000;
      timeline
        .after(500)
        .fails("primary")
        .replica("r1", leading)
        .replica("r2", leading)
        .replica("r3", stuckAt);
    }
    expect(timeline.standing("r3")).toBe("evicted lagging");
    expect(timeline.serving()).toEqual(["r1", "r2"]);
    const evicted = timeline.changes.find(({ kind }) => kind === "evicted");
    expect(evicted).toMatchObject({ node: "r3", reason: "lagging" });
    // The last position that r3 has was the primary's at 1500; a probe every 500 ms finds it out.
    expect(evicted?.at).toBeGreaterThan(1500 + 10_000);
    expect(evicted?.at).toBeLessThanOrEqual(1500 + 10_000 + INTERVAL);
  });

  test("of the others stays as it is when the one that was ahead is lost too", () => {
    const timeline = new Timeline().allAt(1000).rounds(2);
    timeline.fails("primary").fails("primary").after(100).replica("r1", 9999).after(400).replica("r2", 3000);
    for (let i = 0; i < 100; i++) timeline.after(500).fails("primary", "r1").replica("r2", 3000);
    expect(timeline.standing("r1")).toBe("evicted unreachable");
    expect(timeline.standing("r2")).toBe("eligible");
    expect(timeline.serving()).toEqual(["r2"]);
  });

  test("by the peers is not made by another cluster that answers on a replica's port", () => {
    const timeline = new Timeline({ replicas: { r1: 1, r2: 1, stranger: 1 } }).allAt(1000).rounds(2);
    timeline.fails("primary").fails("primary");
    for (let i = 0; i < 60; i++) {
      timeline.after(500).replica("stranger", 9_000_000 + i, { systemId: "other" });
      timeline.replica("r1", 3000).replica("r2", 3000);
    }
    expect(timeline.standing("stranger")).toBe("evicted wrong-system");
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("older than the ring is `lagging`, not `unknown-lag`", () => {
    const timeline = new Timeline({ replicas: { r1: 1, r2: 1 } }).primary(1_000_000).replica("r1", 1_000_000);
    // r2 is found hours behind: no entry of the ring reaches back to it.
    for (let i = 0; i < 22; i++) {
      timeline.after(500);
      const insert = timeline.nextInsert();
      timeline.primary(insert).replica("r1", insert).replica("r2", 500);
    }
    expect(timeline.standing("r2")).toBe("evicted lagging");
    expect(timeline.changes.find(({ kind }) => kind === "evicted")).toMatchObject({
      node: "r2",
      basis: expect.stringMatching(/^it has not reached where the primary was 10\d\d\d ms ago$/),
    });
    expect(timeline.standing("r1")).toBe("eligible");
  });

  property.prop([
    fc.record({
      primaryPhase: fc.integer({ min: 0, max: INTERVAL - 1 }),
      replicaPhase: fc.integer({ min: 0, max: INTERVAL - 1 }),
      primaryTripMs: fc.nat(TIMEOUT),
      replicaTripMs: fc.nat(TIMEOUT),
      busy: fc.boolean(),
    }),
  ])(
    "of a replica that is well saws between 0 and 2 × interval + round trip",
    ({ primaryPhase, replicaPhase, primaryTripMs, replicaTripMs, busy }) => {
      const timeline = new Timeline({ replicas: { r1: 1 } });
      // Position = time on a busy primary; the replica holds all of it at once.
      const position = (at: number): number => (busy ? 1000 + at : 1000);
      const events: { readonly at: number; readonly sentAt: number; readonly node: "primary" | "r1" }[] = [];
      for (let i = 0; i < 40; i++) {
        const sent = { primary: primaryPhase + i * INTERVAL, r1: replicaPhase + i * INTERVAL };
        events.push({ at: sent.primary + primaryTripMs, sentAt: sent.primary, node: "primary" });
        events.push({ at: sent.r1 + replicaTripMs, sentAt: sent.r1, node: "r1" });
      }
      events.sort((a, b) => a.at - b.at);
      let peak = 0;
      for (const { at, sentAt, node } of events) {
        timeline.at(at);
        if (at > 4 * INTERVAL) peak = Math.max(peak, timeline.bound("r1") ?? Number.POSITIVE_INFINITY);
        timeline.answered(
          node,
          node === "primary" ? primarySample(position(at)) : replicaSample(position(at)),
          sentAt,
        );
      }
      expect(peak).toBeLessThanOrEqual(2 * INTERVAL + primaryTripMs + replicaTripMs);
      if (!busy) expect(peak).toBeLessThanOrEqual(2 * INTERVAL + primaryTripMs);
      expect(timeline.standing("r1")).toBe("eligible");
    },
  );

  property.prop([history()], { numRuns: 400 })(
    "is never below the true staleness while the primary answers",
    (scenario) => {
      expect(run(scenario).wrong).toEqual([]);
    },
  );

  test("is checked against a simulation that catches a bound of half its size", () => {
    const scenario = steadyHistory();
    expect(run(scenario)).toMatchObject({ wrong: [] });
    expect(run(scenario).checked).toBeGreaterThan(300);
    expect(run(scenario, (bound) => bound / 2).wrong).not.toEqual([]);
  });
});

/** One primary's WAL and one replica that replays it, as they really are; and when the router looks. */
interface Scenario {
  readonly records: readonly {
    readonly afterMs: number;
    /** Acknowledged before it is flushed: `synchronous_commit = off`. */
    readonly async: boolean;
    /** In thousandths of 3 × wal_writer_delay. */
    readonly flushDelay: number;
  }[];
  readonly replayDelayMs: number;
  /** Times during which the replica replays nothing. */
  readonly stalls: readonly { readonly atMs: number; readonly forMs: number }[];
  readonly primaryProbes: Probes;
  readonly replicaProbes: Probes;
}

interface Probes {
  readonly phaseMs: number;
  /** Taken in turn: the round trip, at which thousandth of it the server looked, and whether it was lost. */
  readonly each: readonly { readonly tripMs: number; readonly looked: number; readonly lost: boolean }[];
}

const WAL_WRITER_DELAY = 200;
const END = 30_000;

function history(): fc.Arbitrary<Scenario> {
  const probes = fc.record({
    phaseMs: fc.nat(INTERVAL - 1),
    each: fc.array(
      fc.record({
        tripMs: fc.oneof(fc.nat(20), fc.nat(TIMEOUT - 1)),
        looked: fc.nat(1000),
        lost: fc.integer({ min: 0, max: 5 }).map((draw) => draw === 0),
      }),
      { minLength: 1, maxLength: 20 },
    ),
  });
  return fc.record({
    records: fc.array(
      fc.record({
        afterMs: fc.oneof(fc.nat(20), fc.nat(2000)),
        async: fc.boolean(),
        flushDelay: fc.oneof(fc.nat(10), fc.nat(1000)),
      }),
      { minLength: 1, maxLength: 60 },
    ),
    replayDelayMs: fc.oneof(fc.nat(20), fc.nat(3000)),
    stalls: fc.array(fc.record({ atMs: fc.nat(END), forMs: fc.nat(8000) }), { maxLength: 3 }),
    primaryProbes: probes,
    replicaProbes: probes,
  });
}

function steadyHistory(): Scenario {
  const each = [{ tripMs: 2, looked: 500, lost: false }];
  return {
    records: Array.from({ length: 2000 }, () => ({ afterMs: 10, async: false, flushDelay: 1 })),
    replayDelayMs: 300,
    stalls: [{ atMs: 5000, forMs: 3000 }],
    primaryProbes: { phaseMs: 0, each },
    replicaProbes: { phaseMs: 250, each },
  };
}

interface WalRecord {
  readonly lsn: number;
  readonly insertedAt: number;
  readonly flushedAt: number;
  readonly acknowledgedAt: number;
  readonly replayedAt: number;
}

function wal({ records, replayDelayMs, stalls }: Scenario): WalRecord[] {
  const all: WalRecord[] = [];
  let insertedAt = 100;
  for (const { afterMs, async, flushDelay } of records) {
    const before = all.at(-1);
    insertedAt += afterMs;
    const flushedAt = Math.max(
      before?.flushedAt ?? 0,
      insertedAt + (flushDelay * 3 * WAL_WRITER_DELAY) / 1000,
    );
    let replayedAt = Math.max(before?.replayedAt ?? 0, flushedAt + replayDelayMs);
    for (const { atMs, forMs } of stalls.toSorted((a, b) => a.atMs - b.atMs)) {
      if (replayedAt >= atMs && replayedAt < atMs + forMs) replayedAt = atMs + forMs;
    }
    all.push({
      lsn: (before?.lsn ?? 1000) + 100,
      insertedAt,
      flushedAt,
      acknowledgedAt: async ? insertedAt : flushedAt,
      replayedAt,
    });
  }
  return all;
}

function run(
  scenario: Scenario,
  tamper: (bound: number) => number = (bound) => bound,
): {
  readonly checked: number;
  readonly wrong: readonly string[];
} {
  const records = wal(scenario);
  const position = (at: number, time: "insertedAt" | "flushedAt" | "replayedAt"): number =>
    records.findLast((record) => record[time] <= at)?.lsn ?? 1000;
  const timeline = new Timeline({ replicas: { r1: 1 }, replicaLagThresholdMs: 6000, lagNudge: false });
  const wrong: string[] = [];
  let checked = 0;

  const check = (): void => {
    const { now } = timeline;
    const covered = timeline.state("r1").coveredAt;
    const missing =
      records.find((record) => record.replayedAt > now)?.acknowledgedAt ?? Number.POSITIVE_INFINITY;
    if (covered !== undefined && missing < covered)
      wrong.push(`at ${now}: covered ${covered}, misses ${missing}`);
    const bound = timeline.bound("r1");
    // A primary that has never answered bounds nothing: then only the peers speak.
    if (bound === undefined || covered === undefined) return;
    const stale = Math.max(0, now - missing);
    // From the time at which the primary's next probe was due the bound stands still.
    const frozenFor = now - knownUntil(timeline.view, now);
    checked += 1;
    if (tamper(bound) + frozenFor < stale) wrong.push(`at ${now}: bound ${bound}, stale ${stale}`);
  };

  for (const { at, node, sentAt, lookedAt } of probesOf(scenario)) {
    for (let probe = Math.ceil((timeline.now + 1) / 97) * 97; probe < at; probe += 97) {
      timeline.at(probe);
      check();
    }
    timeline.at(at);
    check();
    if (lookedAt === undefined) timeline.fails(node);
    else if (node === "r1") timeline.answered(node, replicaSample(position(lookedAt, "replayedAt")), sentAt);
    else {
      const flush = position(lookedAt, "flushedAt");
      const insert = position(lookedAt, "insertedAt");
      timeline.answered(node, primarySample(insert, { flush, walWriterDelayMs: WAL_WRITER_DELAY }), sentAt);
    }
    check();
  }
  return { checked, wrong };
}

interface ProbeEnd {
  readonly node: "primary" | "r1";
  readonly sentAt: number;
  readonly at: number;
  readonly lookedAt: number | undefined;
}

/** One probe of a node at a time, from start to start; the next one at once after the first that was lost. */
function probesOf({ primaryProbes, replicaProbes }: Scenario): ProbeEnd[] {
  const ends: ProbeEnd[] = [];
  for (const [node, { phaseMs, each }] of [
    ["primary", primaryProbes],
    ["r1", replicaProbes],
  ] as const) {
    let failures = 0;
    let sentAt = phaseMs;
    for (let i = 0; sentAt < END; i++) {
      const { tripMs, looked, lost } = each[i % each.length] as Probes["each"][number];
      const at = sentAt + (lost ? TIMEOUT : tripMs);
      ends.push({ node, sentAt, at, lookedAt: lost ? undefined : sentAt + (tripMs * looked) / 1000 });
      failures = lost ? failures + 1 : 0;
      sentAt = failures === 1 ? at : Math.max(at, sentAt + INTERVAL);
    }
  }
  return ends.toSorted((a, b) => a.at - b.at);
}

function ringOf(...entries: readonly (readonly [at: number, insert: number])[]): LagRing {
  let ring: LagRing | undefined;
  for (const [at, insert] of entries) ring = withPrimarySample(ring, primarySample(insert), at, keep);
  if (ring === undefined) throw new Error("a ring needs an entry");
  return ring;
}

test("the lag limits of the configuration used here are what the tests count on", () => {
  expect(makeConfig().healthCheck).toMatchObject({ intervalMs: INTERVAL, timeoutMs: TIMEOUT });
});
