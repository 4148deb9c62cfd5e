/**
 * Statements that a replica refused although they had been judged to read (a STABLE function that writes, a table
 * that became unlogged a moment ago). They go to the primary for a while, then are tried again.
 */

export interface RefusalsOptions {
  /** How long a refusal is remembered, in milliseconds. @defaultValue 600000 */
  readonly ttlMs?: number;
  /** How many are remembered; the oldest gives way. @defaultValue 1000 */
  readonly limit?: number;
}

export interface Refusals {
  /** Remembers that a replica refused the statement with this fingerprint; an empty one is only counted. */
  remember(fingerprint: string, nowMs: number): void;
  /** True while a refusal of this fingerprint is remembered. */
  has(fingerprint: string, nowMs: number): boolean;
  /** Forgets all of them: the catalogue has been read anew. The count goes on. */
  clear(): void;
  /** How many are remembered now, those that have just expired included. */
  readonly size: number;
  /** How many were ever remembered, repetitions included. */
  readonly total: number;
}

export function createRefusals(options: RefusalsOptions = {}): Refusals {
  return new ExpiringRefusals(options.ttlMs ?? 600_000, options.limit ?? 1_000);
}

/** Insertion order is expiry order, because every refusal lives equally long. */
class ExpiringRefusals implements Refusals {
  readonly #expiryMs = new Map<string, number>();
  readonly #ttlMs: number;
  readonly #limit: number;
  #total = 0;

  constructor(ttlMs: number, limit: number) {
    this.#ttlMs = ttlMs;
    this.#limit = limit;
  }

  get size(): number {
    return this.#expiryMs.size;
  }

  get total(): number {
    return this.#total;
  }

  remember(fingerprint: string, nowMs: number): void {
    this.#total++;
    // What was never parsed has no fingerprint; one refusal among those says nothing about the others.
    if (fingerprint === "") return;
    this.#expiryMs.delete(fingerprint);
    this.#expiryMs.set(fingerprint, nowMs + this.#ttlMs);
    for (const [oldest, expiryMs] of this.#expiryMs) {
      if (expiryMs > nowMs && this.#expiryMs.size <= this.#limit) break;
      this.#expiryMs.delete(oldest);
    }
  }

  has(fingerprint: string, nowMs: number): boolean {
    if (this.#expiryMs.size === 0) return false;
    const expiryMs = this.#expiryMs.get(fingerprint);
    if (expiryMs === undefined) return false;
    if (expiryMs > nowMs) return true;
    this.#expiryMs.delete(fingerprint);
    return false;
  }

  clear(): void {
    this.#expiryMs.clear();
  }
}
