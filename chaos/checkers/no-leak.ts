/**
 * Pools stay within their sizes, and when the router has been closed nothing of it is left: no connection on any server,
 * no handle in its process. Judged from pg_stat_activity, asked directly, and from the process' own handles.
 */
import type { RouterConfig } from "../../src/config/config.ts";
import { touches } from "../history/intervals.ts";
import type { ResourceSample } from "../history/operation.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

/**
 * Connections beside the pool, for each node: the probe's own, and two for what is short: reading the catalogue,
 * and a cancel request or a connection that the server has not seen closed yet.
 */
export const CONNECTIONS_BESIDE_POOL = 3;

export const noLeak: Checker = {
  name: "no-leak",
  guarantee:
    "Connections stay within the configured pools, and none, nor any handle, is left after the router closed.",
  claim: "no-leak",

  check(input) {
    const samples = input.history.filter((entry) => entry.type === "resources");
    const truth = deriveTruth(input);
    const violations = new Violations();
    const peak = judgeRunning(samples, { input, truth, violations });
    const before = samples.findLast(({ phase }) => phase === "before-start");
    const after = samples.findLast(({ phase }) => phase === "after-end");
    if (after !== undefined) judgeEnd(after, before, violations);
    const unseen =
      after === undefined ? [] : nodesOf(input).filter((node) => !(node in after.serverConnections));
    return verdictOf({
      checker: noLeak.name,
      violations,
      evidence: after === undefined ? 0 : samples.length,
      figures: { samples: samples.length, peakConnections: peak },
      held: `${samples.length} samples: at most ${peak} connections on a node, none after the end${after?.handles === undefined || before?.handles === undefined ? "" : ", and no handle more than before"}`,
      nothing: "nobody looked at the servers after the router closed",
      doubts: unseen.map((node) => `${node} was not asked after the end`),
    });
  },
};

interface Judging {
  readonly input: CheckInput;
  readonly truth: Truth;
  readonly violations: Violations;
}

/** The most connections that were seen on one node. */
function judgeRunning(samples: readonly ResourceSample[], { input, truth, violations }: Judging): number {
  let peak = 0;
  for (const sample of samples) {
    if (sample.phase !== "running") continue;
    for (const [node, count] of Object.entries(sample.serverConnections)) {
      peak = Math.max(peak, count);
      const limit = poolMax(input.policy, node, input.primary);
      if (limit === undefined || count <= limit + CONNECTIONS_BESIDE_POOL) continue;
      // A server behind a broken link does not learn that the router has hung up.
      if (touches(unsettledOf(truth, node), sample.at, sample.at)) continue;
      violations.add(
        [sample.index],
        () =>
          `${node} had ${count} connections; its pool allows ${limit} and ${CONNECTIONS_BESIDE_POOL} beside it`,
      );
    }
  }
  return peak;
}

function judgeEnd(after: ResourceSample, before: ResourceSample | undefined, violations: Violations): void {
  for (const [node, count] of Object.entries(after.serverConnections)) {
    if (count > 0)
      violations.add([after.index], () => `${node} still had ${count} connections after the end`);
  }
  if (after.handles === undefined || before?.handles === undefined) return;
  for (const [kind, count] of Object.entries(after.handles)) {
    const had = before.handles[kind] ?? 0;
    if (count <= had) continue;
    violations.add(
      [before.index, after.index],
      () => `${count} open ${kind} after the end, ${had} before the start`,
    );
  }
}

function poolMax(policy: RouterConfig, node: string, primary: string): number | undefined {
  if (node === primary) return policy.primary.pool.max;
  return policy.replicas.find(({ name }) => name === node)?.pool.max;
}

function unsettledOf(truth: Truth, node: string): Truth["noReplica"] {
  return (truth.primary.name === node ? truth.primary : truth.replicas.get(node))?.unsettled ?? [];
}

function nodesOf({ primary, replicas }: CheckInput): readonly string[] {
  return [primary, ...replicas];
}
