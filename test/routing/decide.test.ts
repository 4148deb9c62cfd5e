/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/routing/decide.ts";
import type { Request } from "../../src/routing/decide.ts";
import type { ClusterView, ViewEvent } from "../../src/routing/model.ts";
import { initialView, observe } from "../../src/routing/observe.ts";
import type { NodeSample } from "../../src/routing/sample.ts";
import { SYSTEM_ID, Timeline, deepFreeze, makeConfig, primarySample, replicaSample } from "./view-builder.ts";

describe("a write", () => {
  test("goes to the primary, from the first moment on", () => {
    const timeline = new Timeline();
    expect(timeline.write()).toBe("primary");
    expect(timeline.allAt(1000).write()).toBe("primary");
    expect(timeline.fails("primary").write()).toBe("primary");
  });

  test("is refused by name while the primary is down or is none", () => {
    const lost = new Timeline().allAt(1000).fails("primary", "primary");
    expect(lost.decide({ kind: "write" })).toEqual({
      kind: "refuse",
      code: "NO_PRIMARY",
      message: 'the primary "primary" does not answer',
    });
    const demoted = new Timeline().allAt(1000).after(1).sampled("primary", replicaSample(1000));
    expect(demoted.decide({ kind: "write" })).toMatchObject({
      code: "NO_PRIMARY",
      message: /is in recovery/,
    });
  });
});

describe("a read", () => {
  test("goes to the replicas in proportion to their weights", () => {
    const timeline = new Timeline({ replicas: { r1: 2, r2: 1, r3: 1 } }).allAt(1000);
    const reads = Array.from({ length: 400 }, () => timeline.read());
    expect(["r1", "r2", "r3"].map((node) => reads.filter((read) => read === node).length)).toEqual([
      200, 100, 100,
    ]);
  });

  test("goes to the primary before a replica has been seen, and says why", () => {
    const timeline = new Timeline();
    expect(timeline.decide({ kind: "read" })).toMatchObject({ node: "primary", reason: "no-replica-yet" });
    timeline.primary(1000).fails("r1", "r1", "r2", "r2");
    expect(timeline.decide({ kind: "read" })).toMatchObject({ node: "primary", reason: "fallback" });
  });

  test("goes to the primary where there is no replica", () => {
    const timeline = new Timeline({ replicas: {} });
    expect(timeline.decide({ kind: "read" })).toMatchObject({ node: "primary", reason: "split-off" });
    timeline.fails("primary", "primary");
    expect(timeline.read()).toBe("NO_PRIMARY");
  });

  test("is refused rather than sent to the primary where the fallback is an error", () => {
    const timeline = new Timeline({ fallback: { to: "error" } });
    expect(timeline.read()).toBe("NO_ELIGIBLE_NODE");
    timeline.allAt(1000);
    expect(timeline.read()).toMatch(/^r/);
    timeline.fails("r1", "r1", "r2", "r2");
    expect(timeline.read()).toBe("NO_ELIGIBLE_NODE");
    expect(timeline.write()).toBe("primary");
  });

  test("is refused when neither a replica nor the primary is there", () => {
    const timeline = new Timeline().allAt(1000).fails("r1", "r1", "r2", "r2", "primary", "primary");
    expect(timeline.decide({ kind: "read" })).toMatchObject({
      code: "NO_ELIGIBLE_NODE",
      message: /does not answer/,
    });
  });

  test("is served while the primary is unknown, or refused, as configured", () => {
    for (const [whenPrimaryUnknown, answer] of [
      ["serve", /^r/],
      ["reject", /^NO_ELIGIBLE_NODE$/],
    ] as const) {
      const timeline = new Timeline({ whenPrimaryUnknown }).allAt(1000).after(1000);
      expect(timeline.read()).toMatch(/^r/);
      // Interval and timeout are over, and no answer came: that is known without any event.
      timeline.after(1);
      expect(timeline.read()).toMatch(answer);
      timeline.fails("primary", "primary").after(60_000);
      expect(timeline.read()).toMatch(answer);
      expect(timeline.primary(1000).replica("r1", 1000).read()).toMatch(/^r/);
    }
  });
});

