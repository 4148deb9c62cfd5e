/**
 * What cannot work behind a transaction pooler: it hands every transaction another server connection, so whatever a
 * statement leaves in its session would meet somebody else, and nobody would find it again.
 */
import { nameOf } from "./driver/query-config.ts";
import { RouterError } from "./errors.ts";
import type { Classification } from "./routing/classification.ts";

/** Why a statement may not be sent to a node behind a pooler; undefined when it may. */
export function poolerRefusal(
  node: string,
  input: unknown,
  classification: Classification,
): RouterError | undefined {
  const name = nameOf(input);
  if (name !== undefined) {
    return refusal(
      node,
      `the named statement "${name}" would be prepared on a connection that the next call does not get`,
      "Leave the name out",
    );
  }
  if (!classification.pinsSession) return undefined;
  return refusal(
    node,
    `what this statement (${classification.reason}) leaves in its session would meet other callers`,
    "Use SET LOCAL or a transaction-level lock inside a transaction",
  );
}

function refusal(node: string, why: string, instead: string): RouterError {
  return new RouterError(
    "POOLER_UNSUPPORTED",
    `a transaction pooler stands before "${node}": ${why}. ${instead}, or give the router the server's own address`,
    { node },
  );
}
