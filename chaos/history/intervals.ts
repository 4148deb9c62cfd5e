/**
 * Sets of time as sorted, disjoint, closed intervals, in milliseconds. An end may be infinite. Pure; every question
 * about a point or a span is answered by binary search.
 */

export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** Sorted and disjoint: made by {@link union}, never by hand. */
export type IntervalSet = readonly Interval[];

/** Everything that is in one of `intervals`; those that end before they begin are left out. */
export function union(intervals: Iterable<Interval>): IntervalSet {
  const sorted = [...intervals].filter(({ from, to }) => from <= to).sort((a, b) => a.from - b.from);
  const merged: Interval[] = [];
  for (const interval of sorted) {
    const last = merged.at(-1);
    if (last === undefined || interval.from > last.to) merged.push(interval);
    else if (interval.to > last.to) merged[merged.length - 1] = { from: last.from, to: interval.to };
  }
  return merged;
}

/** Everything that is in both. */
export function intersection(a: IntervalSet, b: IntervalSet): IntervalSet {
  const both: Interval[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (left === undefined || right === undefined) return both;
    const from = Math.max(left.from, right.from);
    const to = Math.min(left.to, right.to);
    if (from <= to) both.push({ from, to });
    if (left.to < right.to) i++;
    else j++;
  }
}

/** Everything in `a` that is not in `b`. What only touches an edge is left out, so that no point is in both. */
export function difference(a: IntervalSet, b: IntervalSet): IntervalSet {
  const left: Interval[] = [];
  for (const { from, to } of a) {
    let start = from;
    for (let i = firstEndingFrom(b, from); i < b.length; i++) {
      const cut = b[i] as Interval;
      if (cut.from > to) break;
      if (cut.from > start) left.push({ from: start, to: justBefore(cut.from) });
      start = Math.max(start, justAfter(cut.to));
    }
    if (start <= to) left.push({ from: start, to });
  }
  return union(left);
}

/** Each interval made longer at its end. */
export function extended(set: IntervalSet, byMs: number): IntervalSet {
  return union(set.map(({ from, to }) => ({ from, to: to + byMs })));
}

/** Each interval without its first `byMs`; what is shorter goes away. */
export function withoutFirst(set: IntervalSet, byMs: number): IntervalSet {
  return union(set.map(({ from, to }) => ({ from: from + byMs, to })));
}

/** From the end of each interval to the begin of the next; after the last for ever. */
export function gapsAfter(set: IntervalSet): IntervalSet {
  return set
    .map(({ to }, i) => ({ from: to, to: set[i + 1]?.from ?? Infinity }))
    .filter(({ from }) => from !== Infinity);
}

/** Is any time of [from, to] in the set? */
export function touches(set: IntervalSet, from: number, to: number): boolean {
  const next = set[firstEndingFrom(set, from)];
  return next !== undefined && next.from <= to;
}

/** The one interval that holds all of [from, to], if there is one. */
export function covering(set: IntervalSet, from: number, to: number): Interval | undefined {
  const next = set[firstEndingFrom(set, from)];
  return next !== undefined && next.from <= from && to <= next.to ? next : undefined;
}

/** How many milliseconds of [from, to] are in the set. */
export function lengthWithin(set: IntervalSet, from: number, to: number): number {
  return intersection(set, [{ from, to }]).reduce((sum, part) => sum + part.to - part.from, 0);
}

/** Index of the first interval that does not end before `at`. */
function firstEndingFrom(set: IntervalSet, at: number): number {
  let low = 0;
  let high = set.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((set[middle] as Interval).to < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The clock's resolution is far coarser than this; only the edge itself has to change sides.
const EDGE_MS = 1e-6;
const justBefore = (at: number): number => at - EDGE_MS;
const justAfter = (at: number): number => at + EDGE_MS;
