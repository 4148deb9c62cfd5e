/**
 * latency: every chunk arrives `latency` ± `jitter` milliseconds after it was read, in order. Time that a chunk
 * has already spent waiting counts. Up to 1,024 chunks may be under way, so a delay costs no throughput.
 */
import type { Prng } from "../../../src/runtime/prng.ts";
import { receive, refuseNegative, send, sleep } from "./pipe.ts";
import type { Pipe, PipeContext, ToxicType, ToxicValues } from "./pipe.ts";

export const latency: ToxicType = {
  type: "latency",
  goName: "LatencyToxic",
  attributes: [
    { name: "latency", goType: "int64" },
    { name: "jitter", goType: "int64" },
  ],
  capacity: 1024,
  refuse: (values) => refuseNegative(values, "latency", "jitter"),
  pipe: delayEach,
};

function* delayEach(values: ToxicValues, context: PipeContext): Pipe {
  for (;;) {
    const received = yield* receive();
    if (received.kind !== "chunk") return received.kind;
    const delayMs = drawDelayMs(values, context.random) - (context.now() - received.atMs);
    if ((yield* sleep(delayMs)) === "interrupted") {
      yield* send(received);
      return "interrupted";
    }
    yield* send({ ...received, atMs: received.atMs + delayMs });
  }
}

/** A whole number in [latency − jitter, latency + jitter), each equally likely. */
function drawDelayMs(values: ToxicValues, random: Prng): number {
  const latencyMs = values["latency"] ?? 0;
  const jitterMs = values["jitter"] ?? 0;
  if (jitterMs <= 0) return latencyMs;
  return latencyMs - jitterMs + random.integer(Math.min(jitterMs * 2, 2 ** 32));
}
