/**
 * bandwidth: at most `rate` kilobytes a second (1 KB = 1,000 bytes). Large chunks leave in slices of 100 ms.
 * A rate of 0 holds everything back without losing it: it is delivered when the toxic goes.
 */
import { receive, refuseNegative, send, sleep, ToxicCrash } from "./pipe.ts";
import type { Pipe, PipeContext, ToxicType, ToxicValues } from "./pipe.ts";

export const bandwidth: ToxicType = {
  type: "bandwidth",
  goName: "BandwidthToxic",
  attributes: [{ name: "rate", goType: "int64" }],
  refuse: (values) => refuseNegative(values, "rate"),
  pipe: limitRate,
};

const SLICE_MS = 100;

function* limitRate(values: ToxicValues, context: PipeContext): Pipe {
  const bytesPerMs = values["rate"] ?? 0;
  // What is still to be slept for the bytes let through; below zero when a timer overslept.
  let owedMs = 0;
  for (;;) {
    const received = yield* receive();
    if (received.kind !== "chunk") return received.kind;
    if (bytesPerMs < 0) throw new ToxicCrash("bandwidth with a rate below zero");
    let rest = received;
    owedMs = bytesPerMs === 0 ? 0 : owedMs + rest.data.length / bytesPerMs;
    const sliceBytes = bytesPerMs * SLICE_MS;
    while (rest.data.length > sliceBytes) {
      if ((yield* sleep(SLICE_MS)) === "interrupted") {
        yield* send(rest);
        return "interrupted";
      }
      yield* send({ ...rest, data: rest.data.subarray(0, sliceBytes) });
      rest = { ...rest, data: rest.data.subarray(sliceBytes) };
      owedMs -= SLICE_MS;
    }
    const startMs = context.now();
    const outcome = yield* sleep(owedMs);
    owedMs -= context.now() - startMs;
    yield* send(rest);
    if (outcome === "interrupted") return "interrupted";
  }
}
