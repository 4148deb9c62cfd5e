import fc from "fast-check";
import { expect, test } from "vitest";
import {
  covering,
  difference,
  gapsAfter,
  intersection,
  lengthWithin,
  touches,
  union,
  withoutFirst,
} from "../../../chaos/history/intervals.ts";
import type { Interval } from "../../../chaos/history/intervals.ts";

const intervals = fc.array(
  fc.tuple(fc.nat(30), fc.nat(6)).map(([from, length]) => ({ from, to: from + length })),
  { maxLength: 6 },
);
const holds = (set: readonly Interval[], at: number): boolean =>
  set.some(({ from, to }) => from <= at && at <= to);

test("sets behave as the points in them do", () => {
  fc.assert(
    fc.property(intervals, intervals, fc.nat(40), fc.nat(6), (a, b, from, length) => {
      const left = union(a);
      const right = union(b);
      for (let i = 1; i < left.length; i++) {
        expect((left[i] as Interval).from).toBeGreaterThan((left[i - 1] as Interval).to);
      }
      // Halves lie between all edges.
      for (const at of [from, from + 0.5]) {
        expect(holds(left, at)).toBe(holds(a, at));
        expect(holds(intersection(left, right), at)).toBe(holds(a, at) && holds(b, at));
        expect(holds(difference(left, right), at)).toBe(holds(a, at) && !holds(b, at));
      }
      const to = from + length;
      const points = Array.from({ length: 2 * length + 1 }, (_, i) => from + i / 2);
      expect(touches(left, from, to)).toBe(points.some((at) => holds(a, at)));
      expect(covering(left, from, to) !== undefined).toBe(
        left.some((one) => one.from <= from && to <= one.to),
      );
    }),
    { numRuns: 2_000 },
  );
});

test("gaps reach from the end of each to the begin of the next, the last one for ever", () => {
  expect(
    gapsAfter(
      union([
        { from: 1, to: 2 },
        { from: 5, to: 6 },
      ]),
    ),
  ).toEqual([
    { from: 2, to: 5 },
    { from: 6, to: Infinity },
  ]);
  expect(gapsAfter(union([{ from: 1, to: Infinity }]))).toEqual([]);
});

test("what is shorter than its first part goes away", () => {
  expect(
    withoutFirst(
      union([
        { from: 0, to: 10 },
        { from: 20, to: 22 },
      ]),
      5,
    ),
  ).toEqual([{ from: 5, to: 10 }]);
});

test("lengths are counted within the span only", () => {
  expect(
    lengthWithin(
      union([
        { from: 0, to: 10 },
        { from: 20, to: Infinity },
      ]),
      5,
      30,
    ),
  ).toBe(15);
});
