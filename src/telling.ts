/** Which transitions an operator hears of, and in which words. One line a transition. */
import type { EngineNotice } from "./engine.ts";
import type { Logger } from "./runtime/logger.ts";

export const FALLBACK_WARNING = "no healthy read replicas available, falling back to primary";
export const FALLBACK_ENDED = "read replicas are available again, fallback to primary has ended";

export function tellLogger(log: Logger): (notice: EngineNotice) => void {
  let nudgeRefused = false;
  /** What a node's last probe failed of: a wrong password, say. */
  const causes = new Map<string, string>();
  return (notice) => {
    switch (notice.kind) {
      case "fallback-started":
        log.warn(FALLBACK_WARNING);
        break;
      case "fallback-ended":
        log.info(FALLBACK_ENDED);
        break;
      case "evicted":
        log.warn(`replica evicted: ${notice.reason}`, {
          node: notice.node,
          basis: notice.basis,
          cause: notice.reason === "unreachable" ? causes.get(notice.node) : undefined,
        });
        break;
      case "readmitted":
        log.info("replica readmitted", { node: notice.node, standing: notice.standing });
        break;
      case "primary-down":
        log.warn(`primary down: ${notice.reason}`, {
          node: notice.node,
          cause: notice.reason === "unreachable" ? causes.get(notice.node) : undefined,
        });
        break;
      case "primary-up":
        log.info("primary up", { node: notice.node });
        break;
      case "pooler-found":
        log.warn(
          "a connection pooler stands before this node: session state and named statements are refused on it",
          {
            node: notice.node,
          },
        );
        break;
      case "receiver-hidden":
        log.info(
          `the role "${notice.user}" may not see pg_stat_wal_receiver, so a missing WAL receiver is never named as a reason: ` +
            `grant pg_monitor to ${quoted(notice.user)}`,
        );
        break;
      case "nudge-failed":
        // Once: the reason is a missing right, which does not come by itself.
        if (!nudgeRefused) {
          nudgeRefused = true;
          log.warn(
            "lagNudge cannot write a WAL message on the primary: an idle primary may make replicas look behind " +
              "(grant execute on pg_logical_emit_message, or set lagNudge: false)",
            { cause: notice.message },
          );
        }
        break;
      case "time-jumped":
      case "local-stall":
        log.info("our own process stood still: measurements before are void", { kind: notice.kind });
        break;
      case "joined":
      case "restored":
      case "draining":
      case "undrained":
        log.info(`replica ${notice.kind}`, { node: notice.node });
        break;
      case "probe-failed":
        causes.set(notice.node, notice.message);
        log.debug("probe failed", { node: notice.node, cause: notice.message });
        break;
      case "epoch":
        log.debug("shares changed", { epoch: notice.epoch });
        break;
    }
  };
}

/** As SQL takes it. */
function quoted(identifier: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : `"${identifier.replaceAll('"', '""')}"`;
}
