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
  /** The link resets: whoever sends anything through it, on a connection from before or a new one, gets a TCP reset. */
  | { readonly kind: "link-reset"; readonly link: LinkName }
  /** The link trickles: each connection gets so much in each direction. Toxiproxy counts in steps of 1,000. */
  | { readonly kind: "link-bandwidth"; readonly link: LinkName; readonly bytesPerSecond: number }
  /** Live connections are closed, new ones are neither taken nor refused: as behind a firewall that drops SYNs. */
  | { readonly kind: "link-syn-black-hole"; readonly link: LinkName }
  /** SIGKILL of the server; the node is started again on heal. */
  | { readonly kind: "node-killed"; readonly node: NodeName }
  /** SIGSTOP of the server with all its processes: connections stay open, and nothing answers. */
  | { readonly kind: "node-frozen"; readonly node: NodeName }
  /** SIGSTOP of the postmaster alone: existing connections answer, new ones hang. */
  | { readonly kind: "postmaster-frozen"; readonly node: NodeName }
  /** WAL replay paused on a replica: it serves reads that get older and older. */
  | { readonly kind: "replay-paused"; readonly node: NodeName }
  /** A transaction on the primary that has written and stays open: WAL that no commit closes. */
  | { readonly kind: "write-transaction-open"; readonly node: NodeName }
  /** The primary's insert position stands just behind a page header, where no standby ever replays to. */
  | { readonly kind: "wal-at-page-boundary"; readonly node: NodeName }
  /** `pg_switch_wal()`: the position jumps to the next segment. Nothing to heal. */
  | { readonly kind: "wal-switched"; readonly node: NodeName }
  /** `CHECKPOINT`: WAL without a commit. Nothing to heal. */
  | { readonly kind: "checkpointed"; readonly node: NodeName }
  /**
   * Recovery on a replica cancels, again and again and at once, whatever holds an older snapshot there: a running statement with an
   * ERROR, a transaction that is idle with a FATAL, both of 40001.
   */
  | { readonly kind: "recovery-conflict"; readonly node: NodeName }
  /** A replica is a primary of its own: it takes writes that nobody else gets, and gets nothing more. Rebuilt on heal. */
  | { readonly kind: "replica-promoted"; readonly node: NodeName }
  /**
   * No connection slot is left for the application (53300). Those it has stay (`free`: only free ones are taken), or
   * are taken away from it first (`all`).
   */
  | { readonly kind: "server-full"; readonly node: NodeName; readonly slots: "free" | "all" }
  /** A replica streams from another replica, or has no WAL receiver and gets all it has from an archive. No loss, only another way. */
  | { readonly kind: "replica-fed"; readonly node: NodeName; readonly by: "replica" | "archive" }
  /** The workload's extra table gets a column on the primary and loses it, again and again: plans of named statements become stale. */
  | { readonly kind: "table-altered"; readonly node: NodeName }
  /** Reads of a workload with `readMs` take that long on this node; whatever does not read the workload's tables is as fast as ever. */
  | { readonly kind: "statements-slow"; readonly node: NodeName; readonly takeMs: number };

export type FaultKind = Fault["kind"];

/** What a fault acts on, for reports: a link's or a node's name. */
export function faultTarget(fault: Fault): string {
  return "link" in fault ? fault.link : fault.node;
}

/** The node that the application may miss for it; undefined for a fault of replication. */
export function faultNode(fault: Fault): NodeName | undefined {
  if (!("link" in fault)) return fault.node;
  return fault.link.startsWith("app:") ? fault.link.slice("app:".length) : undefined;
}

/** A fault in a few words: `link-latency app:replica-1 latencyMs=500 direction=both`. */
export function describeFault(fault: Fault): string {
  const { kind, ...rest } = fault;
  const details = Object.entries(rest)
    .filter(([key]) => key !== "link" && key !== "node")
    .map(([key, value]) => ` ${key}=${String(value)}`);
  return `${kind} ${faultTarget(fault)}${details.join("")}`;
}