describe("a retry", () => {
  test("goes to a node that has not failed it yet, else to the primary", () => {
    const timeline = new Timeline({ replicas: { r1: 1, r2: 1, r3: 1 } }).allAt(1000);
    expect(timeline.decide({ kind: "read", avoid: new Set(["r1", "r3"]) })).toMatchObject({
      node: "r2",
      reason: "retry",
    });
    expect(timeline.read({ avoid: new Set(["r1", "r2", "r3"]) })).toBe("primary");
  });

  test("is refused where the fallback is an error and every replica has failed it", () => {
    const timeline = new Timeline({ fallback: { to: "error" } }).allAt(1000);
    expect(timeline.read({ avoid: new Set(["r1", "r2"]) })).toBe("NO_ELIGIBLE_NODE");
  });

  test("does not take a turn of the weighted order", () => {
    const timeline = new Timeline().allAt(1000);
    const { owed } = timeline.view.selection;
    timeline.read({ avoid: new Set(["r1"]) });
    expect(timeline.view.selection.owed).toBe(owed);
  });
});

describe("a read after one's own write", () => {
  test("goes only to a replica that is proved past it", () => {
    const timeline = new Timeline().allAt(1000).after(100);
    const written = timeline.now;
    expect(timeline.decide({ kind: "read", after: written })).toMatchObject({
      node: "primary",
      reason: "own-write",
    });
    // The sample must have been sent after the write returned; it is the replica's position that proves.
    timeline.after(400).primary(2000).replica("r1", 1999);
    expect(timeline.read({ after: written })).toBe("primary");
    timeline.replica("r2", 2000);
    for (let i = 0; i < 5; i++) expect(timeline.read({ after: written })).toBe("r2");
    expect(timeline.decide({ kind: "read", after: written })).toMatchObject({ reason: "own-write-proved" });
  });

  test("is not taken for proved by a probe that was on its way when the write returned", () => {
    const timeline = new Timeline().allAt(1000).after(500);
    const sentAt = timeline.now;
    timeline.after(20);
    const written = timeline.now;
    timeline.after(20).answered("primary", primarySample(1000), sentAt).replica("r1", 1000);
    expect(timeline.read({ after: written })).toBe("primary");
  });

  test("goes to none of those that failed it", () => {
    const timeline = new Timeline().allAt(1000).after(500).allAt(2000);
    expect(timeline.read({ after: 400, avoid: new Set(["r1"]) })).toBe("r2");
    expect(timeline.read({ after: 400, avoid: new Set(["r1", "r2"]) })).toBe("primary");
  });
});

/** One step of a random life: how long after the last one, what happens, and to whom. */
interface Step {
  readonly afterMs: number;
  readonly kind:
    | "answer"
    | "fail"
    | "suspect"
    | "drain"
    | "undrain"
    | "jump"
    | "reconfigure"
    | "nudged"
    | "tick";
  /** 0 is the primary. */
  readonly node: number;
  readonly tripMs: number;
  readonly written: number;
  readonly behind: number;
  readonly odd: "no" | "role" | "timeline" | "system" | "paused" | "nowhere" | "hidden";
  readonly weight: number;
}

const REPLICAS = 4;
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.nat(40), fc.nat(600), fc.nat(600), fc.nat(4000)).map((ms) => ms * 1.0007),
    kind: fc.oneof(
      { weight: 14, arbitrary: fc.constant("answer" as const) },
      { weight: 4, arbitrary: fc.constant("fail" as const) },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          "suspect" as const,
          "drain" as const,
          "undrain" as const,
          "jump" as const,
          "reconfigure" as const,
          "nudged" as const,
          "tick" as const,
        ),
      },
    ),
    node: fc.oneof(fc.constant(0), fc.nat(REPLICAS)),
    tripMs: fc.nat(30),
    written: fc.oneof(fc.constant(0), fc.nat(5)),
    behind: fc.oneof(fc.constant(0), fc.nat(20)),
    odd: fc.oneof(
      { weight: 12, arbitrary: fc.constant("no" as const) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          "role" as const,
          "timeline" as const,
          "system" as const,
          "paused" as const,
          "nowhere" as const,
          "hidden" as const,
        ),
      },
    ),
    weight: fc.nat(3),
  }),
  { minLength: 1, maxLength: 120 },
);

