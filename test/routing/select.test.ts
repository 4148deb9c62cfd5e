/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { RAMP_STEPS } from "../../src/routing/model.ts";
import {
  PARTS,
  emptySelection,
  nextEpoch,
  sameCandidates,
  selectApart,
  selectNext,
} from "../../src/routing/select.ts";
import type { Candidate, Selection } from "../../src/routing/select.ts";
import { deepFreeze } from "./view-builder.ts";

const weight = fc.oneof(
  fc.integer({ min: 1, max: 1000 }),
  fc.constantFrom(1, 2, 50, 999, 1000),
  // As `eligible` scales them: whole numbers on every step of a ramp.
  fc
    .tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: RAMP_STEPS }))
    .map(([w, step]) => w * step),
);
const weights = fc.array(weight, { minLength: 2, maxLength: 64 });
const phase = fc.nat(0xffff_ffff);

const HARD = [
  { name: "1, 5, 37, 37", weights: [1, 5, 37, 37] },
  { name: "27 of 1 or 50", weights: Array.from({ length: 27 }, (_, i) => (i % 3 === 0 ? 50 : 1)) },
  { name: "26 of 1 and one of 50", weights: [50, ...Array.from({ length: 26 }, () => 1)] },
  { name: "2:1:1", weights: [2, 1, 1] },
  { name: "1:1", weights: [1, 1] },
  { name: "1:1000", weights: [1, 1000] },
  { name: "64 of 1 and 1000", weights: Array.from({ length: 64 }, (_, i) => (i === 63 ? 1000 : 1)) },
];

describe("the weighted choice", () => {
  property.prop([weights, phase], { numRuns: 120 })(
    "keeps each count within 1 − 1/(2n − 2) of its exact share at every prefix",
    (all, start) => {
      expect(excessOverTijdeman(fresh(all, start), 1500)).toBeUndefined();
    },
  );

  test.each(HARD)("does so for $name, over ten thousand picks and any phase", ({ weights: all }) => {
    for (let start = 0; start < Math.min(all.length, 8); start++) {
      expect(excessOverTijdeman(fresh(all, start), 10_000 / Math.min(all.length, 8))).toBeUndefined();
    }
  });

  test("is measured by a check that sees nginx's smooth weighted round robin break the bound", () => {
    const smooth = smoothRoundRobin([1, 5, 37, 37]);
    expect(excessOver({ weights: [1, 5, 37, 37], limit: [5n, 6n], picks: 2000, next: smooth })).toBeDefined();
    const unit = smoothRoundRobin([1, 5, 37, 37]);
    expect(excessOver({ weights: [1, 5, 37, 37], limit: [1n, 1n], picks: 2000, next: unit })).toBeDefined();
  });

  property.prop([fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 }), phase], {
    numRuns: 100,
  })("gives each exactly its weight in every period, and then begins anew", (all, start) => {
    const total = all.reduce((sum, one) => sum + one, 0);
    let selection = fresh(all, start);
    const begin = selection.owed.map(Number);
    const first = picks(selection, total);
    selection = first.selection;
    expect(countsOf(first.indices, all.length)).toEqual(all);
    expect(selection.owed.map((owed) => owed + 0)).toEqual(begin.map((owed) => owed + 0));
    expect(picks(selection, total).indices).toEqual(first.indices);
  });

  property.prop([fc.integer({ min: 1, max: 64 }), phase])(
    "with equal weights goes round, from where the phase says",
    (n, start) => {
      const { indices } = picks(
        fresh(
          Array.from({ length: n }, () => 7),
          start,
        ),
        2 * n,
      );
      expect(indices).toEqual(Array.from({ length: 2 * n }, (_, k) => (start + k) % n));
    },
  );

  property.prop([fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 10 }), phase], {
    numRuns: 50,
  })("counts the same in a period whatever the phase", (all, start) => {
    const total = all.reduce((sum, one) => sum + one, 0);
    expect(countsOf(picks(fresh(all, start), total).indices, all.length)).toEqual(
      countsOf(picks(fresh(all, 0), total).indices, all.length),
    );
  });

  property.prop([weights, phase], { numRuns: 30 })(
    "keeps whole debts that sum to nothing, and changes no argument",
    (all, start) => {
      let selection = deepFreeze(fresh(all, start));
      for (let k = 0; k < 200; k++) {
        const next = selectNext(selection);
        expect(selectNext(selection)).toEqual(next);
        selection = deepFreeze(next.selection);
        expect(selection.owed.every(Number.isSafeInteger)).toBe(true);
        expect(sum(selection.owed)).toBe(0);
      }
    },
  );
});

