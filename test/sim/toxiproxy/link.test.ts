import type { Socket } from "node:net";
import { Readable, Writable } from "node:stream";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPrng } from "../../../src/runtime/prng.ts";
import type { ActiveToxic } from "../../../sim/toxiproxy/active-toxic.ts";
import { Link } from "../../../sim/toxiproxy/link.ts";
import { toxicTypes } from "../../../sim/toxiproxy/toxics/registry.ts";
import { patternBytes } from "./sockets.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

/** A destination that takes bytes only while it is open, as a peer that reads or does not. */
class Gate extends Writable {
  readonly chunks: Buffer[] = [];
  #isOpen = true;
  #waiting: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 * 1024 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk);
    if (this.#isOpen) done();
    else this.#waiting = done;
  }

  setOpen(isOpen: boolean): void {
    this.#isOpen = isOpen;
    if (!isOpen) return;
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

const DAY_MS = 24 * 60 * 60 * 1000;
const PATTERN = patternBytes(8 * 1024 * 1024);

/** A link between a source one pushes into and a gate, in virtual time. */
class Bench {
  readonly clock = new VirtualClock();
  readonly source = new Readable({ read: () => {} });
  readonly gate = new Gate();
  readonly toxics: ActiveToxic[] = [];
  isFinished = false;
  crashed: unknown;
  readonly link: Link;
  #sentBytes = 0;

  constructor(strict: boolean, seed: number = 1) {
    this.link = new Link({
      clock: this.clock,
      source: this.source as unknown as Socket,
      destination: this.gate as unknown as Socket,
      random: createPrng(seed),
      strict,
      toxics: [],
      onFinished: () => {
        this.isFinished = true;
      },
      onReset: () => {},
      onCrash: (error) => {
        this.crashed = error;
      },
    });
    this.link.start();
  }

  push(bytes: number): void {
    this.source.push(PATTERN.subarray(this.#sentBytes, this.#sentBytes + bytes));
    this.#sentBytes += bytes;
  }

  get sent(): Buffer {
    return PATTERN.subarray(0, this.#sentBytes);
  }

  add(type: string, attributes: Record<string, number> = {}, toxicity: number = 1): ActiveToxic {
    const found = toxicTypes.get(type);
    if (found === undefined) throw new Error(type);
    const toxic: ActiveToxic = {
      name: `${type}-${this.toxics.length}`,
      type: found,
      stream: "upstream",
      direction: "upstream",
      attributes: toBigInts(attributes),
      toxicity,
    };
    this.toxics.push(toxic);
    void this.link.add(toxic);
    return toxic;
  }

  update(toxic: ActiveToxic, attributes: Record<string, number>): void {
    toxic.attributes = toBigInts(attributes);
    void this.link.update(toxic);
  }

  remove(toxic: ActiveToxic): void {
    const index = this.toxics.indexOf(toxic);
    if (index >= 0) this.toxics.splice(index, 1);
    void this.link.remove(toxic);
  }
}

function toBigInts(values: Record<string, number>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, BigInt(value)]));
}

function holdsBack(toxic: ActiveToxic): boolean {
  return toxic.attributes["rate"] === 0n;
}

const losslessToxic = fc.oneof(
  fc.record({ type: fc.constant("noop"), attributes: fc.constant({}) }),
  fc.record({
    type: fc.constant("latency"),
    attributes: fc.record({
      latency: fc.integer({ min: 0, max: 300 }),
      jitter: fc.integer({ min: 0, max: 200 }),
    }),
  }),
  fc.record({
    type: fc.constant("bandwidth"),
    attributes: fc.record({ rate: fc.constantFrom(0, 1, 7, 100, 10_000) }),
  }),
  fc.record({
    type: fc.constant("slow_close"),
    attributes: fc.record({ delay: fc.integer({ min: 0, max: 300 }) }),
  }),
  fc.record({
    type: fc.constant("slicer"),
    attributes: fc.record({
      average_size: fc.integer({ min: 50, max: 4000 }),
      size_variation: fc.integer({ min: 0, max: 49 }),
      delay: fc.integer({ min: 0, max: 3000 }),
    }),
  }),
);

const change = fc.oneof(
  fc.record({ kind: fc.constant("push" as const), bytes: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({
    kind: fc.constant("add" as const),
    toxic: losslessToxic,
    toxicity: fc.constantFrom(0, 0.5, 1),
  }),
  fc.record({ kind: fc.constant("update" as const), index: fc.nat(), toxic: losslessToxic }),
  fc.record({ kind: fc.constant("remove" as const), index: fc.nat() }),
  fc.record({ kind: fc.constant("gate" as const), isOpen: fc.boolean() }),
  fc.record({ kind: fc.constant("time" as const), byMs: fc.integer({ min: 0, max: 500 }) }),
);

describe("a link", () => {
  test("delivers the same bytes in the same order, whatever lossless toxics come, change and go", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 25 }),
        fc.boolean(),
        fc.nat(),
        fc.boolean(),
        async (changes, strict, seed, removesAll) => {
          const bench = new Bench(strict, seed);
          for (const one of changes) {
            const toxic =
              "index" in one ? bench.toxics[one.index % Math.max(1, bench.toxics.length)] : undefined;
            if (one.kind === "push") bench.push(one.bytes);
            else if (one.kind === "add") bench.add(one.toxic.type, one.toxic.attributes, one.toxicity);
            else if (one.kind === "gate") bench.gate.setOpen(one.isOpen);
            else if (one.kind === "time") await bench.clock.advance(one.byMs);
            else if (one.kind === "remove" && toxic !== undefined) bench.remove(toxic);
            else if (one.kind === "update" && toxic?.type.type === one.toxic.type) {
              bench.update(toxic, one.toxic.attributes);
            }
            // What has come out so far is a beginning of what went in.
            const { received } = bench.gate;
            expect(received.equals(bench.sent.subarray(0, received.length))).toBe(true);
          }
          bench.gate.setOpen(true);
          await bench.clock.advance(10);
          // Either way everything arrives: when the toxics go, and in their own time when they stay, except
          // for a bandwidth of 0, which lets nothing through as long as it is there.
          for (const toxic of bench.toxics.filter((toxic) => removesAll || holdsBack(toxic)))
            bench.remove(toxic);
          bench.push(1);
          bench.source.push(null);
          await bench.clock.advance(removesAll ? 10 : DAY_MS);
          expect(bench.crashed).toBeUndefined();
          expect(bench.gate.received.equals(bench.sent)).toBe(true);
          expect(bench.isFinished).toBe(true);
          expect(bench.clock.pending).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);

  test("delivers everything in time with its toxics left in place", async () => {
    const bench = new Bench(false);
    bench.add("latency", { latency: 200, jitter: 50 });
    bench.add("slicer", { average_size: 100, size_variation: 10, delay: 500 });
    bench.add("bandwidth", { rate: 50 });
    bench.push(20_000);
    bench.source.push(null);
    await bench.clock.advance(1);
    expect(bench.gate.received).toHaveLength(0);
    await bench.clock.advance(60_000);
    expect(bench.gate.received.equals(bench.sent)).toBe(true);
    expect(bench.isFinished).toBe(true);
  });

  test("loses bytes under a lossy toxic: the property above would see it", async () => {
    const bench = new Bench(false);
    bench.push(10);
    await settle();
    const toxic = bench.add("timeout", { timeout: 0 });
    bench.push(10);
    await settle();
    expect(bench.gate.received).toHaveLength(10);
    bench.remove(toxic);
    expect(bench.isFinished).toBe(true);
  });

  test.each([[[]], [["noop"]], [["bandwidth"]], [["slow_close", "slicer"]]])(
    "stops reading while the destination does not take more, with toxics %j",
    async (types) => {
      const bench = new Bench(false);
      for (const type of types)
        bench.add(type, type === "slicer" ? { average_size: 1000 } : { rate: 1_000_000 });
      bench.gate.setOpen(false);
      const chunks = 200;
      for (let index = 0; index < chunks; index++) {
        bench.push(32 * 1024);
        await bench.clock.advance(5);
      }
      expect(bench.link.receivedBytes).toBeLessThan(1024 * 1024);
      expect(bench.source.isPaused()).toBe(true);
      bench.gate.setOpen(true);
      await bench.clock.advance(10_000);
      expect(bench.gate.received.length).toBe(chunks * 32 * 1024);
      expect(bench.gate.received.equals(bench.sent)).toBe(true);
    },
  );

  test("draws jitter as whole milliseconds within its bounds", async () => {
    const bench = new Bench(false, 7);
    bench.add("latency", { latency: 100, jitter: 20 });
    const delaysMs: number[] = [];
    for (let round = 0; round < 200; round++) {
      const startMs = bench.clock.now();
      const before = bench.gate.received.length;
      bench.push(1);
      await settle();
      while (bench.gate.received.length === before) await bench.clock.advance(1);
      delaysMs.push(bench.clock.now() - startMs);
    }
    expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(80);
    expect(Math.max(...delaysMs)).toBeLessThanOrEqual(120);
    expect(new Set(delaysMs).size).toBeGreaterThan(30);
  });

  test("an unrelated toxic restarts its neighbour only in strict mode", async () => {
    const flushed: Record<string, number> = {};
    for (const strict of [true, false]) {
      const bench = new Bench(strict);
      bench.add("latency", { latency: 1000 });
      bench.push(5);
      await bench.clock.advance(10);
      bench.add("noop");
      await bench.clock.advance(10);
      flushed[strict ? "strict" : "seeded"] = bench.gate.received.length;
    }
    expect(flushed).toEqual({ strict: 5, seeded: 0 });
  });

  test("taking slow_close out lets an end that it holds through at once", async () => {
    const bench = new Bench(false);
    const toxic = bench.add("slow_close", { delay: 60_000 });
    bench.push(5);
    bench.source.push(null);
    await bench.clock.advance(10);
    expect([bench.gate.received.length, bench.isFinished]).toEqual([5, false]);
    bench.remove(toxic);
    expect(bench.isFinished).toBe(true);
    expect(bench.clock.pending).toBe(0);
  });

  test("a toxic added behind one that waits for room does not leave it waiting", async () => {
    const bench = new Bench(false);
    bench.add("noop");
    bench.gate.setOpen(false);
    bench.push(200_000);
    await settle();
    bench.add("noop");
    bench.gate.setOpen(true);
    await bench.clock.advance(1);
    expect(bench.gate.received.equals(bench.sent)).toBe(true);
  });

  test("a rest longer than a timer can be does not end at once", async () => {
    const bench = new Bench(false);
    bench.add("latency", { latency: 2 ** 40 });
    bench.push(1);
    await bench.clock.advance(2 ** 33);
    expect(bench.gate.received).toHaveLength(0);
  });
});
