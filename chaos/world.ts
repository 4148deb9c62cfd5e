/**
 * What an experiment needs of a world: a primary with streaming replicas, the links to them, the truth about
 * them, and somebody who breaks them. Simulated and real worlds look the same from here.
 */
import type { Clock } from "../src/runtime/clock.ts";
import type { Fault, FaultKind, LinkName, NodeName } from "./faults/fault.ts";

export type WorldKind = "virtual" | "embedded" | "docker" | "external";

/** Something a scenario may need besides faults. What a world lacks makes the scenario `skipped`, by name. */
export type Capability = FaultKind | "promote" | "rebuild";

/** How to reach one server. `node` is its name; the server calls itself so too (`cluster_name`). */
export interface Endpoint {
  readonly node: NodeName;
  readonly host: string;
  readonly port: number;
}

/** What a router under test is given: the application's links, and an application's rights. Plain data. */
export interface Rig {
  readonly primary: Endpoint;
  readonly replicas: readonly Endpoint[];
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** PEM file of the CA that signed the servers' certificates. */
  readonly sslRootCert: string;
}

/** The cluster as it is, reached on paths of its own that no fault on a link touches. */
export interface Cluster {
  readonly nodes: readonly NodeName[];
  /** The node that was made the primary when the world came up. */
  readonly primary: NodeName;
  readonly replicas: readonly NodeName[];
  /**
   * Runs one statement as superuser, straight on the node (not through a link), and gives its rows.
   * Every call has a deadline (5 s by default) and closes what it opened.
   */
  sql<Row extends object>(node: NodeName, text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** A connection of one's own, straight on the node, for what needs a transaction held open. */
  connect(node: NodeName): Promise<DirectConnection>;
  /** Makes a replica a primary of its own. The others go on following the old one. */
  promote(node: NodeName): Promise<void>;
  /** Throws the node's data away and makes it a replica of the current primary again. */
  rebuild(node: NodeName): Promise<void>;
  /** Resolves when every replica streams and has replayed what the primary has now; rejects at the deadline. */
  settled(timeoutMs: number): Promise<void>;
  /** The server's version, as in `server_version`. */
  readonly serverVersion: string;
}

export interface DirectConnection extends AsyncDisposable {
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** A fault that is on. Disposing of it heals, which resolves only when the heal has been observed. */
export interface ActiveFault extends AsyncDisposable {
  readonly fault: Fault;
  /** Undoes the fault and waits until an independent connection has seen that it is gone. */
  heal(): Promise<void>;
}

export interface Nemesis {
  /**
   * Breaks something. Resolves only once an independent connection, through that link or to that node, has
   * seen the effect; rejects with a {@link FaultNotObserved} when it did not within the deadline (the fault has
   * been undone by then).
   */
  inject(fault: Fault, signal?: AbortSignal): Promise<ActiveFault>;
  /** Heals everything that is still on, whatever its state. Called before a cluster is used again. */
  healAll(): Promise<void>;
}

/** A planned fault or heal whose effect nobody saw: the run cannot be judged. */
export class FaultNotObserved extends Error {
  override readonly name = "FaultNotObserved";
  readonly fault: Fault;
  readonly phase: "inject" | "heal";

  constructor(fault: Fault, phase: "inject" | "heal", detail: string, options?: ErrorOptions) {
    super(`${phase} of ${fault.kind} was not observed: ${detail}`, options);
    this.fault = fault;
    this.phase = phase;
  }
}

export interface World extends AsyncDisposable {
  readonly kind: WorldKind;
  readonly capabilities: ReadonlySet<Capability>;
  /** The time in which this world lives. */
  readonly clock: Clock;
  readonly rig: Rig;
  readonly cluster: Cluster;
  readonly nemesis: Nemesis;
  /** All links, the application's first. */
  readonly links: readonly LinkName[];
  /** Copies each server's log into `directory` as `<node>.log`. */
  collectLogs(directory: string): Promise<void>;
  /** What ran, for the report: versions, figures of the start-up. */
  describe(): Readonly<Record<string, string | number>>;
}
