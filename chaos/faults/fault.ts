/**
 * The vocabulary of what can be broken, as pure data. A world's nemesis says which of these it can inject;
 * nothing here knows how it is done.
 */

/** A PostgreSQL server of the cluster: `primary`, `replica-1`, `replica-2`, … */
export type NodeName = string;

/**
 * One network path. `app:<node>` is what the application uses to reach a node; `replication:<node>` is what
 * that replica uses to stream from the primary. Each runs through a proxy of its own.
 */
export type LinkName = `app:${NodeName}` | `replication:${NodeName}`;

/** Seen from the client's side of the link, as in Toxiproxy: `downstream` is server → client. */
export type Direction = "upstream" | "downstream" | "both";

export type Fault =
  /** The link refuses: live connections are closed, new ones are refused. */
  | { readonly kind: "link-down"; readonly link: LinkName }
  /** The link swallows everything, silently: connections stay open and nothing arrives. */
  | { readonly kind: "link-black-hole"; readonly link: LinkName }
  /** Every chunk is delayed. */
  | {
      readonly kind: "link-latency";
      readonly link: LinkName;
      readonly latencyMs: number;
      readonly direction: Direction;
    }
  /** SIGKILL of the server; the node is started again on heal. */
  | { readonly kind: "node-killed"; readonly node: NodeName }
  /** WAL replay paused on a replica: it serves reads that get older and older. */
  | { readonly kind: "replay-paused"; readonly node: NodeName }
  /** A transaction on the primary that has written and stays open: WAL that no commit closes. */
  | { readonly kind: "write-transaction-open"; readonly node: NodeName }
  /** The primary's insert position stands just behind a page header, where no standby ever replays to. */
  | { readonly kind: "wal-at-page-boundary"; readonly node: NodeName }
  /** `pg_switch_wal()`: the position jumps to the next segment. Nothing to heal. */
  | { readonly kind: "wal-switched"; readonly node: NodeName }
  /** `CHECKPOINT`: WAL without a commit. Nothing to heal. */
  | { readonly kind: "checkpointed"; readonly node: NodeName };

export type FaultKind = Fault["kind"];

/** What a fault acts on, for reports: a link's or a node's name. */
export function faultTarget(fault: Fault): string {
  return "link" in fault ? fault.link : fault.node;
}

/** A fault in a few words: `link-latency app:replica-1 latencyMs=500 direction=both`. */
export function describeFault(fault: Fault): string {
  const { kind, ...rest } = fault;
  const details = Object.entries(rest)
    .filter(([key]) => key !== "link" && key !== "node")
    .map(([key, value]) => ` ${key}=${String(value)}`);
  return `${kind} ${faultTarget(fault)}${details.join("")}`;
}
