/**
 * What became of a call that failed: `fail`, it certainly did not happen, or `info`, nobody knows. A read that failed
 * has no effect to be in doubt of. A write counts as `fail` only where something proves it: whatever is not known here
 * is `info`. Pure.
 */
import { messageOf } from "../../src/errors.ts";
import type { OperationError, OperationFunction } from "../history/operation.ts";
import { DeadlineError } from "../../src/runtime/clock.ts";

export interface FailedOutcome {
  readonly type: "fail" | "info";
  readonly error: OperationError;
}

/** The session gave up waiting. */
export const GAVE_UP = "GAVE_UP";

export function failedOutcome(f: OperationFunction, error: unknown): FailedOutcome {
  const told: OperationError = { code: codeOf(error), message: messageOf(error) };
  const isWrite = f === "write" || f === "heartbeat";
  return { type: isWrite && !provesNothingHappened(error) ? "info" : "fail", error: told };
}

/** By name and code, not by class: a subject may bring its own copy of whatever threw. */
function provesNothingHappened(error: unknown): boolean {
  if (error instanceof DeadlineError) return false;
  const { name, code, severity, message } = fieldsOf(error);
  if (name === "RouterError") return ROUTER_NOT_SENT.has(code);
  if (severity !== "") {
    // Only an ERROR leaves the session alive to say that it rolled back. A FATAL counts when it ended the start-up.
    return severity === "ERROR" || FATAL_AT_START.has(code) || code.startsWith("28");
  }
  if (SYSTEM_NOT_CONNECTED.has(code)) return true;
  return NOT_CONNECTED_TEXTS.some((text) => message.startsWith(text));
}

const ROUTER_NOT_SENT: ReadonlySet<string> = new Set([
  "NO_PRIMARY",
  "NO_ELIGIBLE_NODE",
  "POOL_EXHAUSTED",
  "TRANSACTION_NEEDS_CLIENT",
  "POOLER_UNSUPPORTED",
  "CONFIG_INVALID",
  "CLOSED",
]);

const FATAL_AT_START: ReadonlySet<string> = new Set(["57P03", "53300", "3D000"]);

const SYSTEM_NOT_CONNECTED: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** `pg` tells these apart by text alone. */
const NOT_CONNECTED_TEXTS: readonly string[] = [
  "timeout exceeded when trying to connect",
  "Connection terminated due to connection timeout",
  "Cannot use a pool after calling end on the pool",
];

function codeOf(error: unknown): string {
  if (error instanceof DeadlineError) return GAVE_UP;
  const { code, name } = fieldsOf(error);
  return code === "" ? name : code;
}

interface ErrorFields {
  readonly name: string;
  readonly code: string;
  readonly severity: string;
  readonly message: string;
}

function fieldsOf(error: unknown): ErrorFields {
  const fields = (typeof error === "object" && error !== null ? error : {}) as Readonly<
    Record<string, unknown>
  >;
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    name: text(fields["name"]) || "Error",
    code: text(fields["code"]),
    severity: text(fields["severity"]),
    message: text(fields["message"]),
  };
}
