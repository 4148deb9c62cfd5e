/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { formatLsn, parseLsn, withoutPageHeader } from "../../src/routing/lsn.ts";

const KB = 1024;
const SEGMENT = 16 * KB * KB;
const usual = { blockBytes: 8 * KB, segmentBytes: SEGMENT };

describe("an LSN", () => {
  test.each([
    ["0/0", 0],
    ["0/1", 1],
    ["0/FFFFFFFF", 4_294_967_295],
    ["1/0", 4_294_967_296],
    // The manual's example of pg_lsn: 0x16 × 2^32 + 0xB374D848.
    ["16/B374D848", 97_500_059_720],
    ["16/b374d848", 97_500_059_720],
    ["0/03000028", 50_331_688],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseLsn(text)).toBe(bytes);
  });

  test.each([
    null,
    undefined,
    "",
    "/",
    "0",
    "0/",
    "/0",
    "0/G",
    " 0/0",
    "0/0 ",
    "0/0\n",
    "-1/0",
    "123456789/0",
    "0/1/2",
  ])("%j is none", (text) => {
    expect(parseLsn(text)).toBeUndefined();
  });

  test("is written as PostgreSQL writes it", () => {
    expect(formatLsn(97_500_059_720)).toBe("16/B374D848");
    expect(formatLsn(50_331_688)).toBe("0/3000028");
  });

  property.prop([fc.maxSafeNat()])("is read back as it was written", (lsn) => {
    expect(parseLsn(formatLsn(lsn))).toBe(lsn);
  });

  property.prop([fc.bigInt({ min: 0n, max: 2n ** 53n - 1n })])("agrees with 64-bit arithmetic", (lsn) => {
    const text = `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`;
    expect(BigInt(parseLsn(text) as number)).toBe(lsn);
  });
});

describe("an insert position just behind a page header", () => {
  test("goes back to the page's start: 24 bytes in a page, 40 in a segment", () => {
    expect(withoutPageHeader(5 * SEGMENT + 3 * 8 * KB + 24, usual)).toBe(5 * SEGMENT + 3 * 8 * KB);
    expect(withoutPageHeader(5 * SEGMENT + 40, usual)).toBe(5 * SEGMENT);
  });

  test("is taken as it is anywhere else", () => {
    for (const offset of [0, 23, 25, 39, 41, 8 * KB - 1]) {
      expect(withoutPageHeader(5 * SEGMENT + 8 * KB + offset, usual)).toBe(5 * SEGMENT + 8 * KB + offset);
    }
    // 40 bytes into a page that does not open a segment there is a record.
    expect(withoutPageHeader(5 * SEGMENT + 8 * KB + 40, usual)).toBe(5 * SEGMENT + 8 * KB + 40);
  });

  test("depends on the server's own sizes", () => {
    const other = { blockBytes: 32 * KB, segmentBytes: 64 * KB * KB };
    expect(withoutPageHeader(8 * KB + 24, other)).toBe(8 * KB + 24);
    expect(withoutPageHeader(32 * KB + 24, other)).toBe(32 * KB);
    expect(withoutPageHeader(SEGMENT + 40, other)).toBe(SEGMENT + 40);
    expect(withoutPageHeader(64 * KB * KB + 40, other)).toBe(64 * KB * KB);
  });

  property.prop([fc.maxSafeNat()])("never goes forward, and back by a header or not at all", (insert) => {
    expect([0, 24, 40]).toContain(insert - withoutPageHeader(insert, usual));
  });
});
