import { describe, expect, test } from "vitest";
import { TextCache } from "../../src/routing/text-cache.ts";

describe("the text cache", () => {
  test("never holds more entries than it may, and keeps what is in use", () => {
    const cache = new TextCache<number>({ entries: 100, length: 1_000_000 });
    cache.set("favourite", 0);
    for (let i = 0; i < 1_000; i++) {
      cache.set(`text ${i}`, i);
      expect(cache.get("favourite")).toBe(0);
      expect(cache.size).toBeLessThanOrEqual(100);
    }
    expect(cache.get("text 0")).toBeUndefined();
    expect(cache.get("text 999")).toBe(999);
  });

  test("never holds more text than it may", () => {
    const cache = new TextCache<number>({ entries: 1_000, length: 1_000 });
    for (let i = 0; i < 100; i++) cache.set(`${i} ${"x".repeat(97)}`, i);
    expect(cache.size).toBeLessThanOrEqual(10);
    cache.set("x".repeat(501), 1);
    expect(cache.get("x".repeat(501))).toBeUndefined();
  });

  test("is empty when it was cleared", () => {
    const cache = new TextCache<number>({ entries: 10, length: 100 });
    cache.set("a", 1);
    cache.clear();
    expect(cache.get("a")).toBeUndefined();
    expect(cache.size).toBe(0);
  });
});
