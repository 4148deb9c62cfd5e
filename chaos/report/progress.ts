/**
 * What is going on, while it goes on: a few lines that redraw themselves for a person who watches, plain lines in CI.
 */
import { styleText } from "node:util";
import type { Progress } from "../runner.ts";
import { STATUS_WORD, duration } from "./figures-in-words.ts";
import type { ScenarioResult } from "./report.ts";

export interface ProgressOptions {
  readonly line: (text: string) => void;
  readonly isTerminal: boolean;
}

export interface ProgressView {
  begin(run: { readonly seed: number; readonly scenarios: readonly string[] }): void;
  /** What the world is doing while it comes up. */
  world(step: string): void;
  update(event: Progress): void;
  /** Stops redrawing. May be called twice. */
  end(): void;
}

export function openProgress(options: ProgressOptions): ProgressView {
  return options.isTerminal ? new LiveView(options.line) : new PlainLines(options.line);
}

/** One line an event that matters: what a CI log is read for. */
class PlainLines implements ProgressView {
  readonly #line: (text: string) => void;
  #done = 0;
  #total = 0;

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  begin({ seed, scenarios }: { readonly seed: number; readonly scenarios: readonly string[] }): void {
    this.#total = scenarios.length;
    this.#line(`seed ${seed}, ${scenarios.length} ${scenarios.length === 1 ? "scenario" : "scenarios"}`);
  }

  world(step: string): void {
    this.#line(step);
  }

  update({ scenario, phase, detail, result }: Progress): void {
    if (phase === "done" && result !== undefined) {
      this.#done += 1;
      this.#line(`[${this.#done}/${this.#total}] ${resultLine(result)}`);
    } else if (phase === "faults" && detail !== undefined) this.#line(`  ${scenario}: ${detail}`);
  }

  end(): void {}
}

function resultLine(result: ScenarioResult): string {
  const checks = result.verdicts.filter(({ status }) => status === "pass").length;
  const said = result.reason === undefined ? "" : `: ${result.reason}`;
  return `${result.scenario} ${STATUS_WORD[result.status]} (${checks} of ${result.verdicts.length} checks held, ${duration(result.tookMs)})${said}`;
}

type Row =
  | { readonly kind: "waiting" }
  | { readonly kind: "running"; readonly text: string }
  | { readonly kind: "done"; readonly result: ScenarioResult };

/** All scenarios as a list that is drawn over itself. */
class LiveView implements ProgressView {
  readonly #line: (text: string) => void;
  readonly #rows = new Map<string, Row>();
  #head = "";
  #drawn = 0;
  #ended = false;

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  begin({ seed, scenarios }: { readonly seed: number; readonly scenarios: readonly string[] }): void {
    this.#head = `seed ${seed}`;
    for (const name of scenarios) this.#rows.set(name, { kind: "waiting" });
    this.#draw();
  }

  world(step: string): void {
    this.#head = step;
    this.#draw();
  }

  update({ scenario, phase, detail, result }: Progress): void {
    if (result !== undefined) this.#rows.set(scenario, { kind: "done", result });
    else
      this.#rows.set(scenario, {
        kind: "running",
        text: detail === undefined ? phase : `${phase}: ${detail}`,
      });
    this.#draw();
  }

  end(): void {
    this.#ended = true;
  }

  #draw(): void {
    if (this.#ended) return;
    const lines = [styleText("dim", this.#head), ...[...this.#rows].map(([name, row]) => rowLine(name, row))];
    // Up over what was drawn last, each line cleared before it is written again.
    const up = this.#drawn === 0 ? "" : `\u{1b}[${this.#drawn}A`;
    this.#line(`${up}${lines.map((line) => `\u{1b}[2K${line}`).join("\n")}`);
    this.#drawn = lines.length;
  }
}

function rowLine(name: string, row: Row): string {
  const padded = name.padEnd(20);
  switch (row.kind) {
    case "waiting":
      return styleText("dim", `  ${padded}`);
    case "running":
      return `${styleText("cyan", "›")} ${padded} ${row.text.slice(0, 90)}`;
    case "done": {
      const color = { pass: "green", fail: "red", unknown: "yellow", skipped: "gray" } as const;
      const checks = row.result.verdicts
        .map(({ checker, status }) =>
          styleText(status === "pass" ? "green" : status === "fail" ? "red" : "yellow", checker),
        )
        .join(" ");
      return `${styleText(color[row.result.status], STATUS_WORD[row.result.status].padEnd(7))} ${padded} ${checks}`;
    }
  }
}
