/**
 * Everything at once, as the seed draws it: each run takes some kinds of faults and leaves others out, so that runs differ in
 * kind and not only in time. On each node one fault at a time. In the end the primary and one replica are healed, the
 * rest stays broken, and that must be enough.
 */
import { availability } from "../checkers/availability.ts";
import { boundedStaleness } from "../checkers/bounded-staleness.ts";
import { liveness } from "../checkers/liveness.ts";
import { noFalseEviction } from "../checkers/no-false-eviction.ts";
import { noLeak } from "../checkers/no-leak.ts";
import { routing } from "../checkers/routing.ts";
import { writeSafety } from "../checkers/write-safety.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { RouterConfig } from "../../src/config/config.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { Fault, FaultKind } from "../faults/fault.ts";
import type { Scenario, Step } from "./scenario.ts";
import { timingOf } from "./timing.ts";

type FaultOn = (node: string, policy: RouterConfig) => Fault;

/** What can befall a replica, and its link to the application. */
const ON_REPLICA: readonly FaultOn[] = [
  (node) => ({ kind: "node-killed", node }),
  (node) => ({ kind: "link-down", link: `app:${node}` }),
  (node) => ({ kind: "link-black-hole", link: `app:${node}` }),
  (node, { healthCheck }) => ({
    kind: "link-latency",
    link: `app:${node}`,
    // One slow replica that is left alone with all reads must still have connections enough for them.
    latencyMs: healthCheck.timeoutMs / 10,
    direction: "both",
  }),
  (node) => ({ kind: "link-reset", link: `app:${node}` }),
  (node) => ({ kind: "node-frozen", node }),
  (node) => ({ kind: "server-full", node, slots: "free" }),
  (node) => ({ kind: "replay-paused", node }),
];

/** What can befall its link to the primary. Nothing runs through it, so that nobody could see it, while that is dead. */
const ON_REPLICATION: readonly FaultOn[] = [
  (node) => ({ kind: "link-down", link: `replication:${node}` }),
  (node) => ({ kind: "link-black-hole", link: `replication:${node}` }),
];

const PRIMARY_KILLED: FaultOn = (node) => ({ kind: "node-killed", node });

const ON_PRIMARY: readonly FaultOn[] = [
  (node) => ({ kind: "link-down", link: `app:${node}` }),
  (node) => ({ kind: "link-black-hole", link: `app:${node}` }),
  (node) => ({ kind: "write-transaction-open", node }),
  (node) => ({ kind: "wal-switched", node }),
  (node) => ({ kind: "checkpointed", node }),
];

const NEEDS: readonly FaultKind[] = [
  "node-killed",
  "link-down",
  "link-black-hole",
  "link-latency",
  "link-reset",
  "node-frozen",
  "server-full",
  "replay-paused",
  "write-transaction-open",
  "wal-switched",
  "checkpointed",
];

/** A kind weighs so little that it is left out, or up to three times as much as another. */
const HEAVIEST = 3;

/** On each node, one after the other. */
const FAULTS_PER_NODE = 2;

export const storm: Scenario = {
  name: "storm",
  title:
    "After a storm of random faults the primary and one replica are enough: reads flow, leave the primary, and nobody well stays out.",
  extended: true,
  needs: NEEDS,
  schedule: ({ policy, primary, replicas, prng }) => {
    const { calmMs, catchUpAndReturnMs } = timingOf(policy);
    const survivor = prng.pick(replicas);
    const primaryDies = prng.chance(2);
    const drawReplicaFault = swarm(primaryDies ? ON_REPLICA : [...ON_REPLICA, ...ON_REPLICATION], prng);
    const drawPrimaryFault = swarm(primaryDies ? [PRIMARY_KILLED, ...ON_PRIMARY] : ON_PRIMARY, prng);
    // Long enough to be noticed in half of the cases, and over within the storm.
    const longestMs = 1.5 * budgets(policy).downMs;
    const steps = [primary, ...replicas].flatMap((node): Step[] => {
      const draw = node === primary ? drawPrimaryFault : drawReplicaFault;
      const survives = node === primary || node === survivor;
      return Array.from({ length: FAULTS_PER_NODE }, (_, round) => {
        const staysOn = !survives && round === FAULTS_PER_NODE - 1;
        return {
          kind: "fault",
          atMs: calmMs + round * longestMs + prng.integer(Math.ceil(longestMs / 2)),
          forMs: staysOn ? 0 : 1 + prng.integer(longestMs),
          fault: draw()(node, policy),
          lane: node,
          ...(staysOn ? { staysOn } : {}),
        };
      });
    });
    // Who fell ill twice may be kept out for longer the second time.
    const { rise, intervalMs } = policy.healthCheck;
    return { steps, watchMs: catchUpAndReturnMs + FAULTS_PER_NODE * rise * intervalMs };
  },
  checkers: [availability, liveness, routing, writeSafety, boundedStaleness, noFalseEviction, noLeak],
};

/** Draws from a random part of `all`, each with a weight of its own. */
function swarm<T>(all: readonly T[], prng: Prng): () => T {
  const certain = prng.pick(all);
  const bag = all.flatMap((each) => {
    const weight = prng.integer(HEAVIEST + 1);
    return Array.from({ length: each === certain ? Math.max(1, weight) : weight }, () => each);
  });
  return () => prng.pick(bag);
}
