/** The one structure that every output format is made of. Plain data, versioned. */
import type { Verdict } from "../checkers/checker.ts";

/** `skipped`: the world cannot do what the scenario needs; never counted as passed. */
export type ScenarioStatus = "pass" | "fail" | "unknown" | "skipped";

export interface FaultReport {
  /** The fault in words, as `describeFault` gives it. */
  readonly fault: string;
  /** Milliseconds from the start of the scenario's run; `null` = nobody saw it. */
  readonly injectBegunAtMs: number;
  readonly injectObservedAtMs: number | null;
  readonly healBegunAtMs: number | null;
  readonly healObservedAtMs: number | null;
}

/** Figures that the closing table shows; absent where the scenario does not measure them. */
export interface ScenarioFigures {
  readonly reads: number;
  readonly failedReads: number;
  /** Read-only transactions. One that was open on a node that is lost fails: what it had read cannot be read again for it. */
  readonly transactions: number;
  readonly failedTransactions: number;
  readonly writes: number;
  readonly failedWrites: number;
  readonly dropped: number;
  readonly longestStallMs: number;
  /** From the beginning of a fault's injection to the router's eviction of what it hit; the longest of several. */
  readonly detectionMs?: number;
  /** From a heal being observed to the full share; the longest of several. */
  readonly recoveryMs?: number;
  readonly worstStalenessMs: number;
  /** Reads answered by each node, as a share of all. */
  readonly shares: Readonly<Record<string, number>>;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  readonly status: ScenarioStatus;
  /** Why it was skipped or could not be judged. */
  readonly reason?: string;
  readonly seed: number;
  readonly tookMs: number;
  readonly verdicts: readonly Verdict[];
  readonly faults: readonly FaultReport[];
  readonly figures?: ScenarioFigures;
  /** For a failure: the operations that prove it, one line each. */
  readonly proof: readonly string[];
  /** The one command that runs it again. */
  readonly reproduce: string;
  /** Where its history and logs are, relative to the run directory. */
  readonly directory: string;
}

export interface RunReport {
  readonly schemaVersion: 1;
  readonly tool: { readonly name: "fairlead"; readonly version: string };
  readonly startedAt: string;
  readonly tookMs: number;
  readonly seed: number;
  readonly subject: string;
  readonly world: { readonly kind: string } & Readonly<Record<string, string | number>>;
  /** Thresholds and intervals it ran under, in milliseconds. */
  readonly policy: Readonly<Record<string, number | string>>;
  readonly scenarios: readonly ScenarioResult[];
  /** fail beats unknown beats pass; nothing judged is unknown. */
  readonly status: "pass" | "fail" | "unknown";
}
