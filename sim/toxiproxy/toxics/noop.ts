/** noop: passes everything on. Also what a toxic does on a connection that its toxicity spared. */
import { receive, send } from "./pipe.ts";
import type { Pipe, ToxicType } from "./pipe.ts";

export const noop: ToxicType = {
  type: "noop",
  goName: "NoopToxic",
  attributes: [],
  refuse: () => undefined,
  pipe: passOn,
};

export function* passOn(): Pipe {
  for (;;) {
    const received = yield* receive();
    if (received.kind !== "chunk") return received.kind;
    yield* send(received);
  }
}
