/** The picks of each epoch in decision order, as testimony for the fairness check. Those outside the proof are counted apart. */
import type { Decision } from "../../src/routing/decide.ts";
import type { RouterEvent } from "../history/operation.ts";

export class PickLedger {
  readonly #tell: (event: RouterEvent) => void;
  #epoch = -1;
  #picks: string[] = [];
  #apart = 0;

  constructor(tell: (event: RouterEvent) => void) {
    this.#tell = tell;
  }

  note(decision: Decision): void {
    if (decision.kind !== "route" || decision.role !== "replica") return;
    if (decision.epoch !== this.#epoch) {
      this.flush();
      this.#epoch = decision.epoch;
    }
    if (decision.reason === "weighted") this.#picks.push(decision.node);
    else this.#apart += 1;
  }

  /** Tells what has been picked in the epoch so far, once: the epoch has ended. */
  flush(): void {
    if (this.#picks.length > 0 || this.#apart > 0) {
      this.#tell({ kind: "epoch-picks", epoch: this.#epoch, picks: this.#picks, apart: this.#apart });
    }
    this.#picks = [];
    this.#apart = 0;
  }
}
