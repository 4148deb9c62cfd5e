/**
 * The run as a person watches it: what is done stays above, and below it a few lines are redrawn, with the scenario that
 * runs, the faults that are on, and what is still to come.
 */
import { styleText } from "node:util";
import type { Clock, Timer } from "../../src/runtime/clock.ts";
import type { Progress } from "../runner.ts";
import { duration } from "./figures-in-words.ts";
import { resultLine } from "./plain-lines.ts";
import { printable } from "./printable.ts";
import type { ProgressScreen, ProgressView } from "./progress.ts";
import type { ScenarioStatus } from "./report.ts";
import { wrapWords } from "./table.ts";
import { STATUS_COLOR } from "./terminal.ts";

const TICK_MS = 1_000;

type Style = Parameters<typeof styleText>[0];

interface Line {
  readonly text: string;
  readonly style?: Style;
}

interface Running {
  readonly scenario: string;
  readonly sinceMs: number;
  readonly phase: string;
  readonly detail?: string | undefined;
}

export class LiveView implements ProgressView {
  readonly #screen: ProgressScreen;
  readonly #clock: Clock;
  readonly #faults = new Map<string, number>();
  #waiting: readonly string[] = [];
  #total = 0;
  #done = 0;
  #world: { readonly step: string; readonly sinceMs: number } | undefined;
  #running: Running | undefined;
  /** Lengths of the lines that stand there now: a terminal that became narrower has broken them. */
  #drawn: readonly number[] = [];
  #timer: Timer | undefined;
  #ended = false;

  constructor(screen: ProgressScreen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
  }

  begin({ scenarios }: { readonly scenarios: readonly string[] }): void {
    this.#waiting = scenarios;
    this.#total = scenarios.length;
    this.#tick();
  }

  world(step: string): void {
    this.#running = undefined;
    this.#world = { step, sinceMs: this.#world?.sinceMs ?? this.#clock.now() };
    this.#draw();
  }

  update({ scenario, phase, detail, fault, result }: Progress): void {
    this.#world = undefined;
    this.#waiting = this.#waiting.filter((name) => name !== scenario);
    if (result !== undefined) {
      this.#done += 1;
      this.#running = undefined;
      this.#faults.clear();
      const { status } = result;
      this.#keep({ text: `${MARK[status]} ${resultLine(result)}`, style: STATUS_COLOR[status] });
      return;
    }
    const isSame = this.#running?.scenario === scenario;
    const sinceMs = isSame ? (this.#running as Running).sinceMs : this.#clock.now();
    this.#running = { scenario, sinceMs, phase, detail };
    if (fault?.on === true) this.#faults.set(fault.what, this.#clock.now());
    else if (fault !== undefined) this.#faults.delete(fault.what);
    this.#draw();
  }

  note(line: string): void {
    const words = printable(line).split(" ");
    for (const text of wrapWords(words, { width: this.#width(), indent: "  " })) this.#keep({ text });
  }

  end(): void {
    if (this.#ended) return;
    this.#screen.write(this.#erase());
    this.#drawn = [];
    this.#ended = true;
    this.#clock.cancel(this.#timer);
  }

  /** Times go on, so that it can be seen that something does. */
  #tick(): void {
    this.#draw();
    this.#timer = this.#clock.schedule(TICK_MS, () => this.#tick());
  }

  /** Prints a line above those that are redrawn; as long as it is, because it is never drawn again. */
  #keep(line: Line): void {
    if (this.#ended) this.#screen.write(`${this.#styled(line)}\n`);
    else this.#draw(`${this.#styled(line)}\n`);
  }

  #draw(above = ""): void {
    if (this.#ended) return;
    const width = this.#width();
    const lines = this.#lines().map((line) => ({ ...line, text: shortened(line.text, width) }));
    const below = lines.map((line) => `${this.#styled(line)}\n`).join("");
    this.#screen.write(this.#erase() + above + below);
    this.#drawn = lines.map(({ text }) => text.length);
  }

  #lines(): Line[] {
    const footer: Line[] =
      this.#waiting.length === 0 || this.#running === undefined
        ? []
        : [{ text: `  then ${this.#waiting.join(", ")}`, style: "dim" }];
    return [...this.#current(), ...footer, { text: "  Ctrl-C stops and removes everything", style: "dim" }];
  }

  #current(): Line[] {
    if (this.#running !== undefined) {
      const { scenario, sinceMs, phase, detail } = this.#running;
      const hasFaults = this.#faults.size > 0;
      const told = detail === undefined || hasFaults ? "" : `: ${printable(detail)}`;
      return [
        {
          text: `› ${scenario} (${this.#done + 1} of ${this.#total}, ${this.#since(sinceMs)}) ${phase}${told}`,
          style: "cyan",
        },
        ...[...this.#faults].map(([what, onSinceMs]): Line => ({
          text: `    ${what}, on for ${this.#since(onSinceMs)}`,
          style: "yellow",
        })),
      ];
    }
    const { step, sinceMs } = this.#world ?? {};
    return step === undefined ? [] : [{ text: `› ${step} (${this.#since(sinceMs ?? 0)})`, style: "cyan" }];
  }

  #since(startMs: number): string {
    return duration(Math.floor((this.#clock.now() - startMs) / TICK_MS) * TICK_MS).replace(/^0 ms$/, "0 s");
  }

  /** Goes up over what stands there, however it is broken now, and clears from there on. */
  #erase(): string {
    const columns = Math.max(1, this.#screen.columns());
    const height = this.#drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / columns)), 0);
    // To the left edge first: the terminal itself may have written `^C` here.
    return height === 0 ? "" : `\r\u{1b}[${height}A\u{1b}[0J`;
  }

  /** One short of the edge: a full last column makes some terminals break the line. */
  #width(): number {
    return Math.max(20, this.#screen.columns() - 1);
  }

  #styled({ text, style }: Line): string {
    return style === undefined || !this.#screen.color
      ? text
      : styleText(style, text, { validateStream: false });
  }
}

const MARK: Readonly<Record<ScenarioStatus, string>> = { pass: "✓", fail: "✗", unknown: "?", skipped: "–" };

function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
