import { describe, expect, test } from "vitest";
import { createRefusals } from "../../src/routing/refusals.ts";

describe("refusals", () => {
  test("are remembered for ten minutes", () => {
    const refusals = createRefusals();
    refusals.remember("a", 1_000);
    expect(refusals.has("a", 1_000)).toBe(true);
    expect(refusals.has("a", 600_999)).toBe(true);
    expect(refusals.has("a", 601_000)).toBe(false);
    expect(refusals.has("b", 1_000)).toBe(false);
    expect(refusals.size).toBe(0);
  });

  test("live on from the last one of their kind", () => {
    const refusals = createRefusals({ ttlMs: 100 });
    refusals.remember("a", 0);
    refusals.remember("a", 90);
    expect(refusals.has("a", 150)).toBe(true);
    expect(refusals.total).toBe(2);
  });

  test("are bounded: the oldest gives way", () => {
    const refusals = createRefusals({ limit: 3 });
    for (const [i, name] of ["a", "b", "c", "d"].entries()) refusals.remember(name, i);
    expect(refusals.size).toBe(3);
    expect(refusals.has("a", 10)).toBe(false);
    expect(refusals.has("b", 10)).toBe(true);
  });

  test("that have expired make room by themselves", () => {
    const refusals = createRefusals({ ttlMs: 10 });
    for (let i = 0; i < 50; i++) refusals.remember(`old ${i}`, 0);
    refusals.remember("new", 20);
    expect(refusals.size).toBe(1);
  });

  test("are forgotten when the catalogue is read anew, and stay counted", () => {
    const refusals = createRefusals();
    refusals.remember("a", 0);
    refusals.clear();
    expect(refusals.has("a", 1)).toBe(false);
    expect(refusals.total).toBe(1);
  });

  test("without a fingerprint speak for nobody else", () => {
    const refusals = createRefusals();
    refusals.remember("", 0);
    expect(refusals.has("", 1)).toBe(false);
    expect(refusals.total).toBe(1);
  });
});
