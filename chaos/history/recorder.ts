/**
 * Takes down what happens, from several sources, and makes one history of it: in the order of time, numbered from 0.
 * A source in another thread keeps its own log and hands it over in batches of plain data.
 */
import type { History, HistoryEntry } from "./operation.ts";

type WithoutIndex<Entry> = Entry extends HistoryEntry ? Omit<Entry, "index"> : never;

/** An entry before it has its place. A completion's `invoke` is the number that its own source gave the invocation. */
export type HistoryDraft = WithoutIndex<HistoryEntry>;

/** Consecutive entries of one source, to be received in order. */
export interface HistoryBatch {
  /** The source's number of the first draft. */
  readonly first: number;
  readonly drafts: readonly HistoryDraft[];
}

/** The log of one source. */
export class HistorySource {
  #first = 0;
  #drafts: HistoryDraft[] = [];

  /** Takes it down and gives its number within this source. */
  append(draft: HistoryDraft): number {
    return this.#first + this.#drafts.push(draft) - 1;
  }

  /** What came since the last drain, to be sent to a {@link Recorder}. */
  drain(): HistoryBatch {
    const batch: HistoryBatch = { first: this.#first, drafts: this.#drafts };
    this.#first += this.#drafts.length;
    this.#drafts = [];
    return batch;
  }
}

export class Recorder {
  readonly #local: HistorySource[] = [];
  readonly #received = new Map<string, HistoryDraft[]>();

  /** A source of this thread; it need not be drained. */
  source(): HistorySource {
    const source = new HistorySource();
    this.#local.push(source);
    return source;
  }

  /**
   * Takes a batch of the source `name`, whose times are of this recorder's clock.
   * @throws Error when a batch of that source is missing before it.
   */
  receive(name: string, batch: HistoryBatch): void {
    const drafts = this.#received.get(name) ?? [];
    this.#received.set(name, drafts);
    if (batch.first !== drafts.length) {
      throw new Error(
        `source ${name} sent entries from ${batch.first} on, expected from ${drafts.length} on`,
      );
    }
    for (const draft of batch.drafts) drafts.push(draft);
  }

  /**
   * The history so far, merged by time; within a source the order is kept whatever the times say.
   * Called once, at the end of a run: it empties the local sources.
   * @throws Error when a completion answers what its source never invoked.
   */
  finish(): History {
    this.#local.forEach((source, i) => this.receive(`local ${i}`, source.drain()));
    return merge([...this.#received.values()].map((drafts) => ({ drafts, next: 0, places: [] })));
  }
}

interface Reading {
  readonly drafts: readonly HistoryDraft[];
  next: number;
  /** By number within the source: the index in the history. */
  readonly places: number[];
}

function merge(readings: readonly Reading[]): History {
  const history: HistoryEntry[] = [];
  for (;;) {
    const reading = earliest(readings);
    if (reading === undefined) return history;
    const draft = reading.drafts[reading.next] as HistoryDraft;
    reading.places.push(history.length);
    reading.next++;
    history.push(placed(draft, history.length, reading.places));
  }
}

/** The source whose next entry comes first; on a tie the one that was there first. There are only a few. */
function earliest(readings: readonly Reading[]): Reading | undefined {
  let best: Reading | undefined;
  let bestAt = Infinity;
  for (const reading of readings) {
    const draft = reading.drafts[reading.next];
    if (draft === undefined) continue;
    const at = timeOf(draft);
    if (best === undefined || at < bestAt) {
      best = reading;
      bestAt = at;
    }
  }
  return best;
}

/** What the nemesis did is known when it has been observed. */
function timeOf(draft: HistoryDraft): number {
  return draft.type === "nemesis" ? (draft.observedAt ?? draft.begunAt) : draft.at;
}

function placed(draft: HistoryDraft, index: number, places: readonly number[]): HistoryEntry {
  if (draft.type !== "ok" && draft.type !== "fail" && draft.type !== "info") return { ...draft, index };
  const invoke = places[draft.invoke];
  if (invoke === undefined || invoke === index) {
    throw new Error(
      `a completion of process ${draft.process} answers ${draft.invoke}, which came not before it`,
    );
  }
  return { ...draft, index, invoke };
}
