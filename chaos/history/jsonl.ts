/** A history as a file: one JSON value a line, the first of which says what it is. Streams both ways. */
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { entrySchema, headerSchema } from "./entry-schema.ts";
import type { History, HistoryEntry } from "./operation.ts";

export const HISTORY_FORMAT = "fairlead-history";
export const HISTORY_VERSION = 1;

/** What stands in the first line beside the format: whatever names the run. Plain data, no secrets. */
export type About = Readonly<Record<string, unknown>>;

export interface StoredHistory {
  readonly about: About;
  readonly history: History;
}

/** Lines are gathered to about this much before they are written. */
const CHUNK_CHARACTERS = 1 << 16;

/** Writes `history` to `path`, over whatever is there. */
export async function writeHistory(path: string, { about, history }: StoredHistory): Promise<void> {
  const file = createWriteStream(path, { encoding: "utf8" });
  const done = finished(file);
  // Awaited below; until then a failed write must not count as unhandled.
  done.catch(() => {});
  let chunk = `${JSON.stringify({ format: HISTORY_FORMAT, version: HISTORY_VERSION, about })}\n`;
  for (const entry of history) {
    chunk += `${JSON.stringify(entry)}\n`;
    if (chunk.length < CHUNK_CHARACTERS) continue;
    if (!file.write(chunk)) await Promise.race([once(file, "drain"), done]);
    chunk = "";
  }
  file.end(chunk);
  await done;
}

/**
 * Reads what {@link writeHistory} wrote.
 * @throws HistoryFileError with `file:line: what is wrong`.
 */
export async function readHistory(path: string): Promise<StoredHistory> {
  const lines = createInterface({ input: createReadStream(path, { encoding: "utf8" }), crlfDelay: Infinity });
  const reader = new Reader(path);
  for await (const line of lines) reader.line(line);
  return reader.finish();
}

/** A file that is no history, or a damaged one. */
export class HistoryFileError extends Error {
  override readonly name = "HistoryFileError";
  readonly path: string;
  readonly line: number;

  constructor(path: string, line: number, what: string) {
    super(`${path}:${line}: ${what}`);
    this.path = path;
    this.line = line;
  }
}

class Reader {
  readonly #path: string;
  readonly #history: HistoryEntry[] = [];
  #line = 0;
  #about: About | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  line(text: string): void {
    this.#line++;
    const value = this.#parse(text);
    if (this.#about === undefined) this.#about = this.#header(value);
    else this.#history.push(this.#entry(value));
  }

  finish(): StoredHistory {
    if (this.#about === undefined) throw new HistoryFileError(this.#path, 1, "the file is empty");
    return { about: this.#about, history: this.#history };
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
      throw this.#error(`not a line of JSON (was the writing cut off?): ${shown}`);
    }
  }

  #header(value: unknown): About {
    const { data } = headerSchema.safeParse(value);
    if (data?.format !== HISTORY_FORMAT) {
      throw this.#error(`not a history: the first line must have "format": "${HISTORY_FORMAT}"`);
    }
    if (data.version !== HISTORY_VERSION) {
      throw this.#error(
        `version ${data.version} of the format is unknown; this program reads ${HISTORY_VERSION}`,
      );
    }
    return data.about;
  }

  #entry(value: unknown): HistoryEntry {
    const { data: entry, error } = entrySchema.safeParse(value);
    if (entry === undefined) {
      const [issue] = error?.issues ?? [];
      const where = issue === undefined || issue.path.length === 0 ? "entry" : issue.path.join(".");
      throw this.#error(`${where}: ${issue?.message ?? "invalid"}`);
    }
    const place = this.#history.length;
    if (entry.index !== place) throw this.#error(`index: expected ${place}, got ${entry.index}`);
    if (entry.type === "ok" || entry.type === "fail" || entry.type === "info") this.#checkAnswer(entry);
    return entry;
  }

  #checkAnswer(completion: Extract<HistoryEntry, { invoke: number }>): void {
    const invoke = this.#history[completion.invoke];
    if (invoke?.type !== "invoke" || invoke.process !== completion.process || invoke.f !== completion.f) {
      throw this.#error(
        `invoke: ${completion.invoke} is no earlier ${completion.f} of process ${completion.process}`,
      );
    }
  }

  #error(what: string): HistoryFileError {
    return new HistoryFileError(this.#path, this.#line, what);
  }
}
