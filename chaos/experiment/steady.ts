/** When the run may be measured: every replica that has a share has answered, reads see heartbeats, and writes work. Pure. */
import type { RouterConfig } from "../../src/config/config.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { HistoryDraft } from "../history/recorder.ts";
import type { WorkloadSpec } from "../workload/spec.ts";

/** Looks at what the workload records, once at each entry. */
export class SteadyWatch {
  readonly #missing: Set<string>;
  #seesHeartbeats = false;
  #writes: boolean;

  /** `absent` cannot answer yet: nobody waits for them. */
  constructor(
    policy: RouterConfig,
    spec: Pick<WorkloadSpec, "mix">,
    absent: ReadonlySet<string> = new Set(),
  ) {
    this.#writes = spec.mix.write === 0;
    const expected = policy.replicas.filter(({ name, weight }) => weight > 0 && !absent.has(name));
    this.#missing = new Set(expected.map(({ name }) => name));
  }

  note(draft: HistoryDraft): void {
    if (draft.type !== "ok") return;
    if (draft.f === "write") this.#writes = true;
    for (const { node, heartbeat } of draft.evidence ?? []) {
      this.#missing.delete(node);
      if (heartbeat > 0) this.#seesHeartbeats = true;
    }
  }

  get isSteady(): boolean {
    return this.#missing.size === 0 && this.#seesHeartbeats && this.#writes;
  }

  /** What there was no sign of yet, in words. */
  get missing(): string {
    return [
      ...[...this.#missing].map((name) => `an answer from ${name}`),
      ...(this.#seesHeartbeats ? [] : ["a heartbeat"]),
      ...(this.#writes ? [] : ["a write that succeeded"]),
    ].join(", ");
  }
}

/** After this the run is measured anyway: a router that leaves a replica out is to be judged, not waited for. */
export function steadyTimeoutMs(policy: RouterConfig): number {
  const { downMs, returnMs } = budgets(policy);
  return downMs + returnMs + 1_000;
}