const options = fc.record({
  healthCheck: fc.record({ fall: fc.integer({ min: 1, max: 3 }), rise: fc.integer({ min: 1, max: 3 }) }),
  replicaLagThresholdMs: fc.constantFrom(1500, 3000, 10_000, "off" as const),
  readmitLagThresholdMs: fc.constant(1500),
  slowStartMs: fc.constantFrom(0, 7, 1000, 5000),
  fallback: fc.constantFrom({ to: "primary" as const }, { to: "error" as const }),
  whenPrimaryUnknown: fc.constantFrom("serve" as const, "reject" as const),
  lagNudge: fc.boolean(),
});

/**
 * What the events say by themselves, counted without the router's code: who must not serve whatever else is so.
 * It says less than the router, which may also wait longer; what it forbids is forbidden.
 */
class Witness {
  readonly failed = new Map<string, number>();
  readonly passes = new Map<string, number>();
  readonly last = new Map<string, NodeSample>();
  readonly evicted = new Set<string>();
  readonly out = new Set<string>();
  readonly suspects = new Set<string>();
  primary: { readonly sample: NodeSample; readonly sentAt: number } | undefined;
  /** The primary answered again after it had been unknown: until one probe later, ages stand where they stood. */
  resumed: { readonly at: number; readonly lastSeenAt: number } | undefined;
  positions: { readonly sentAt: number; readonly insert: number; readonly key: string }[] = [];

  /** Why a read must not go there; undefined when nothing the witness saw forbids it. */
  objection(node: string, view: ClusterView, now: number): string | undefined {
    const { fall, rise } = view.config.healthCheck;
    if (this.out.has(node)) return "it is drained";
    if ((view.config.replicas.find(({ name }) => name === node)?.weight ?? 0) === 0) return "its weight is 0";
    if ((this.failed.get(node) ?? 0) >= fall) return "its probes fail";
    if (this.evicted.has(node) && (this.passes.get(node) ?? 0) < rise)
      return "it has not passed often enough";
    const sample = this.last.get(node);
    if (sample?.role === "primary") return "it is a primary";
    if (sample !== undefined && this.primary?.sample.systemId !== undefined) {
      if (sample.systemId !== this.primary.sample.systemId) return "it is of another cluster";
    }
    if (view.config.replicaLagThresholdMs === "off" || sample === undefined) return undefined;
    if (sample.replayPaused) return "replay is paused";
    if (sample.replay === undefined) return "it has no position";
    return this.#staleness(sample.replay, view, now);
  }

  #staleness(replay: number, view: ClusterView, now: number): string | undefined {
    const threshold = view.config.replicaLagThresholdMs;
    if (threshold === "off" || this.primary === undefined) return undefined;
    const { intervalMs, timeoutMs } = view.config.healthCheck;
    const { resumed } = this;
    const isFresh = resumed !== undefined && now <= resumed.at + intervalMs + timeoutMs;
    const known = Math.min(now, (isFresh ? resumed.lastSeenAt : this.primary.sentAt) + intervalMs);
    const first = this.positions.find(({ insert }) => insert > replay);
    const newestReached = this.positions.findLast(({ insert }) => insert <= replay);
    if (first === undefined || newestReached === undefined) return undefined;
    const age = known - newestReached.sentAt;
    return age > threshold + 1 ? `its data is ${age} ms old` : undefined;
  }
}

