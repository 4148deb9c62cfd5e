/**
 * reset_peer: `timeout` milliseconds after the first chunk or the end, the connection is cut by RST. The wait
 * cannot be cut short: whoever changes the chain meanwhile waits for it.
 */
import { receive, refuseNegative, sleepThrough } from "./pipe.ts";
import type { Pipe, ToxicType, ToxicValues } from "./pipe.ts";

export const resetPeer: ToxicType = {
  type: "reset_peer",
  goName: "ResetToxic",
  attributes: [{ name: "timeout", goType: "int64" }],
  resets: true,
  refuse: (values) => refuseNegative(values, "timeout"),
  pipe: cut,
};

function* cut(values: ToxicValues): Pipe {
  const received = yield* receive();
  if (received.kind === "interrupted") return "interrupted";
  yield* sleepThrough(values["timeout"] ?? 0);
  return "reset";
}
