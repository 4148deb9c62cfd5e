/** Where one request goes: (view, request, now) → decision and the view after it. */
import { isPrimaryUnknown } from "./bound.ts";
import type { ClusterView } from "./model.ts";
import { selectApart, selectNext } from "./select.ts";

export interface Request {
  readonly kind: "read" | "write";
  /** Nodes that have failed this very request already. */
  readonly avoid?: ReadonlySet<string> | undefined;
  /** The last try: the primary rather than a replica that may be going the same way. */
  readonly lastTry?: boolean;
  /** The caller's last write was acknowledged at this time: only nodes proved past it may answer. */
  readonly after?: number | undefined;
}

export type DecisionReason =
  /** The statement needs the primary. */
  | "write"
  /** The weighted choice among the eligible. */
  | "weighted"
  /** As `weighted`, among those that have not failed this request yet. */
  | "retry"
  /** As `weighted`, among those proved to hold the caller's own write. */
  | "own-write-proved"
  /** The primary, because no replica is proved to hold the caller's own write yet. */
  | "own-write"
  /** The primary, because no replica is eligible. */
  | "fallback"
  /** The primary, because no replica has been seen yet or all wait for a fresh sample. */
  | "no-replica-yet"
  /** The primary, because the split is switched off or there is no replica. */
  | "split-off";

export type Decision =
  | {
      readonly kind: "route";
      readonly node: string;
      readonly role: "primary" | "replica";
      readonly reason: DecisionReason;
      readonly epoch: number;
    }
  | { readonly kind: "refuse"; readonly code: "NO_PRIMARY" | "NO_ELIGIBLE_NODE"; readonly message: string };

export interface Decided {
  readonly decision: Decision;
  readonly view: ClusterView;
}

export function decide(view: ClusterView, request: Request, now: number): Decided {
  if (request.kind === "write") return { decision: toPrimary(view, "write"), view };
  if (view.replicas.length === 0) return { decision: toPrimary(view, "split-off"), view };
  if (view.config.whenPrimaryUnknown === "reject" && isPrimaryUnknown(view, now)) {
    return {
      decision: refuse(
        "NO_ELIGIBLE_NODE",
        "the primary is unknown, so no replica's lag can be bounded (whenPrimaryUnknown: reject)",
      ),
      view,
    };
  }
  if (view.selection.candidates.length === 0) return { decision: withoutReplica(view), view };
  if (
    request.lastTry === true &&
    view.config.fallback.to === "primary" &&
    view.primary.standing.kind !== "down"
  ) {
    return { decision: toPrimary(view, "retry"), view };
  }
  if (request.avoid === undefined && request.after === undefined) {
    const { index, selection } = selectNext(view.selection);
    return { decision: toReplica(view, index, "weighted"), view: { ...view, selection } };
  }
  return decideAmongFewer(view, request);
}

function decideAmongFewer(view: ClusterView, { avoid, after }: Request): Decided {
  const picked = selectApart(
    view.selection,
    (name) => avoid?.has(name) !== true && (after === undefined || isProvedAfter(view, name, after)),
  );
  if (picked !== undefined) {
    const reason = avoid === undefined ? "own-write-proved" : "retry";
    return {
      decision: toReplica(view, picked.index, reason),
      view: { ...view, selection: picked.selection },
    };
  }
  if (after !== undefined) return { decision: toPrimary(view, "own-write"), view };
  return { decision: withoutReplica(view), view };
}

/** Covered by a sample of the primary that was sent after the write returned. */
function isProvedAfter(view: ClusterView, name: string, after: number): boolean {
  const covered = view.replicas.find((replica) => replica.name === name)?.coveredAt;
  return covered !== undefined && covered >= after;
}

function withoutReplica(view: ClusterView): Decision {
  if (view.config.fallback.to === "error") {
    return refuse("NO_ELIGIBLE_NODE", "no replica is eligible, and fallback.to is error");
  }
  return toPrimary(view, view.fallback ? "fallback" : "no-replica-yet");
}

function toReplica(view: ClusterView, index: number, reason: DecisionReason): Decision {
  const { selection } = view;
  const node = (selection.candidates[index] as { readonly name: string }).name;
  return { kind: "route", node, role: "replica", reason, epoch: selection.epoch };
}

function toPrimary(view: ClusterView, reason: DecisionReason): Decision {
  const { primary } = view;
  if (primary.standing.kind === "down") {
    const why = primary.standing.reason === "wrong-role" ? "is in recovery" : "does not answer";
    return reason === "write" || reason === "split-off"
      ? refuse("NO_PRIMARY", `the primary "${primary.name}" ${why}`)
      : refuse(
          "NO_ELIGIBLE_NODE",
          `no replica may serve this read, and the primary "${primary.name}" ${why}`,
        );
  }
  return { kind: "route", node: primary.name, role: "primary", reason, epoch: view.selection.epoch };
}

function refuse(code: "NO_PRIMARY" | "NO_ELIGIBLE_NODE", message: string): Decision {
  return { kind: "refuse", code, message };
}