describe("whatever happens", () => {
  property.prop([options, steps, fc.nat(0xffff_ffff)], { numRuns: 400 })(
    "nothing throws, no argument is changed, and the same gives the same",
    (config, life, phase) => {
      let told = false;
      let nudgedAt = Number.NEGATIVE_INFINITY;
      for (const { view, event, next, now } of live(config, life, phase)) {
        expect(observe(view, event)).toEqual(next);
        const { selection } = next.view;
        expect(selection.owed.reduce((sum, owed) => sum + owed, 0)).toBe(0);
        for (const { weight } of selection.candidates) expect(weight).toBeGreaterThan(0);
        expect(selection.epoch - view.selection.epoch).toBe(
          next.changes.filter(({ kind }) => kind === "epoch").length,
        );
        for (const change of next.changes) {
          if (change.kind === "fallback-started" || change.kind === "fallback-ended") {
            expect(change.kind === "fallback-started").toBe(!told);
            told = !told;
          }
          if (change.kind === "evicted") expect(change.basis).not.toBe("");
        }
        expect(next.view.fallback).toBe(told);
        if (event.kind === "nudged") nudgedAt = now;
        if (next.view.nudgeDue) expect(now - nudgedAt).toBeGreaterThanOrEqual(500);
        if (!next.view.config.lagNudge) expect(next.view.nudgeDue).toBe(false);
        for (const request of requests(now)) {
          const decided = decide(next.view, request, now);
          expect(decide(next.view, request, now)).toEqual(decided);
        }
      }
    },
  );

  property.prop([options, steps, fc.nat(0xffff_ffff)], { numRuns: 400 })(
    "a tick at the time that the view names leaves nothing due at that time",
    (config, life, phase) => {
      for (const { next, now } of live(config, life, phase))
        expect(next.view.nextChangeAt).toBeGreaterThan(now);
    },
  );

  property.prop([options, steps, fc.nat(0xffff_ffff)], { numRuns: 600 })(
    "no read goes to a node of which the events say that it must not serve",
    (config, life, phase) => {
      for (const { next, now, witness } of live(config, life, phase)) {
        for (const request of requests(now)) {
          const { decision } = decide(next.view, request, now);
          if (decision.kind === "refuse") continue;
          if (request.kind === "write") expect(decision.node).toBe("primary");
          if (decision.role === "primary") {
            expect(next.view.primary.standing.kind).not.toBe("down");
            continue;
          }
          expect({ ...decision, objection: witness.objection(decision.node, next.view, now) }).toEqual({
            ...decision,
            objection: undefined,
          });
          expect(request.avoid?.has(decision.node) ?? false).toBe(false);
          const others = next.view.selection.candidates.filter(({ name }) => !witness.suspects.has(name));
          if (witness.suspects.has(decision.node)) expect(others).toEqual([]);
        }
      }
    },
  );

  property.prop([options, steps, fc.nat(0xffff_ffff)], { numRuns: 300 })(
    "a cluster that is well from then on is served from by everybody again",
    (config, life, phase) => {
      let last: { readonly view: ClusterView; readonly now: number } | undefined;
      for (const { next, now } of live(config, life, phase)) last = { view: next.view, now };
      if (last === undefined) return;
      let { view, now } = last;
      const insert = 10_000_000;
      // The longest back-off is 60 intervals, then rise passes and the slow start.
      for (let i = 0; i < 100; i++) {
        now += 500;
        for (const node of ["primary", ...view.config.replicas.map(({ name }) => name)]) {
          view = observe(view, { kind: "undrained", node, at: now }).view;
          const sample =
            node === "primary"
              ? primarySample(insert + i, { timeline: 9 })
              : replicaSample(insert + i, { timeline: 9 });
          view = observe(view, { kind: "sampled", node, sentAt: now, at: now, sample }).view;
        }
      }
      const weighted = view.config.replicas.filter(({ weight }) => weight > 0);
      expect(view.selection.candidates).toEqual(
        weighted.map(({ name, weight }) => ({ name, weight: weight * 10 })),
      );
    },
  );
});

interface Moment {
  readonly view: ClusterView;
  readonly event: ViewEvent;
  readonly next: ReturnType<typeof observe>;
  readonly now: number;
  readonly witness: Witness;
}

/** Runs the steps, ticks included, on frozen views. */
function* live(
  config: Parameters<typeof makeConfig>[0],
  life: readonly Step[],
  phase: number,
): Generator<Moment> {
  const names = ["primary", ...Array.from({ length: REPLICAS }, (_, i) => `r${i + 1}`)];
  let weights: Record<string, number> = { r1: 1, r2: 2, r3: 3, r4: 0 };
  let view = deepFreeze(initialView(makeConfig({ ...config, replicas: weights }), 0, phase));
  const witness = new Witness();
  let now = 0;
  let insert = 1000;

  function* apply(event: ViewEvent): Generator<Moment> {
    const next = deepFreeze(observe(view, event));
    note(witness, event, next.changes);
    yield { view, event, next, now, witness };
    // A read or two in between, so that the order of the picks moves on.
    view = deepFreeze(decide(next.view, { kind: "read" }, now).view);
  }

  for (const step of life) {
    const sentAt = now + step.afterMs;
    for (let ticks = 0; view.nextChangeAt <= sentAt + step.tripMs; ticks++) {
      if (ticks > 200) throw new Error(`ticks do not end at ${now}`);
      now = Math.max(now, view.nextChangeAt);
      yield* apply({ kind: "tick", at: now });
    }
    now = sentAt + step.tripMs;
    const node = names[step.node] as string;
    insert += step.written;
    switch (step.kind) {
      case "answer":
        yield* apply({ kind: "sampled", node, sentAt, at: now, sample: sampleOf(step, node, insert) });
        break;
      case "fail":
        yield* apply({ kind: "probe-failed", node, at: now });
        break;
      case "suspect":
        yield* apply({ kind: "suspected", node, at: now });
        break;
      case "drain":
        yield* apply({ kind: "drained", node, at: now });
        break;
      case "undrain":
        yield* apply({ kind: "undrained", node, at: now });
        break;
      case "jump":
        yield* apply({ kind: "time-jumped", at: now });
        break;
      case "nudged":
        yield* apply({ kind: "nudged", at: now });
        break;
      case "reconfigure":
        weights = { ...weights, [node]: step.weight };
        delete weights["primary"];
        yield* apply({ kind: "reconfigured", config: makeConfig({ ...config, replicas: weights }), at: now });
        break;
      case "tick":
        yield* apply({ kind: "tick", at: now });
        break;
    }
  }
}

