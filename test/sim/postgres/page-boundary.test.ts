import { fc } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import {
  bytesToPageEnd,
  headerBytesBetween,
  isBehindPageHeader,
} from "../../../sim/postgres/page-boundary.ts";

// Pages of 8192 bytes in segments of 1 MiB, as the servers here have them: 128 pages a segment.
const geometry = { blockBytes: 8192, segmentBytes: 1_048_576 };
const page = (n: number): number => n * 8192;

describe("the way to a page's end", () => {
  test("is the rest of the page when the record fits", () => {
    expect(bytesToPageEnd(page(5) + 8000, 192, geometry)).toBe(192);
  });

  test("goes through the next page when it does not, whose header of 24 bytes is none of the record", () => {
    expect(bytesToPageEnd(page(5) + 8000, 200, geometry)).toBe(192 + 8192 - 24);
  });

  test("goes on to the first page of the next segment rather than to the last of this, past a header of 40", () => {
    expect(bytesToPageEnd(page(127) + 4096, 100, geometry)).toBe(4096 + 8192 - 40);
  });

  test("ends where a page does, whatever lies between", () => {
    // Nothing is ever inserted inside a header.
    const positions = fc
      .integer({ min: 0, max: 2 ** 20 })
      .map((eighths) => page(3) + eighths * 8)
      .filter((lsn) => lsn % 8192 >= 24 && lsn % 1_048_576 >= 40);
    const sizes = fc.integer({ min: 64, max: 20_000 });
    fc.assert(
      fc.property(positions, sizes, (position, atLeast) => {
        const bytes = bytesToPageEnd(position, atLeast, geometry);
        expect(bytes).toBeGreaterThanOrEqual(atLeast);
        const end = walk(position, bytes);
        expect(end % 8192).toBe(0);
        expect(end % 1_048_576).not.toBe(0);
        expect(headerBytesBetween(position, end, geometry)).toBe(end - position - bytes);
      }),
    );
  });
});

/** Where a record of so many bytes ends, page by page. */
function walk(position: number, bytes: number): number {
  let at = position;
  for (let left = bytes; left > 0;) {
    if (at % 8192 === 0) at += at % 1_048_576 === 0 ? 40 : 24;
    const step = Math.min(left, 8192 - (at % 8192));
    at += step;
    left -= step;
  }
  return at;
}

test("only 24 bytes into a page is behind its header", () => {
  expect(isBehindPageHeader(page(7) + 24, geometry)).toBe(true);
  expect(isBehindPageHeader(page(7), geometry)).toBe(false);
  expect(isBehindPageHeader(page(128) + 40, geometry)).toBe(false);
});
