/** The last look: what stands in the write table of every node, when everything is healed and nobody writes any more. */
import type { FinalState } from "../history/operation.ts";
import { COUNT_WRITES } from "../workload/statements.ts";
import type { Cluster } from "../world.ts";

interface WriteCount {
  readonly id: number;
  readonly count: number;
}

/** @throws what a node said that did not answer: without it nothing is known of writes that went astray */
export async function lookAtWrites(cluster: Cluster): Promise<Pick<FinalState, "writes" | "elsewhere">> {
  const [onPrimary, ...onReplicas] = await Promise.all(
    [cluster.primary, ...cluster.replicas].map((node) => cluster.sql<WriteCount>(node, COUNT_WRITES)),
  );
  const writes = (onPrimary ?? []).map(({ id, count }) => [id, count] as const);
  const known = new Set(writes.map(([id]) => id));
  const elsewhere = new Set(onReplicas.flat().map(({ id }) => id));
  return { writes, elsewhere: [...elsewhere].filter((id) => !known.has(id)).sort((a, b) => a - b) };
}