describe("a new epoch", () => {
  test("carries over what each is owed, as a share of one read", () => {
    const before = picks(fresh([1, 1], 0), 1).selection;
    const after = nextEpoch(
      before,
      before.candidates.map(({ name }) => ({ name, weight: 500 })),
    );
    // After one of two the second is owed half a read; of 1000 parts that is 500.
    expect(after.owed).toEqual([-500 * PARTS, 500 * PARTS]);
    expect(after.epoch).toBe(before.epoch + 1);
    expect(selectNext(after).index).toBe(1);
  });

  test("remembers what one who left was owed until it is back", () => {
    const [a, b, c] = [named("a", 1), named("b", 1), named("c", 2)];
    let selection = nextEpoch(emptySelection(0), [a, b, c]);
    const first = selectNext(selection);
    selection = nextEpoch(first.selection, [b, c]);
    selection = nextEpoch(picks(selection, 3).selection, [a, b, c]);
    expect(first.selection.candidates[first.index]?.name).toBe("c");
    // a was owed a quarter when it left, and three periods of others later still is.
    expect((selection.owed[0] as number) / (selection.total * PARTS) + selection.carried.shift).toBeCloseTo(
      0.25,
      9,
    );
  });

  property.prop([membershipChanges(), phase], { numRuns: 60 })(
    "keeps each within two reads of its exact share, counted from a carried start",
    ({ all, epochs }, start) => {
      let selection = emptySelection(start);
      for (const { members, length } of epochs) {
        selection = nextEpoch(
          selection,
          members.map((i) => named(`r${i}`, all[i] as number)),
        );
        expect(sum(selection.owed)).toBe(0);
        const begin = selection.owed;
        for (let k = 0; k < length; k++) {
          selection = selectNext(selection).selection;
          for (const [i, owed] of selection.owed.entries()) {
            expect(Math.abs(owed - (begin[i] as number)) / (selection.total * PARTS)).toBeLessThan(2);
          }
        }
      }
    },
  );

  property.prop([fc.array(weight, { minLength: 2, maxLength: 16 }), fc.nat(), phase], { numRuns: 12 })(
    "does not let the shares drift over two thousand random changes of the set",
    (all, seed, start) => {
      const random = lcg(seed);
      const exact = all.map(() => 0);
      const counts = all.map(() => 0);
      let selection = emptySelection(start);
      for (let change = 0; change < 2000; change++) {
        // The first is always there; each other one is away a third of the time.
        const members = all.map((_, i) => i).filter((i) => i === 0 || random(3) > 0);
        selection = nextEpoch(
          selection,
          members.map((i) => named(`r${i}`, all[i] as number)),
        );
        for (let k = random(8); k > 0; k--) {
          const next = selectNext(selection);
          selection = next.selection;
          for (const i of members) exact[i] = (exact[i] as number) + (all[i] as number) / selection.total;
          const picked = members[next.index] as number;
          counts[picked] = (counts[picked] as number) + 1;
        }
      }
      for (const [i, count] of counts.entries())
        expect(Math.abs(count - (exact[i] as number))).toBeLessThan(4);
    },
  );

  test("is needed only when a name, a weight or the order differs", () => {
    const set = [named("a", 1), named("b", 2)];
    expect(sameCandidates(set, [named("a", 1), named("b", 2)])).toBe(true);
    expect(sameCandidates(set, [named("a", 1), named("b", 3)])).toBe(false);
    expect(sameCandidates(set, [named("a", 1)])).toBe(false);
    expect(sameCandidates([], set)).toBe(false);
    expect(sameCandidates(set, [named("a", 1), named("c", 2)])).toBe(false);
  });

  test("of nobody holds nothing, and the next one starts well", () => {
    const nobody = nextEpoch(picks(fresh([3, 1], 0), 5).selection, []);
    expect(nobody).toMatchObject({ candidates: [], owed: [], total: 0 });
    expect(sum(nextEpoch(nobody, [named("r0", 3), named("r1", 1)]).owed)).toBe(0);
  });
});

