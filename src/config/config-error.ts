/** What is wrong with a configuration: every problem at once, each with its place. */
import { RouterError } from "../errors.ts";

export interface ConfigProblem {
  /** The file as it was named; undefined for a plain object. */
  readonly file: string | undefined;
  /** Counted from 1; undefined where there is no text to point at. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** As in `db.readReplicas[0].weight`; empty when it is about the file as a whole. */
  readonly path: string;
  /** What must hold, and what was found. Never a password. */
  readonly message: string;
}

/** Code `CONFIG_INVALID`; the message has one line for each problem, in the order of the file. */
export class ConfigError extends RouterError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options: { readonly cause?: unknown } = {}) {
    const ordered = [...problems].sort(byPlace);
    super("CONFIG_INVALID", ordered.map(formatProblem).join("\n"), options);
    this.problems = ordered;
  }
}

/** `file:line:col: path: message`, without what is not known. */
function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  return [place, problem.path, problem.message].filter((part) => part !== "").join(": ");
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
