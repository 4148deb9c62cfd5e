import { expect, test } from "vitest";
import { arrivals } from "../../../chaos/workload/arrivals.ts";
import type { Arrival } from "../../../chaos/workload/arrivals.ts";
import { createPrng } from "../../../src/runtime/prng.ts";

const SPEC = { ratePerSecond: 100, mix: { read: 6, write: 3, transaction: 1 } };

function take(count: number, seed: number): Arrival[] {
  const all = arrivals(SPEC, createPrng(seed));
  return Array.from({ length: count }, () => all.next().value);
}

test("arrivals come at the rate asked for, each within half a pace of its place, in order", () => {
  const taken = take(1000, 1);
  for (const [n, { atMs }] of taken.entries()) {
    expect(atMs).toBeGreaterThanOrEqual(n * 10);
    expect(atMs).toBeLessThan(n * 10 + 5);
  }
});

test("jitter moves them, so that they do not beat in time with what they measure", () => {
  const offsets = new Set(take(100, 1).map(({ atMs }, n) => Math.round(atMs - n * 10)));
  expect(offsets.size).toBeGreaterThan(3);
});

test("what is asked follows the mix", () => {
  const counts = { read: 0, write: 0, transaction: 0 };
  for (const { f } of take(10_000, 7)) counts[f] += 1;
  // Five standard deviations of a binomial with n = 10,000.
  expect(Math.abs(counts.read - 6000)).toBeLessThan(5 * 49);
  expect(Math.abs(counts.write - 3000)).toBeLessThan(5 * 46);
  expect(Math.abs(counts.transaction - 1000)).toBeLessThan(5 * 30);
});

test("a share of 0 is never asked", () => {
  const onlyReads = arrivals(
    { ratePerSecond: 10, mix: { read: 1, write: 0, transaction: 0 } },
    createPrng(3),
  );
  for (let i = 0; i < 1000; i++) expect(onlyReads.next().value.f).toBe("read");
});

test("the same seed gives the same arrivals, another seed others", () => {
  expect(take(50, 5)).toEqual(take(50, 5));
  expect(take(50, 5)).not.toEqual(take(50, 6));
});
