/** What is going on, while it goes on: for a person who watches, lines that redraw themselves; in CI, plain ones. */
import type { Clock } from "../../src/runtime/clock.ts";
import type { Progress } from "../runner.ts";
import { LiveView } from "./live-view.ts";
import { PlainLines } from "./plain-lines.ts";

export interface ProgressView {
  begin(run: { readonly scenarios: readonly string[] }): void;
  /** What the world is doing while it comes up. */
  world(step: string): void;
  update(event: Progress): void;
  /** A line that stays: what the run runs under, or what somebody else has to say. */
  note(line: string): void;
  /** Stops redrawing. May be called again. */
  end(): void;
}

/** A terminal of which the last lines may be redrawn. */
export interface ProgressScreen {
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly color: boolean;
}

export interface ProgressOptions {
  readonly clock: Clock;
  /** Where lines go when nobody watches. */
  readonly line: (text: string) => void;
  readonly screen?: ProgressScreen | undefined;
}

export function openProgress({ clock, line, screen }: ProgressOptions): ProgressView {
  return screen === undefined ? new PlainLines(line) : new LiveView(screen, clock);
}
