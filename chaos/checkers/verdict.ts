/** How findings become a verdict: a proved violation beats every doubt, and nothing judged is never a pass. Pure. */
import { describeFault } from "../faults/fault.ts";
import type { Truth } from "../history/truth.ts";
import { MAX_PROOF } from "./checker.ts";
import type { Verdict } from "./checker.ts";

/** What fell: how often, what the first was, and the operations that prove it. */
export class Violations {
  #count = 0;
  #first: string | undefined;
  readonly #proof: number[] = [];

  /** `proof` are indexes into the history. `what` is put into words only for the first. */
  add(proof: readonly number[], what: () => string): void {
    this.#count++;
    this.#first ??= what();
    for (const index of proof) {
      if (this.#proof.length < MAX_PROOF && !this.#proof.includes(index)) this.#proof.push(index);
    }
  }

  get count(): number {
    return this.#count;
  }

  get first(): string {
    return this.#first ?? "";
  }

  get proof(): readonly number[] {
    return this.#proof;
  }
}

export interface Findings {
  readonly checker: string;
  readonly violations: Violations;
  readonly evidence: number;
  readonly figures: Readonly<Record<string, number>>;
  /** The summary of a pass, with its figures. */
  readonly held: string;
  /** What there would have to be in the history for a verdict. */
  readonly nothing: string;
  /** Why this could not be judged, although there is evidence. */
  readonly doubts?: readonly string[];
}

export function verdictOf(findings: Findings): Verdict {
  const { checker, violations, evidence, figures } = findings;
  const verdict = (status: Verdict["status"], summary: string, proof: readonly number[] = []): Verdict => ({
    checker,
    status,
    summary,
    evidence,
    figures,
    proof,
  });
  if (violations.count > 0) {
    const more = violations.count === 1 ? "" : ` (the first of ${violations.count})`;
    return verdict("fail", `${violations.first}${more}`, violations.proof);
  }
  if (evidence === 0) return verdict("unknown", findings.nothing);
  const [doubt] = findings.doubts ?? [];
  return doubt === undefined ? verdict("pass", findings.held) : verdict("unknown", doubt);
}

/** A fault that nobody saw might not have been there: what was asked of the router under it was not asked. */
export function doubtsOf(truth: Truth): readonly string[] {
  return truth.unobserved.map(({ fault }) => `${describeFault(fault)} was planned, but nobody observed it`);
}

/** `1234.5` → `1234.5 ms`, with one digit at most. */
export function ms(value: number): string {
  return `${Math.round(value * 10) / 10} ms`;
}
