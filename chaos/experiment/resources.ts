/** How many connections the subject has on each server, asked of the servers themselves. */
import { sleep, withDeadline } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Cluster } from "../world.ts";

const SAMPLE_TIMEOUT_MS = 1_000;
const SAMPLE_EVERY_MS = 1_000;
const GONE_TIMEOUT_MS = 2_000;
const GONE_POLL_MS = 50;

const COUNT = "select count(*)::integer as count from pg_stat_activity where application_name = $1";

export interface ResourceOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly applicationName: string;
}

/** By node; one that does not answer is left out. */
export async function countConnections(options: ResourceOptions): Promise<Record<string, number>> {
  const { cluster, clock, applicationName } = options;
  const counts: Record<string, number> = {};
  await Promise.all(
    cluster.nodes.map(async (node) => {
      try {
        const asked = cluster.sql<{ count: number }>(node, COUNT, [applicationName]);
        const [row] = await withDeadline(clock, asked, {
          what: `counting connections on ${node}`,
          timeoutMs: SAMPLE_TIMEOUT_MS,
        });
        if (row !== undefined) counts[node] = row.count;
      } catch {
        // Dead or cut off, which is what happens here: others say what they see.
      }
    }),
  );
  return counts;
}

/** Looks once a second until the signal ends it. */
export async function watchConnections(
  options: ResourceOptions & {
    readonly signal: AbortSignal;
    readonly onSample: (counts: Record<string, number>) => void;
  },
): Promise<void> {
  while (!options.signal.aborted) {
    options.onSample(await countConnections(options));
    await sleep(options.clock, SAMPLE_EVERY_MS, options.signal).catch(() => undefined);
  }
}

/** Looks until there is none left, for at most 2 s: a server takes its time to notice that a client has gone. */
export async function countUntilGone(options: ResourceOptions): Promise<Record<string, number>> {
  const deadline = options.clock.now() + GONE_TIMEOUT_MS;
  for (;;) {
    const counts = await countConnections(options);
    const left = Object.values(counts).some((count) => count > 0);
    if (!left || options.clock.now() >= deadline) return counts;
    await sleep(options.clock, GONE_POLL_MS);
  }
}
