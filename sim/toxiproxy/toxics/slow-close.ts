/** slow_close: the end of the connection arrives `delay` milliseconds late; the data before it does not. */
import { receive, refuseNegative, send, sleep } from "./pipe.ts";
import type { Pipe, ToxicType, ToxicValues } from "./pipe.ts";

export const slowClose: ToxicType = {
  type: "slow_close",
  goName: "SlowCloseToxic",
  attributes: [{ name: "delay", goType: "int64" }],
  refuse: (values) => refuseNegative(values, "delay"),
  pipe: delayEnd,
};

function* delayEnd(values: ToxicValues): Pipe {
  for (;;) {
    const received = yield* receive();
    if (received.kind === "interrupted") return "interrupted";
    if (received.kind === "closed") {
      return (yield* sleep(values["delay"] ?? 0)) === "interrupted" ? "interrupted" : "closed";
    }
    yield* send(received);
  }
}
