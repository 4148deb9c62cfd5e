/** What a command has of the outside: where it prints, and when it must stop. */

export interface Io {
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Aborts on Ctrl-C or SIGTERM: clean up and return {@link EXIT.interrupted}. */
  readonly signal: AbortSignal;
  /** Whoever read stdout has gone: what is printed there is dropped. */
  readonly stdoutIsGone: () => boolean;
  /** Where a person watches what is going on; absent in CI, or when stderr leads elsewhere. */
  readonly screen?: Screen | undefined;
  /** stdout may be coloured. */
  readonly color: boolean;
  /** How wide stdout is, when it is a terminal. */
  readonly columns?: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A terminal whose last lines may be redrawn. */
export interface Screen {
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly color: boolean;
}

/** Every command's exit codes. 1 beats 3. */
export const EXIT = {
  held: 0,
  fell: 1,
  usage: 2,
  unknown: 3,
  interrupted: 130,
} as const;

/** Something the user can mend: told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
