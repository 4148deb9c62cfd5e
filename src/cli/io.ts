/** What a command has of the outside: where it prints, and when it must stop. */

export interface Io {
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Aborts on Ctrl-C or SIGTERM: clean up and return {@link EXIT.interrupted}. */
  readonly signal: AbortSignal;
  /** A person is watching: progress may be redrawn. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
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