describe("the choice among fewer", () => {
  property.prop([weights, phase, fc.array(fc.nat(63), { maxLength: 64 })], { numRuns: 60 })(
    "never picks what is not allowed, and leaves the proved order alone",
    (all, start, forbidden) => {
      let selection = deepFreeze(fresh(all, start));
      const allowed = (name: string): boolean => !forbidden.some((i) => name === `r${i}`);
      const anyone = selection.candidates.some(({ name }) => allowed(name));
      for (let k = 0; k < 50; k++) {
        const picked = selectApart(selection, allowed);
        expect(picked !== undefined).toBe(anyone);
        if (picked === undefined) return;
        expect(allowed(selection.candidates[picked.index]?.name ?? "")).toBe(true);
        expect(picked.selection.owed).toBe(selection.owed);
        selection = deepFreeze(picked.selection);
      }
    },
  );

  property.prop([fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 3, maxLength: 10 }), phase], {
    numRuns: 50,
  })("shares in proportion to the weights of those allowed", (all, start) => {
    let selection = fresh(all, start);
    const counts = all.map(() => 0);
    const reads = 3000;
    for (let k = 0; k < reads; k++) {
      const picked = selectApart(selection, (name) => name !== "r0");
      if (picked === undefined) throw new Error("nobody was picked");
      selection = picked.selection;
      counts[picked.index] = (counts[picked.index] as number) + 1;
    }
    const total = sum(all) - (all[0] as number);
    expect(counts[0]).toBe(0);
    for (let i = 1; i < all.length; i++) {
      expect(Math.abs((counts[i] as number) - (reads * (all[i] as number)) / total)).toBeLessThan(all.length);
    }
  });

  test("does not begin with the same one in every epoch, nor in every process", () => {
    expect(firsts(0).size).toBe(4);
    expect(
      new Set([0, 1, 2, 3].map((start) => selectApart(fresh([1, 1, 1, 1], start), () => true)?.index)).size,
    ).toBe(4);
  });
});

function named(name: string, weight: number): Candidate {
  return { name, weight };
}

function fresh(all: readonly number[], start: number): Selection {
  return nextEpoch(
    emptySelection(start),
    all.map((one, i) => named(`r${i}`, one)),
  );
}

function picks(
  selection: Selection,
  count: number,
): { readonly indices: number[]; readonly selection: Selection } {
  const indices: number[] = [];
  let current = selection;
  for (let k = 0; k < count; k++) {
    const next = selectNext(current);
    indices.push(next.index);
    current = next.selection;
  }
  return { indices, selection: current };
}

function countsOf(indices: readonly number[], n: number): number[] {
  return Array.from({ length: n }, (_, i) => indices.filter((index) => index === i).length);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function excessOverTijdeman(selection: Selection, count: number): string | undefined {
  const n = BigInt(selection.candidates.length);
  let current = selection;
  return excessOver({
    weights: selection.candidates.map((candidate) => candidate.weight),
    limit: [2n * n - 3n, 2n * n - 2n],
    picks: count,
    next: () => {
      const { index, selection: after } = selectNext(current);
      current = after;
      return index;
    },
  });
}

interface Run {
  readonly weights: readonly number[];
  /** The largest deviation allowed, as a fraction. */
  readonly limit: readonly [bigint, bigint];
  readonly picks: number;
  readonly next: () => number;
}

/** Counts for itself, in whole numbers of any size, and says where |count − k·w/W| first exceeds the limit. */
function excessOver({ weights: all, limit: [above, below], picks: count, next }: Run): string | undefined {
  const shares = all.map(BigInt);
  const total = shares.reduce((left, right) => left + right, 0n);
  const counts = shares.map(() => 0n);
  for (let k = 1n; k <= BigInt(Math.floor(count)); k++) {
    const index = next();
    counts[index] = (counts[index] as bigint) + 1n;
    for (const [i, share] of shares.entries()) {
      const difference = (counts[i] as bigint) * total - k * share;
      const deviation = difference < 0n ? -difference : difference;
      if (deviation * below > above * total) return `after ${k} picks #${i} is off by ${deviation}/${total}`;
    }
  }
  return undefined;
}

/** As in nginx: everybody gains its weight, the greatest serves and pays the total. */
function smoothRoundRobin(all: readonly number[]): () => number {
  const current = all.map(() => 0);
  const total = sum(all);
  return () => {
    let best = 0;
    for (const [i, one] of all.entries()) {
      current[i] = (current[i] as number) + one;
      if (current[i] > (current[best] as number)) best = i;
    }
    current[best] = (current[best] as number) - total;
    return best;
  };
}

function membershipChanges(): fc.Arbitrary<{
  readonly all: readonly number[];
  readonly epochs: readonly { readonly members: readonly number[]; readonly length: number }[];
}> {
  return fc.array(weight, { minLength: 2, maxLength: 16 }).chain((all) =>
    fc.record({
      all: fc.constant(all),
      epochs: fc.array(
        fc.record({
          members: fc.subarray(
            all.map((_, i) => i),
            { minLength: 1 },
          ),
          length: fc.integer({ min: 0, max: 30 }),
        }),
        { minLength: 1, maxLength: 40 },
      ),
    }),
  );
}

function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Who is picked first in each of eight epochs of four equals. */
function firsts(start: number): Set<number | undefined> {
  const seen = new Set<number | undefined>();
  let selection = fresh([1, 1, 1, 1], start);
  for (let epoch = 0; epoch < 8; epoch++) {
    seen.add(selectApart(selection, () => true)?.index);
    selection = nextEpoch(selection, selection.candidates);
  }
  return seen;
}
