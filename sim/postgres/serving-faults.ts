/** Faults of servers that are there and do not serve as they should: cancelled, full, slow, or in another role. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import { type Estate, requireNode } from "../nemesis/estate.ts";
import type { FaultTable } from "../nemesis/procedure.ts";
import { serverFull, statementsSlow } from "./overload-faults.ts";
import { recoveryConflict } from "./recovery-conflict.ts";
import { replicaFed } from "./replica-fed.ts";
import { replicaPromoted } from "./replica-promoted.ts";
import { tableAltered } from "./table-altered.ts";

export interface ServingFaultsOptions {
  readonly estate: Estate;
  /** Straight to the node, with an application's rights. */
  readonly connectAsApplication: (node: NodeName) => Promise<DirectConnection>;
  /** Throws the node's data away and makes it a replica of the primary again. */
  readonly rebuild: (node: NodeName) => Promise<void>;
  /** Where a server keeps its WAL, readable by all of them. */
  readonly walFolderOf: (node: NodeName) => string;
}

export function servingFaults(options: ServingFaultsOptions): FaultTable {
  const { estate, connectAsApplication, rebuild, walFolderOf } = options;
  const existing = (node: NodeName): NodeName => requireNode(estate, node);
  return {
    "recovery-conflict": ({ node }) => recoveryConflict(estate, existing(node)),
    "replica-promoted": ({ node }) => replicaPromoted({ estate, node: existing(node), rebuild }),
    "server-full": ({ node, slots }) =>
      serverFull({ estate, node: existing(node), slots, connectAsApplication }),
    "replica-fed": ({ node, by }) => replicaFed({ estate, node: existing(node), by, walFolderOf }),
    "table-altered": ({ node }) => tableAltered(estate, existing(node)),
    "statements-slow": ({ node, takeMs }) => statementsSlow({ estate, node: existing(node), takeMs }),
  };
}
