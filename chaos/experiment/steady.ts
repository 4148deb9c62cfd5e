/** When the run may be measured: every replica that has a share has answered, and reads see heartbeats. Pure. */
import type { RouterConfig } from "../../src/config/config.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { HistoryDraft } from "../history/recorder.ts";

/** Looks at what the workload records, once at each entry. */
export class SteadyWatch {
  readonly #missing: Set<string>;
  #seesHeartbeats = false;

  constructor(policy: RouterConfig) {
    this.#missing = new Set(policy.replicas.filter(({ weight }) => weight > 0).map(({ name }) => name));
  }

  note(draft: HistoryDraft): void {
    if (draft.type !== "ok") return;
    for (const { node, heartbeat } of draft.evidence ?? []) {
      this.#missing.delete(node);
      if (heartbeat > 0) this.#seesHeartbeats = true;
    }
  }

  get isSteady(): boolean {
    return this.#missing.size === 0 && this.#seesHeartbeats;
  }

  /** Replicas that have answered nothing yet. */
  get missing(): readonly string[] {
    return [...this.#missing];
  }
}

/** After this the run is measured anyway: a router that leaves a replica out is to be judged, not waited for. */
export function steadyTimeoutMs(policy: RouterConfig): number {
  const { downMs, returnMs } = budgets(policy);
  return downMs + returnMs + 1_000;
}
