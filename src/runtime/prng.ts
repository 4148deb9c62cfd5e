/**
 * The only door to chance. One seed makes one run; every component draws from a stream of its own name,
 * so that a draw added in one place does not shift the others.
 */
import { randomInt } from "node:crypto";

export interface Prng {
  /** An integer in [0, 2^32). */
  nextUint32(): number;
  /** An integer in [0, `below`), each equally likely. `below` is at least 1 and at most 2^32. */
  integer(below: number): number;
  /** True once in `oneIn` draws. */
  chance(oneIn: number): boolean;
  /** One of `items`. */
  pick<T>(items: readonly T[]): T;
  /** `items` in a random order, as a new array (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** An independent generator, the same for the same seed and name whatever else was drawn. */
  stream(name: string): Prng;
}

/** A generator whose whole future follows from `seed` (an unsigned 32-bit integer). */
export function createPrng(seed: number): Prng {
  return new Sfc32(seed >>> 0, "");
}

/** A seed nobody chose, for runs that name none. */
export function drawSeed(): number {
  return randomInt(0, 2 ** 32);
}

/** @see Chris Doty-Humphrey, PractRand: sfc32 ("small fast counting"), period at least 2^32, passes BigCrush. */
class Sfc32 implements Prng {
  readonly #seed: number;
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, name: string) {
    this.#seed = seed;
    this.#name = name;
    this.#a = seed;
    this.#b = fnv1a(name, 0x811c9dc5);
    this.#c = fnv1a(name, seed ^ 0x9e3779b9);
    for (let i = 0; i < 12; i++) this.nextUint32();
  }

  nextUint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  integer(below: number): number {
    // Rejection keeps every value equally likely: draws above the last full multiple are thrown away.
    const limit = 2 ** 32 - (2 ** 32 % below);
    let draw = this.nextUint32();
    while (draw >= limit) draw = this.nextUint32();
    return draw % below;
  }

  chance(oneIn: number): boolean {
    return this.integer(oneIn) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
    }
    return shuffled;
  }

  stream(name: string): Prng {
    return new Sfc32(this.#seed, `${this.#name}/${name}`);
  }
}

function fnv1a(text: string, offset: number): number {
  let hash = offset;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash;
}
