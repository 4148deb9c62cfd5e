import { describe, expect, test } from "vitest";
import { openProgress } from "../../../chaos/report/progress.ts";
import type { ProgressView } from "../../../chaos/report/progress.ts";
import { fell, held, skipped, unjudged } from "./small-report.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";

const KILL = { what: "node-killed replica-1", on: true };

/** As much of a terminal as the live view needs: lines that break at the edge, going up, clearing what is below. */
class FakeTerminal {
  readonly color = false;
  width: number;
  #lines: string[] = [""];
  #column = 0;

  constructor(width: number) {
    this.width = width;
  }

  readonly columns = (): number => this.width;

  readonly write = (text: string): void => {
    // oxlint-disable-next-line no-control-regex -- escape sequences are what this reads
    for (const [token] of text.matchAll(/\u001B\[\d+[A-Z]|[\r\n]|[^\u001B\r\n]+/g)) {
      if (token === "\n") this.#newLine();
      else if (token === "\r") this.#column = 0;
      else if (token === "\u001B[0J") this.#setLast(this.#last.slice(0, this.#column));
      else if (token.startsWith("\u001B[")) {
        const up = Number.parseInt(token.slice(2), 10);
        if (!token.endsWith("A") || up >= this.#lines.length)
          throw new Error(`no terminal expects ${token.slice(1)}`);
        this.#lines.length -= up;
      } else this.#print(token);
    }
  };

  /** What somebody sees. */
  get shown(): string[] {
    return this.#lines.at(-1) === "" ? this.#lines.slice(0, -1) : [...this.#lines];
  }

  /** Breaks anew what stands there, as terminals do. */
  resize(width: number): void {
    this.width = width;
    const lines = this.#lines.slice(0, -1);
    this.#lines = [""];
    for (const line of lines) {
      this.#print(line);
      this.#newLine();
    }
  }

  get #last(): string {
    return this.#lines.at(-1) ?? "";
  }

  #setLast(text: string): void {
    this.#lines[this.#lines.length - 1] = text;
  }

  #newLine(): void {
    this.#lines.push("");
    this.#column = 0;
  }

  #print(text: string): void {
    for (const character of text) {
      if (this.#column === this.width) this.#newLine();
      const line = this.#last.padEnd(this.#column);
      this.#setLast(line.slice(0, this.#column) + character + line.slice(this.#column + 1));
      this.#column += 1;
    }
  }
}

function open(width: number): { terminal: FakeTerminal; clock: FakeClock; progress: ProgressView } {
  const terminal = new FakeTerminal(width);
  const clock = new FakeClock();
  const progress = openProgress({ clock, line: () => {}, screen: terminal });
  return { terminal, clock, progress };
}

