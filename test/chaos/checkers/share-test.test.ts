import { describe, expect, test } from "vitest";
import {
  detectableFactor,
  DriftTest,
  logGamma,
  logWealthOf,
  shareInterval,
  ShareTest,
} from "../../../chaos/checkers/share-test.ts";
import { createPrng } from "../../../src/runtime/prng.ts";

const THIRDS = [1 / 3, 1 / 3, 1 / 3];

function crossings(
  actual: readonly number[],
  options: { runs: number; picks: number; alpha: number },
): number {
  const prng = createPrng(7);
  let crossed = 0;
  for (let run = 0; run < options.runs; run++) {
    const test = new ShareTest(THIRDS);
    for (let i = 0; i < options.picks; i++) test.note(draw(actual, prng.nextUint32() / 2 ** 32));
    if (test.mostLogWealth >= -Math.log(options.alpha)) crossed++;
  }
  return crossed;
}

function draw(shares: readonly number[], uniform: number): number {
  let left = uniform;
  const index = shares.findIndex((share) => (left -= share) < 0);
  return index < 0 ? shares.length - 1 : index;
}

test("the logarithm of the gamma function", () => {
  // Γ(10) = 9!, Γ(1/2) = √π, Γ(1) = 1, and Γ(101) = 100! with 158 digits.
  expect(logGamma(10)).toBeCloseTo(Math.log(362_880), 10);
  expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 10);
  expect(logGamma(1)).toBeCloseTo(0, 10);
  expect(logGamma(101)).toBeCloseTo(363.739_375_555_563_5, 8);
});

describe("the test of shares", () => {
  test("is the same pick by pick and as a closed form", () => {
    const shares = [0.5, 0.3, 0.2];
    const test = new ShareTest(shares);
    for (const node of [0, 0, 1, 2, 2, 2, 1, 0, 2]) test.note(node);
    expect(test.counts).toEqual([3, 2, 4]);
    expect(test.logWealth).toBeCloseTo(logWealthOf([3, 2, 4], shares), 10);
  });

  test("convicts a fair router no more often than it may, although it is looked at after every pick", () => {
    // Binomial with 2,000 × 0.01 = 20: 40 is more than four standard deviations above.
    expect(crossings(THIRDS, { runs: 2_000, picks: 500, alpha: 0.01 })).toBeLessThan(40);
  });

  test("finds the factor that it says it would find, nearly always", () => {
    const factor = detectableFactor(THIRDS, 1_000, -Math.log(0.001));
    const share = factor / 3;
    const skewed = [share, (1 - share) / 2, (1 - share) / 2];
    expect(crossings(skewed, { runs: 200, picks: 1_000, alpha: 0.001 })).toBeGreaterThan(190);
    expect(detectableFactor(THIRDS, 5, -Math.log(0.001))).toBe(Infinity);
  });
});

test("the interval of a share is Wilson's", () => {
  // With z = 2.5758, z² = 6.6349: centre (0.1 + 0.033174) / 1.066349 = 0.124888,
  // spread 2.5758 × √(0.0009 + 0.000165872) / 1.066349 = 0.078863.
  const { low, high } = shareInterval(10, 100);
  expect(low).toBeCloseTo(0.046025, 4);
  expect(high).toBeCloseTo(0.203751, 4);
});

describe("the test of one share", () => {
  test("bets on another share, and multiplies what it wins", () => {
    const test = new DriftTest({ anyBegin: false });
    test.note({ isHit: true, share: 0.5, alternative: 0.75 });
    test.note({ isHit: true, share: 0.5, alternative: 0.75 });
    test.note({ isHit: false, share: 0.5, alternative: 0.75 });
    expect(test.mostWealth).toBeCloseTo(2.25, 10);
    expect(test.reads).toBe(3);
  });

  test("may begin its bet at any read", () => {
    const test = new DriftTest({ anyBegin: true });
    // (1/2) × 1/2 = 0.25, then (0.25 + 1/6) × 3/2.
    test.note({ isHit: false, share: 0.5, alternative: 0.75 });
    test.note({ isHit: true, share: 0.5, alternative: 0.75 });
    expect(test.mostWealth).toBeCloseTo(0.625, 10);
  });
});
