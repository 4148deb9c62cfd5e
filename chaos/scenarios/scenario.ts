/** What a scenario is: a workload, a schedule of faults as plain data, and the checkers that judge it. */
import type { RouterConfig } from "../../src/config/config.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { Checker } from "../checkers/checker.ts";
import type { Fault } from "../faults/fault.ts";
import type { Capability } from "../world.ts";
import type { WorkloadSpec } from "../workload/spec.ts";

export interface ScheduleInput {
  readonly policy: RouterConfig;
  readonly primary: string;
  readonly replicas: readonly string[];
  readonly prng: Prng;
}

/**
 * One step of a schedule. Steps start at `atMs` after the steady state was reached; a fault is healed `forMs` after
 * it was observed. Steps may overlap.
 */
export type Step =
  | {
      readonly kind: "fault";
      readonly atMs: number;
      readonly forMs: number;
      readonly fault: Fault;
      /** On before the subject starts; its `atMs` is 0. Default false. */
      readonly beforeStart?: boolean;
      /** Waits for the step before it in the same lane to be over, however long its heal took. Default: waits for nobody. */
      readonly lane?: string;
      /** Not healed while the run is measured: `forMs` counts for nothing. Default false. */
      readonly staysOn?: boolean;
    }
  /** Writers and heartbeat pause: nothing is written but what faults write. */
  | { readonly kind: "quiet"; readonly atMs: number; readonly forMs: number };

export interface Schedule {
  readonly steps: readonly Step[];
  /** How long to watch after the last heal, for what must come back. */
  readonly watchMs: number;
}

export interface Scenario {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly title: string;
  /** What a world must be able to do; where it cannot, the scenario is skipped by name. */
  readonly needs: readonly Capability[];
  /** Differs from the suite's workload only where the scenario needs it. */
  readonly workload?: Partial<WorkloadSpec>;
  /** Durations are multiples of the policy's own values. */
  schedule(input: ScheduleInput): Schedule;
  readonly checkers: readonly Checker[];
  /** Beyond the quick suite: run by its name or with `--all`, not by default. Default false. */
  readonly extended?: boolean;
}
