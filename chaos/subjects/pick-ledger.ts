/** The picks of each epoch in decision order, as testimony for the fairness check. Those outside the proof are counted apart. */
import type { Decision } from "../../src/routing/decide.ts";
import type { RouterEvent } from "../history/operation.ts";

export class PickLedger {
  readonly #tell: (event: RouterEvent) => void;
  #epoch: number | undefined;
  #picks: string[] = [];
  #apart = 0;

  constructor(tell: (event: RouterEvent) => void) {
    this.#tell = tell;
  }

  /** From now on picks belong to this epoch; those of the one before are told, none included. */
  enter(epoch: number): void {
    if (epoch === this.#epoch) return;
    this.end();
    this.#epoch = epoch;
  }

  note(decision: Decision): void {
    if (decision.kind !== "route" || decision.role !== "replica") return;
    this.enter(decision.epoch);
    if (decision.reason === "weighted") this.#picks.push(decision.node);
    else this.#apart += 1;
  }

  end(): void {
    if (this.#epoch !== undefined) {
      this.#tell({ kind: "epoch-picks", epoch: this.#epoch, picks: this.#picks, apart: this.#apart });
    }
    this.#epoch = undefined;
    this.#picks = [];
    this.#apart = 0;
  }
}
