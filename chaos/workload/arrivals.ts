/**
 * When the open loop means to ask what: evenly paced with seeded jitter, whatever the answers take. An endless, pure
 * sequence: the same seed and spec give the same one.
 */
import type { Prng } from "../../src/runtime/prng.ts";
import type { WorkloadSpec } from "./spec.ts";

export interface Arrival {
  /** Milliseconds after the start of the workload. */
  readonly atMs: number;
  readonly f: "read" | "write" | "transaction";
}

/** An arrival moves by less than this share of the pace, so that their order stays. */
const JITTER = 0.5;

const UINT32 = 2 ** 32;

export function* arrivals(
  spec: Pick<WorkloadSpec, "ratePerSecond" | "mix">,
  prng: Prng,
): Generator<Arrival, never> {
  const paceMs = 1000 / spec.ratePerSecond;
  const { read, write, transaction } = spec.mix;
  const all = read + write + transaction;
  for (let n = 0; ; n++) {
    const atMs = (n + (prng.nextUint32() / UINT32) * JITTER) * paceMs;
    const draw = (prng.nextUint32() / UINT32) * all;
    yield { atMs, f: draw < read ? "read" : draw < read + write ? "write" : "transaction" };
  }
}
