/** All checkers, as data: for the docs, for tests, and for whoever looks one up by name. */
import { availability } from "./availability.ts";
import { boundedStaleness } from "./bounded-staleness.ts";
import type { Checker } from "./checker.ts";
import { fairnessLive } from "./fairness-live.ts";
import { fallback } from "./fallback.ts";
import { lagEviction } from "./lag-eviction.ts";
import { liveness } from "./liveness.ts";
import { logOnce } from "./log-once.ts";
import { longFork } from "./long-fork.ts";
import { noFalseEviction } from "./no-false-eviction.ts";
import { noFlapping } from "./no-flapping.ts";
import { noLeak } from "./no-leak.ts";
import { primaryProtection } from "./primary-protection.ts";
import { recovery } from "./recovery.ts";
import { retrySafety } from "./retry-safety.ts";
import { routing } from "./routing.ts";
import { sessionOrder } from "./session-order.ts";
import { viewVsTruth } from "./view-vs-truth.ts";
import { weightFairness } from "./weight-fairness.ts";
import { writeSafety } from "./write-safety.ts";

export const checkers: readonly Checker[] = [
  availability,
  routing,
  fallback,
  primaryProtection,
  recovery,
  liveness,
  weightFairness,
  fairnessLive,
  boundedStaleness,
  sessionOrder,
  longFork,
  lagEviction,
  noFalseEviction,
  noFlapping,
  viewVsTruth,
  writeSafety,
  retrySafety,
  logOnce,
  noLeak,
];