describe("the live view", () => {
  test("shows what is going on, which faults are on, and what is to come, in one place", async () => {
    const { terminal, clock, progress } = open(80);
    progress.begin({ scenarios: ["baseline", "replica-killed", "replay-paused"] });
    progress.world("starting Toxiproxy and PostgreSQL");
    expect(terminal.shown).toEqual([
      "› starting Toxiproxy and PostgreSQL (0 s)",
      "  Ctrl-C stops and removes everything",
    ]);
    progress.note("seed 7");
    progress.update({ scenario: "baseline", phase: "set up" });
    progress.update({ scenario: "baseline", phase: "done", result: held });
    progress.update({ scenario: "replica-killed", phase: "faults" });
    progress.update({
      scenario: "replica-killed",
      phase: "faults",
      detail: "on: node-killed replica-1",
      fault: KILL,
    });
    await clock.advance(2_100);
    expect(terminal.shown).toEqual([
      "seed 7",
      "✓ baseline held (2 of 2 checks, 2.94 s)",
      "› replica-killed (2 of 3, 2 s) faults",
      "    node-killed replica-1, on for 2 s",
      "  then replay-paused",
      "  Ctrl-C stops and removes everything",
    ]);
    const healed = { ...KILL, on: false };
    progress.update({
      scenario: "replica-killed",
      phase: "faults",
      detail: "healed: node-killed replica-1",
      fault: healed,
    });
    expect(terminal.shown).toContain("› replica-killed (2 of 3, 2 s) faults: healed: node-killed replica-1");
    progress.update({ scenario: "replica-killed", phase: "done", result: fell });
    progress.update({ scenario: "replay-paused", phase: "done", result: unjudged });
    progress.end();
    progress.end();
    expect(terminal.shown).toEqual([
      "seed 7",
      "✓ baseline held (2 of 2 checks, 2.94 s)",
      "✗ replica-killed FELL (0 of 1 checks, 61 s): availability",
      "? replay-paused unknown (300 ms): the subject did not connect: no",
    ]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("keeps what somebody else prints, above itself and whole", () => {
    const { terminal, progress } = open(30);
    progress.begin({ scenarios: ["baseline"] });
    progress.update({ scenario: "baseline", phase: "steady" });
    progress.note(`subject: \u001B[2Jone two three four five six\nseven ${"x".repeat(50)}`);
    progress.update({ scenario: "baseline", phase: "faults" });
    progress.end();
    expect(terminal.shown.join("").replaceAll(/\s/g, "")).toBe(
      `subject:onetwothreefourfivesixseven${"x".repeat(50)}`,
    );
  });

  test("goes away whole when the terminal has written ^C below it", () => {
    const { terminal, progress } = open(60);
    progress.begin({ scenarios: ["baseline"] });
    progress.update({ scenario: "baseline", phase: "steady" });
    terminal.write("^C");
    progress.end();
    terminal.write("fairlead: interrupted\n");
    expect(terminal.shown).toEqual(["fairlead: interrupted"]);
  });

  test("never draws a line that would break, and finds its place again when the terminal became narrower", async () => {
    const { terminal, clock, progress } = open(60);
    const scenarios = [
      "replica-black-hole",
      "all-replicas-lost",
      "primary-lost",
      "idle-primary",
      "replay-paused",
    ];
    progress.begin({ scenarios });
    const detail = "no answer yet from replica-1, replica-2, replica-3 and nobody else either";
    progress.update({ scenario: "replica-black-hole", phase: "steady", detail });
    expect(Math.max(...terminal.shown.map((line) => line.length))).toBeLessThan(60);
    terminal.resize(25);
    expect(terminal.shown.length).toBeGreaterThan(3);
    await clock.advance(1_000);
    expect(terminal.shown).toHaveLength(3);
    expect(Math.max(...terminal.shown.map((line) => line.length))).toBeLessThan(25);
    terminal.resize(120);
    await clock.advance(1_000);
    expect(terminal.shown[0]).toBe(`› replica-black-hole (1 of 5, 2 s) steady: ${detail}`);
    progress.end();
    expect(terminal.shown).toEqual([]);
  });
});

describe("plain lines", () => {
  test("say once what happened, without an escape sequence", () => {
    const lines: string[] = [];
    const progress = openProgress({ clock: new FakeClock(), line: (text) => lines.push(text) });
    progress.begin({ scenarios: ["baseline", "replica-killed", "promotion"] });
    progress.world("ready");
    progress.note("subject: \u001B[31mred\u001B[0m");
    for (const phase of ["set up", "steady", "faults", "close", "settle"] as const)
      progress.update({ scenario: "baseline", phase });
    progress.update({ scenario: "baseline", phase: "done", result: held });
    progress.update({ scenario: "replica-killed", phase: "steady", detail: "no answer yet from replica-1" });
    progress.update({
      scenario: "replica-killed",
      phase: "faults",
      detail: "on: node-killed replica-1",
      fault: KILL,
    });
    progress.update({ scenario: "replica-killed", phase: "done", result: fell });
    progress.update({ scenario: "promotion", phase: "done", result: skipped });
    progress.end();
    expect(lines).toEqual([
      "ready",
      "subject: red",
      "[1/3] baseline held (2 of 2 checks, 2.94 s)",
      "  replica-killed: steady: no answer yet from replica-1",
      "  replica-killed: on: node-killed replica-1",
      "[2/3] replica-killed FELL (0 of 1 checks, 61 s): availability",
      "[3/3] promotion skipped (0 ms): this world (external) cannot do: promote",
    ]);
  });
});
