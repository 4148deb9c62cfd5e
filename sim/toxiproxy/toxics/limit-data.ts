/** limit_data: lets `bytes` through on each connection, then closes it. The count outlives an update. */
import { receive, refuseNegative, send } from "./pipe.ts";
import type { Pipe, PipeContext, ToxicType, ToxicValues } from "./pipe.ts";

export const limitData: ToxicType = {
  type: "limit_data",
  goName: "LimitDataToxic",
  attributes: [{ name: "bytes", goType: "int64" }],
  refuse: (values) => refuseNegative(values, "bytes"),
  pipe: letThrough,
};

function* letThrough(values: ToxicValues, context: PipeContext): Pipe {
  const limitBytes = values["bytes"] ?? 0;
  for (;;) {
    const received = yield* receive();
    if (received.kind !== "chunk") return received.kind;
    const leftBytes = Math.max(0, limitBytes - context.memory.bytesSent);
    const data = received.data.subarray(0, leftBytes);
    context.memory.bytesSent += data.length;
    if (data.length > 0) yield* send({ ...received, data });
    if (context.memory.bytesSent >= limitBytes) return "closed";
  }
}
