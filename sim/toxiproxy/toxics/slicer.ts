/**
 * slicer: cuts chunks into pieces of about `average_size` ± `size_variation` bytes and rests `delay`
 * microseconds after each.
 */
import type { Prng } from "../../../src/runtime/prng.ts";
import { receive, refuseNegative, send, sleep, ToxicCrash } from "./pipe.ts";
import type { Pipe, PipeContext, ToxicType, ToxicValues } from "./pipe.ts";

export const slicer: ToxicType = {
  type: "slicer",
  goName: "SlicerToxic",
  attributes: [
    { name: "average_size", goType: "int" },
    { name: "size_variation", goType: "int" },
    { name: "delay", goType: "int" },
  ],
  refuse(values) {
    const averageSize = values["average_size"] ?? 0;
    if (averageSize < 1) return `average_size must be 1 or more, got ${averageSize}`;
    const variation = values["size_variation"] ?? 0;
    if (variation >= averageSize) {
      return `size_variation must be below average_size (${averageSize}), got ${variation}`;
    }
    return refuseNegative(values, "size_variation", "delay");
  },
  pipe: slice,
};

/** A timer's grain. Shorter rests are saved up until they fill one, so that the mean rate is right. */
const GRAIN_MS = 1;

function* slice(values: ToxicValues, context: PipeContext): Pipe {
  const restMs = (values["delay"] ?? 0) / 1000;
  let owedMs = 0;
  for (;;) {
    const received = yield* receive();
    if (received.kind !== "chunk") return received.kind;
    let start = 0;
    for (const end of cutPoints(received.data.length, values, context.random)) {
      yield* send({ ...received, data: received.data.subarray(start, end) });
      start = end;
      owedMs += restMs;
      const startMs = context.now();
      const isDue = owedMs >= GRAIN_MS;
      const outcome = yield* sleep(isDue ? owedMs : 0);
      if (isDue) owedMs -= context.now() - startMs;
      if (outcome === "interrupted") {
        yield* send({ ...received, data: received.data.subarray(start) });
        return "interrupted";
      }
    }
  }
}

/** More cuts than bytes means that halving makes no headway: there Toxiproxy would recurse until it dies. */
const FUTILE_CUTS = 100_000;

/**
 * Where the pieces end. A piece longer than average + variation is cut near its middle, and so on with the
 * halves, which gives even pieces without a short one at either end.
 */
export function cutPoints(lengthBytes: number, values: ToxicValues, random: Prng): number[] {
  const averageSize = values["average_size"] ?? 0;
  const variation = values["size_variation"] ?? 0;
  const ends: number[] = [];
  const pending: [number, number][] = [[0, lengthBytes]];
  for (let cuts = 0; ; cuts++) {
    const piece = pending.pop();
    if (piece === undefined) return ends;
    const [start, end] = piece;
    if (end - start - averageSize <= variation) {
      ends.push(end);
      continue;
    }
    const deviation = variation > 0 ? random.integer(Math.min(variation * 2, 2 ** 32)) - variation : 0;
    const middle = start + Math.floor((end - start) / 2) + deviation;
    if (middle < start || middle > end || cuts > FUTILE_CUTS) {
      throw new ToxicCrash("slicer with an average size of 0, or a variation above it");
    }
    pending.push([middle, end], [start, middle]);
  }
}
