/** What proofs ask of an estate, whatever it runs on: who is where, and a way to each server that no fault touches. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import type { TcpAddress } from "./tcp.ts";

export interface EstateConnection extends DirectConnection {
  /** Lets go at once, without the goodbye that a frozen server would not take. */
  destroy(): void;
}

export interface Estate {
  readonly clock: Clock;
  readonly nodes: readonly NodeName[];
  /** Straight to the node, as superuser. */
  connect(node: NodeName): Promise<EstateConnection>;
  /** Where the node itself listens. */
  address(node: NodeName): TcpAddress;
  /** Whose WAL a node gets: its own, when it is a primary. */
  leaderOf(node: NodeName): NodeName;
}

/** @throws Error that names the nodes there are, when it is none of them */
export function requireNode(estate: Estate, node: NodeName): NodeName {
  if (estate.nodes.includes(node)) return node;
  throw new Error(`there is no node ${node}: ${estate.nodes.join(", ")}`);
}
