/** No false alarm on runs in which everything went right; and one planted wrong is always found, by its checker. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { CheckInput } from "../../../chaos/checkers/checker.ts";
import { checkers } from "../../../chaos/checkers/index.ts";
import { runCheckers } from "../../../chaos/checkers/run-checkers.ts";
import { faults, input } from "../history-builder.ts";
import { legalRun } from "../legal-run.ts";
import type { LegalRun } from "../legal-run.ts";

const REPLICAS = ["replica-1", "replica-2", "replica-3"];

const plan = fc.array(
  fc.record({
    kind: fc.constantFrom("appDown", "blackHole", "killed", "paused", "replicationDown"),
    node: fc.nat(3),
    at: fc.integer({ min: 500, max: 15_000 }),
    forMs: fc.integer({ min: 1, max: 8_000 }),
  }),
  { maxLength: 5 },
);
const options = fc.record({ seed: fc.nat(), reads: fc.constant(300) });

function judge(
  run: LegalRun,
  extraWrites: readonly [number, number][] = [],
  elsewhere: readonly number[] = [],
) {
  const none = Object.fromEntries(["primary", ...REPLICAS].map((node) => [node, 0]));
  const builder = run.builder
    .final(999_999, [...run.writes, ...extraWrites], elsewhere)
    .resources(999_999, { phase: "after-end", serverConnections: none });
  const checked: CheckInput = input(builder, { policy: run.policy, until: 999_999 });
  const claims = [
    "weights",
    "exact-weights",
    "lag-limit",
    "fallback",
    "log-once",
    "no-leak",
    "events",
  ] as const;
  return runCheckers(checkers, checked, claims);
}

test("a legal run is never found guilty", () => {
  let passed = 0;
  fc.assert(
    fc.property(plan, options, (planned, chosen) => {
      for (const { status, checker, summary } of judge(legalRun(planned, chosen)).verdicts) {
        expect(status, `${checker}: ${summary}`).not.toBe("fail");
        if (status === "pass") passed++;
      }
    }),
    { numRuns: 1_000 },
  );
  // Not because nothing was judged.
  expect(passed).toBeGreaterThan(5_000);
});

/** One wrong, planted after everything has become calm again; the name is that of the checker that must find it. */
const plants: readonly (readonly [string, string, (run: LegalRun) => Parameters<typeof judge>])[] = [
  ["availability", "a read that failed", (run) => at(run, (t, b) => b.read({ at: t, type: "fail" }))],
  ["availability", "a stall", (run) => at(run, (t, b) => b.read({ at: t, tookMs: 2_500, heartbeat: 9_999 }))],
  [
    "availability",
    "a write left in doubt",
    (run) => at(run, (t, b) => b.write({ id: 7_001, at: t, type: "info" })),
  ],
  ["write-safety", "a lost write", (run) => at(run, (t, b) => b.write({ id: 7_001, at: t }))],
  [
    "write-safety",
    "a write done twice",
    (run) => [at(run, (t, b) => b.write({ id: 7_001, at: t }))[0], [[7_001, 2]]],
  ],
  [
    "write-safety",
    "a failed write done",
    (run) => [at(run, (t, b) => b.write({ id: 7_001, at: t, type: "fail" }))[0], [[7_001, 1]]],
  ],
  ["write-safety", "a write elsewhere", (run) => [run, [], [7_001]]],
  [
    "bounded-staleness",
    "a stale read",
    (run) => at(run, (t, b) => b.read({ at: t, heartbeat: Math.floor((t - 1_600) / 100) })),
  ],
  [
    "lag-eviction",
    "a read on a replica that lags",
    (run) =>
      at(run, (t, b) =>
        b
          .fault(faults.paused("replica-2"), [t, t + 50], [t + 5_000, t + 5_100])
          .read({ at: t + 2_500, node: "replica-2", heartbeat: 9_999 }),
      ),
  ],
  [
    "fallback",
    "a read that failed instead of falling back",
    (run) => at(run, (t, b) => allDown(t, b).read({ at: t + 3_000, type: "fail" })),
  ],
  ["log-once", "a fallback that nobody told of", (run) => at(run, allDown)],
  [
    "log-once",
    "a warning too many",
    (run) =>
      at(run, (t, b) =>
        b.tell(t, {
          kind: "log",
          level: "warn",
          message: "no healthy read replicas available, falling back to primary",
        }),
      ),
  ],
  [
    "no-false-eviction",
    "a false eviction",
    (run) =>
      at(run, (t, b) =>
        b.tell(t, { kind: "evicted", node: "replica-3", reason: "lagging", basis: "planted" }),
      ),
  ],
  [
    "weight-fairness",
    "an unfair epoch",
    (run) =>
      at(run, (t, b) => {
        const picks = Array.from({ length: 6 }, () => "replica-3");
        for (const [i, node] of picks.entries()) b.read({ at: t + 10 * i, node, heartbeat: 9_999 });
        return b
          .tell(t, {
            kind: "epoch",
            epoch: 9_999,
            weights: { "replica-1": 30, "replica-2": 20, "replica-3": 10 },
          })
          .tell(t + 100, { kind: "epoch-picks", epoch: 9_999, picks, apart: 0 });
      }),
  ],
  [
    "routing",
    "a write on a replica",
    (run) => at(run, (t, b) => b.write({ id: 7_001, at: t, node: "replica-2" })),
  ],
  [
    "routing",
    "a transaction that moved",
    (run) =>
      at(run, (t, b) =>
        b.transaction({ at: t, evidence: ["replica-1", "replica-2"].map((node) => answeredBy(node, 9_999)) }),
      ),
  ],
  [
    "primary-protection",
    "a read on the primary",
    (run) => at(run, (t, b) => b.read({ at: t, node: "primary", heartbeat: 9_999 })),
  ],
  [
    "recovery",
    "a replica that never comes back",
    // Cut for two seconds; from 1,050 ms after the heal on it must have its sixth again.
    (run) => at(run, (t, b) => readers(cut(t, b), { from: t + 4_000, among: ["replica-1", "replica-2"] })),
  ],
  [
    "recovery",
    "a herd on the one that returns",
    (run) => at(run, (t, b) => readers(cut(t, b), { from: t + 2_150, among: ["replica-3"] })),
  ],
  [
    "no-flapping",
    "a second eviction for one fault",
    (run) =>
      at(run, (t, b) => {
        cut(t, b);
        for (const ms of [900, 1_300]) {
          b.tell(t + ms, { kind: "evicted", node: "replica-3", reason: "unreachable", basis: "planted" });
          b.tell(t + ms + 200, { kind: "readmitted", node: "replica-3" });
        }
        return b;
      }),
  ],
  ["view-vs-truth", "a loss that was not noticed", (run) => at(run, cut)],
  [
    "view-vs-truth",
    "a return that was not noticed",
    (run) =>
      at(run, (t, b) =>
        cut(t, b)
          .tell(t + 900, { kind: "evicted", node: "replica-3", reason: "unreachable", basis: "planted" })
          .read({ at: t + 9_000, heartbeat: 9_999 }),
      ),
  ],
  [
    "retry-safety",
    "an unknown write done twice",
    (run) => [at(run, (t, b) => b.write({ id: 7_001, at: t, type: "info" }))[0], [[7_001, 2]]],
  ],
  [
    "fairness-live",
    "a skew",
    (run) => at(run, (t, b) => readers(b, { from: t, among: ["replica-2", "replica-3"] })),
  ],
  [
    "no-leak",
    "a pool that outgrew its size",
    (run) => at(run, (t, b) => b.resources(t, { phase: "running", serverConnections: { "replica-1": 14 } })),
  ],
];

