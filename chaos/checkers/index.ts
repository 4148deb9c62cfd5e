/** All checkers, as data: for the docs, for tests, and for whoever looks one up by name. */
import { availability } from "./availability.ts";
import { boundedStaleness } from "./bounded-staleness.ts";
import type { Checker } from "./checker.ts";
import { fallback } from "./fallback.ts";
import { lagEviction } from "./lag-eviction.ts";
import { logOnce } from "./log-once.ts";
import { noFalseEviction } from "./no-false-eviction.ts";
import { noLeak } from "./no-leak.ts";
import { weightFairness } from "./weight-fairness.ts";
import { writeSafety } from "./write-safety.ts";

export const checkers: readonly Checker[] = [
  availability,
  fallback,
  weightFairness,
  boundedStaleness,
  lagEviction,
  noFalseEviction,
  writeSafety,
  logOnce,
  noLeak,
];
