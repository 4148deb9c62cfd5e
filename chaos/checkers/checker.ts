/**
 * What a checker is: a pure function from a history to a verdict. A crashed checker is `unknown`, never `pass`; every
 * verdict carries the count of its evidence and is `unknown` at zero.
 */
import type { RouterConfig } from "../../src/config/config.ts";
import type { Claim } from "../subject.ts";
import type { History } from "../history/operation.ts";

export type VerdictStatus = "pass" | "fail" | "unknown" | "not-claimed";

export interface Verdict {
  readonly checker: string;
  readonly status: VerdictStatus;
  /** One sentence with the figures: what held, or what fell. */
  readonly summary: string;
  /** How many operations (or windows, or transitions) were judged. */
  readonly evidence: number;
  /** Named figures for the report, unit last in the name (`longestStallMs`). */
  readonly figures: Readonly<Record<string, number>>;
  /** Indexes into the history of the operations that prove a failure, at most {@link MAX_PROOF}. */
  readonly proof: readonly number[];
  /** Only tells: nobody promises it, and it counts neither for nor against a scenario. */
  readonly informational?: true;
}

export const MAX_PROOF = 10;

export interface CheckInput {
  readonly history: History;
  /** The policy the subject ran under: thresholds, weights, intervals. Budgets are derived from it. */
  readonly policy: RouterConfig;
  /** Which of the cluster's nodes is which. */
  readonly primary: string;
  readonly replicas: readonly string[];
  /** When the measured part began and ended: warm-up and tear-down lie outside. */
  readonly from: number;
  readonly until: number;
  /** What the subject claims, for checkers whose demands follow from another claim; absent = everything. */
  readonly claims?: readonly Claim[] | undefined;
}

export interface Checker {
  readonly name: string;
  /** The guarantee in one sentence, for the table in the docs. */
  readonly guarantee: string;
  /** What a subject must claim for this to be held against it; absent = every subject is judged. */
  readonly claim?: Claim;
  check(input: CheckInput): Verdict;
}
