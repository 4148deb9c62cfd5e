/** Every toxic there is, by its wire name. Adding one is a file and a line here. */
import { bandwidth } from "./bandwidth.ts";
import { latency } from "./latency.ts";
import { limitData } from "./limit-data.ts";
import { noop } from "./noop.ts";
import type { ToxicType } from "./pipe.ts";
import { resetPeer } from "./reset-peer.ts";
import { slicer } from "./slicer.ts";
import { slowClose } from "./slow-close.ts";
import { timeout } from "./timeout.ts";

export const toxicTypes: ReadonlyMap<string, ToxicType> = new Map(
  [bandwidth, latency, limitData, noop, resetPeer, slicer, slowClose, timeout].map((type) => [
    type.type,
    type,
  ]),
);