function at(
  run: LegalRun,
  plant: (t: number, builder: LegalRun["builder"]) => LegalRun["builder"],
): [LegalRun] {
  plant(run.calmAt, run.builder);
  return [run];
}

function answeredBy(node: string, heartbeat: number) {
  return { node, role: node === "primary" ? "primary" : "replica", heartbeat } as const;
}

/** Off from `t` + 50 to `t` + 2,000 for certain, seen healed 100 ms later. */
function cut(t: number, builder: LegalRun["builder"]): LegalRun["builder"] {
  return builder.fault(faults.appDown("replica-3"), [t, t + 50], [t + 2_000, t + 2_100]);
}

/** 150 reads, one every 5 ms, shared by some in turn. */
function readers(
  builder: LegalRun["builder"],
  { from, among }: { from: number; among: readonly string[] },
): LegalRun["builder"] {
  for (let i = 0; i < 150; i++) {
    const node = among[i % among.length] as string;
    builder.read({ at: from + 5 * i, process: 500_000 + i, node, heartbeat: 9_999 });
  }
  return builder;
}

function allDown(t: number, builder: LegalRun["builder"]): LegalRun["builder"] {
  for (const node of REPLICAS) builder.fault(faults.appDown(node), [t, t + 50], [t + 5_000, t + 5_100]);
  return builder;
}

test.each(plants)("%s finds %s in any run", (name, _, plant) => {
  fc.assert(
    fc.property(plan, options, (planned, chosen) => {
      const { verdicts } = judge(...plant(legalRun(planned, { ...chosen, reads: 60 })));
      const verdict = verdicts.find(({ checker }) => checker === name);
      expect(verdict?.status, verdict?.summary).toBe("fail");
    }),
    { numRuns: 100 },
  );
});
