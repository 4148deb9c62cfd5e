/** One line an event that matters: what a CI log is read for. */
import type { Progress } from "../runner.ts";
import { STATUS_WORD, duration } from "./figures-in-words.ts";
import { printable } from "./printable.ts";
import type { ProgressView } from "./progress.ts";
import type { ScenarioResult } from "./report.ts";

export class PlainLines implements ProgressView {
  readonly #line: (text: string) => void;
  #done = 0;
  #total = 0;

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  begin({ scenarios }: { readonly scenarios: readonly string[] }): void {
    this.#total = scenarios.length;
  }

  world(step: string): void {
    this.#line(step);
  }

  update({ scenario, phase, detail, result }: Progress): void {
    if (result !== undefined) {
      this.#done += 1;
      this.#line(`[${this.#done}/${this.#total}] ${resultLine(result)}`);
    } else if (detail !== undefined)
      this.#line(`  ${scenario}: ${phase === "faults" ? "" : `${phase}: `}${printable(detail)}`);
  }

  note(line: string): void {
    this.#line(printable(line));
  }

  end(): void {}
}

/** `replica-killed held (6 of 6 checks, 6.20 s)`; what is not claimed, or for information only, is no check. */
export function resultLine(result: ScenarioResult): string {
  const { scenario, status, verdicts, reason, tookMs } = result;
  const judged = verdicts.filter(
    (verdict) => verdict.status !== "not-claimed" && verdict.informational !== true,
  );
  const held = judged.filter((verdict) => verdict.status === "pass").length;
  const checks = judged.length === 0 ? [] : [`${held} of ${judged.length} checks`];
  const fallen = judged.filter((verdict) => verdict.status === "fail").map(({ checker }) => checker);
  const said =
    fallen.length > 0 ? `: ${fallen.join(", ")}` : reason === undefined ? "" : `: ${printable(reason)}`;
  return `${scenario} ${STATUS_WORD[status]} (${[...checks, duration(tookMs)].join(", ")})${said}`;
}
