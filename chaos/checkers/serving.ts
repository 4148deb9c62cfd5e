/** Whom the truth lets a router choose among, at any time: for the checkers that judge shares. Pure. */
import { covering, touches, union } from "../history/intervals.ts";
import type { IntervalSet } from "../history/intervals.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput } from "./checker.ts";

export interface ServingNode {
  readonly name: string;
  readonly weight: number;
}

export type Standing = "able" | "out" | "uncertain";

export class Serving {
  /** The replicas with a share, in the policy's order. */
  readonly nodes: readonly ServingNode[];
  readonly #truth: Truth;
  readonly #never: IntervalSet;

  constructor({ policy }: CheckInput, truth: Truth) {
    this.nodes = policy.replicas
      .filter(({ weight }) => weight > 0)
      .map(({ name, weight }) => ({ name, weight }));
    this.#truth = truth;
    // One replica may then be behind the others, or none may be allowed to serve.
    const unknown = policy.whenPrimaryUnknown === "reject" ? truth.primaryUnknown : [];
    this.#never = union([...truth.primaryKilled, ...unknown]);
  }

  standingOf(name: string, from: number, to: number): Standing {
    const replica = this.#truth.replicas.get(name);
    if (replica === undefined || touches(this.#never, from, to)) return "uncertain";
    if (!touches(replica.unsettled, from, to)) return "able";
    return covering(replica.certainlyOut, from, to) === undefined ? "uncertain" : "out";
  }

  /** May a read in [from, to] have been lost on a replica, and have been tried again elsewhere? */
  mayBeRetried(from: number, to: number): boolean {
    for (const { undetected } of this.#truth.replicas.values()) {
      if (touches(undetected, from, to)) return true;
    }
    return false;
  }
}
