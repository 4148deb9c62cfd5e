/**
 * timeout: nothing gets through, and after `timeout` milliseconds of silence the connection is closed; with 0
 * it never is. Data that comes in is lost and starts the silence anew. Taking the toxic away closes the
 * connection too, because a stream with a hole in it must not go on.
 */
import { receive, receiveWithin, refuseNegative } from "./pipe.ts";
import type { Pipe, ToxicType, ToxicValues } from "./pipe.ts";

export const timeout: ToxicType = {
  type: "timeout",
  goName: "TimeoutToxic",
  attributes: [{ name: "timeout", goType: "int64" }],
  closesOnRemoval: true,
  refuse: (values) => refuseNegative(values, "timeout"),
  pipe: swallow,
};

function* swallow(values: ToxicValues): Pipe {
  const silenceMs = values["timeout"] ?? 0;
  for (;;) {
    const received = silenceMs > 0 ? yield* receiveWithin(silenceMs) : yield* receive();
    if (received.kind === "interrupted") return "interrupted";
    if (received.kind !== "chunk") return "closed";
  }
}
