/**
 * A bounded cache keyed by statement text. Two generations stand in for an exact LRU: a hit is one Map lookup, and
 * whatever was not asked for during a whole generation is dropped with it.
 */

export interface TextCacheOptions {
  /** Most entries held, both generations together. */
  readonly entries: number;
  /** Most text held, in UTF-16 code units. */
  readonly length: number;
}

export class TextCache<Value> {
  readonly #generationEntries: number;
  readonly #generationLength: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  #youngLength = 0;

  constructor(options: TextCacheOptions) {
    this.#generationEntries = Math.max(1, Math.floor(options.entries / 2));
    this.#generationLength = Math.max(1, Math.floor(options.length / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(text: string): Value | undefined {
    const value = this.#young.get(text);
    if (value !== undefined) return value;
    const kept = this.#old.get(text);
    if (kept === undefined) return undefined;
    this.#old.delete(text);
    this.set(text, kept);
    return kept;
  }

  /** A text longer than a generation is not kept. */
  set(text: string, value: Value): void {
    if (text.length > this.#generationLength) return;
    const full =
      this.#young.size >= this.#generationEntries || this.#youngLength + text.length > this.#generationLength;
    if (full) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngLength = 0;
    }
    if (!this.#young.has(text)) this.#youngLength += text.length;
    this.#young.set(text, value);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#youngLength = 0;
  }
}