function sampleOf({ odd, behind }: Step, node: string, insert: number): NodeSample {
  const base = {
    timeline: odd === "timeline" ? 2 : 1,
    systemId: odd === "system" && node !== "primary" ? "other" : SYSTEM_ID,
  };
  if ((node === "primary") !== (odd === "role"))
    return primarySample(insert, { ...base, flush: insert - behind });
  return replicaSample(odd === "nowhere" ? undefined : insert - behind, {
    ...base,
    replayPaused: odd === "paused",
    walReceiver: odd === "hidden" ? "hidden" : "streaming",
  });
}

function note(witness: Witness, event: ViewEvent, changes: ReturnType<typeof observe>["changes"]): void {
  switch (event.kind) {
    case "sampled":
      if (event.node === "primary") {
        if (event.sample.role !== "primary") break;
        if (wasUnknown(witness, event.at, changes)) {
          witness.resumed = { at: event.sentAt, lastSeenAt: witness.primary?.sentAt ?? event.sentAt };
        }
        notePrimary(witness, event.sample, event.sentAt);
        break;
      }
      witness.failed.set(event.node, 0);
      witness.passes.set(event.node, (witness.passes.get(event.node) ?? 0) + 1);
      witness.last.set(event.node, event.sample);
      witness.suspects.delete(event.node);
      break;
    case "probe-failed":
      witness.failed.set(event.node, (witness.failed.get(event.node) ?? 0) + 1);
      witness.passes.set(event.node, 0);
      break;
    case "suspected":
      witness.suspects.add(event.node);
      break;
    case "drained":
      witness.out.add(event.node);
      break;
    case "undrained":
      witness.out.delete(event.node);
      break;
    case "time-jumped":
      witness.last.clear();
      witness.positions = [];
      witness.failed.clear();
      break;
    case "reconfigured":
    case "nudged":
    case "tick":
      break;
  }
  for (const change of changes) {
    if (change.kind === "evicted") {
      witness.evicted.add(change.node);
      witness.passes.set(change.node, 0);
    }
    if (change.kind === "readmitted" || change.kind === "draining") witness.evicted.delete(change.node);
    if (change.kind === "readmitted") expect(witness.passes.get(change.node)).toBeGreaterThanOrEqual(1);
  }
}

/** Down, or silent for longer than an interval and a timeout (500 ms each). */
function wasUnknown(
  { primary }: Witness,
  at: number,
  changes: ReturnType<typeof observe>["changes"],
): boolean {
  if (primary === undefined) return false;
  return changes.some(({ kind }) => kind === "primary-up") || at > primary.sentAt + 1000;
}

function notePrimary(
  witness: Witness,
  sample: Extract<NodeSample, { role: "primary" }>,
  sentAt: number,
): void {
  const key = `${sample.systemId}/${sample.timeline}`;
  if (witness.positions.at(-1)?.key !== key) witness.positions = [];
  // Flush positions of an earlier time could prove more: then the witness does not speak.
  if (sample.flush < sample.insert) witness.positions = [];
  witness.primary = { sample, sentAt };
  witness.positions.push({ sentAt, insert: sample.insert, key });
}

function requests(now: number): Request[] {
  return [
    { kind: "write" },
    { kind: "read" },
    { kind: "read", avoid: new Set(["r1", "r3"]) },
    { kind: "read", after: now - 300 },
    { kind: "read", after: now, avoid: new Set(["r2"]) },
  ];
}
