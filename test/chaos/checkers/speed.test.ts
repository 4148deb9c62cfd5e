import { expect, test } from "vitest";
import { checkers } from "../../../chaos/checkers/index.ts";
import { runCheckers } from "../../../chaos/checkers/run-checkers.ts";
import { longHistory } from "../long-history.ts";
import { testPolicy } from "../history-builder.ts";

const CLAIMS = [
  "weights",
  "exact-weights",
  "lag-limit",
  "fallback",
  "log-once",
  "no-leak",
  "read-your-writes",
  "monotonic-reads",
  "events",
] as const;

test("200,000 operations go through all checkers in a few seconds", { timeout: 30_000 }, () => {
  const history = longHistory(200_000);
  const begunAt = performance.now();
  const { verdicts } = runCheckers(
    checkers,
    {
      history,
      policy: testPolicy(),
      primary: "primary",
      replicas: ["replica-1", "replica-2", "replica-3"],
      from: 0,
      until: Infinity,
    },
    CLAIMS,
  );
  const tookMs = performance.now() - begunAt;
  const statuses = Object.fromEntries(verdicts.map(({ checker, status }) => [checker, status]));
  expect(statuses).toEqual({
    availability: "pass",
    routing: "pass",
    fallback: "unknown",
    "primary-protection": "pass",
    recovery: "pass",
    liveness: "unknown",
    "weight-fairness": "pass",
    "fairness-live": "pass",
    "bounded-staleness": "pass",
    "session-order": "pass",
    "long-fork": "pass",
    "lag-eviction": "unknown",
    "no-false-eviction": "pass",
    "no-flapping": "pass",
    "view-vs-truth": "pass",
    "write-safety": "pass",
    "retry-safety": "pass",
    "log-once": "unknown",
    "no-leak": "pass",
  });
  // A million in 10 s; a fifth of it here, on a machine that may be busy, in twice its share.
  expect(tookMs).toBeLessThan(4_000);
});
