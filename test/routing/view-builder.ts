/**
 * Drives `observe` through a timeline that reads like one: set the time, say what a probe found, look at the view.
 * Ticks are handed in exactly when the view asks for them, as the shell does.
 */
import type { NodeConfig, RouterConfig } from "../../src/config/config.ts";
import { tlsConfig } from "../../src/config/tls.ts";
import { lagBoundMs } from "../../src/routing/bound.ts";
import { decide } from "../../src/routing/decide.ts";
import type { Decision, Request } from "../../src/routing/decide.ts";
import type { Change, ClusterView, ReplicaState, ViewEvent } from "../../src/routing/model.ts";
import { initialView, observe } from "../../src/routing/observe.ts";
import type { NodeSample, PrimarySample, ReplicaSample } from "../../src/routing/sample.ts";

export const SYSTEM_ID = "7301";

export interface ConfigOptions extends Partial<
  Omit<RouterConfig, "primary" | "replicas" | "healthCheck" | "readmitLagThresholdMs">
> {
  /** Names and weights, in order. Default: two replicas of weight 1. */
  readonly replicas?: Readonly<Record<string, number>>;
  readonly healthCheck?: Partial<RouterConfig["healthCheck"]>;
  readonly readmitLagThresholdMs?: number;
}

/** Interval and timeout 500 ms, fall and rise 2, threshold 10 s, readmitted below 5 s, no slow start. */
export function makeConfig(options: ConfigOptions = {}): RouterConfig {
  const { replicas = { r1: 1, r2: 1 }, healthCheck, readmitLagThresholdMs, ...rest } = options;
  const thresholdMs = rest.replicaLagThresholdMs ?? 10_000;
  return {
    primary: makeNode("primary", 1),
    replicas: Object.entries(replicas).map(([name, weight]) => makeNode(name, weight)),
    enableReadWriteSeparation: true,
    replicaLagThresholdMs: thresholdMs,
    readmitLagThresholdMs: thresholdMs === "off" ? "off" : (readmitLagThresholdMs ?? thresholdMs / 2),
    healthCheck: { intervalMs: 500, timeoutMs: 500, fall: 2, rise: 2, ...healthCheck },
    retries: { max: 2 },
    fallback: { to: "primary" },
    slowStartMs: 0,
    lagNudge: true,
    whenPrimaryUnknown: "serve",
    readYourWrites: "client",
    classifyMaxBytes: 32_768,
    queryTimeoutMs: undefined,
    ...rest,
  };
}

export function makeNode(name: string, weight: number, host = `${name}.test`): NodeConfig {
  return {
    name,
    host,
    port: 5432,
    user: "app",
    password: undefined,
    database: "app",
    weight,
    pool: { max: 10, idleMax: 10, idleTimeoutMs: 0, maxLifetimeMs: 0, connectionTimeoutMs: 1000 },
    tls: tlsConfig("disable"),
    applicationName: "test",
  };
}

export function primarySample(insert: number, rest: Partial<PrimarySample> = {}): PrimarySample {
  return {
    role: "primary",
    systemId: SYSTEM_ID,
    timeline: 1,
    serverVersionNum: 180_004,
    insert,
    flush: insert,
    walWriterDelayMs: 200,
    ...rest,
  };
}

export function replicaSample(replay: number | undefined, rest: Partial<ReplicaSample> = {}): ReplicaSample {
  return {
    role: "replica",
    systemId: SYSTEM_ID,
    timeline: 1,
    serverVersionNum: 180_004,
    replay,
    replayPaused: false,
    walReceiver: "streaming",
    ...rest,
  };
}

export type TimedChange = Change & { readonly at: number };

/** A view that lives through time. Every step returns the timeline, so that steps can be chained. */
export class Timeline {
  view: ClusterView;
  now = 0;
  readonly changes: TimedChange[] = [];

  constructor(options: ConfigOptions = {}, phase = 0) {
    this.view = initialView(makeConfig(options), 0, phase);
  }

  /** Lets time pass, ticks included. */
  at(ms: number): this {
    for (let due = this.view.nextChangeAt; due <= ms; due = this.view.nextChangeAt) {
      this.now = Math.max(this.now, due);
      this.#apply({ kind: "tick", at: this.now });
      if (this.view.nextChangeAt <= this.now) {
        throw new Error(
          `a tick at ${this.now} asks for another at ${this.view.nextChangeAt}: time would stand still`,
        );
      }
    }
    this.now = ms;
    return this;
  }

  after(ms: number): this {
    return this.at(this.now + ms);
  }

  /** A probe sent now, answered `roundTripMs` later. */
  sampled(node: string, sample: NodeSample, roundTripMs = 0): this {
    const sentAt = this.now;
    this.after(roundTripMs);
    return this.#apply({ kind: "sampled", node, sentAt, at: this.now, sample });
  }

  /** An answer to a probe that was sent earlier. */
  answered(node: string, sample: NodeSample, sentAt: number): this {
    return this.#apply({ kind: "sampled", node, sentAt, at: this.now, sample });
  }

  primary(insert: number, rest: Partial<PrimarySample> = {}): this {
    return this.sampled("primary", primarySample(insert, rest));
  }

  replica(node: string, replay: number | undefined, rest: Partial<ReplicaSample> = {}): this {
    return this.sampled(node, replicaSample(replay, rest));
  }

  /** The primary at `insert`, every replica caught up. */
  allAt(insert: number, rest: { readonly timeline?: number } = {}): this {
    this.primary(insert, rest);
    for (const { name } of this.view.replicas) this.replica(name, insert, rest);
    return this;
  }

  /** A sequence of such rounds, one an interval, on a primary that writes 1000 bytes in each. */
  rounds(count: number, each?: (timeline: Timeline, insert: number) => void): this {
    for (let i = 0; i < count; i++) {
      this.after(this.view.config.healthCheck.intervalMs);
      const insert = this.nextInsert();
      if (each === undefined) this.allAt(insert);
      else each(this, insert);
    }
    return this;
  }

  nextInsert(): number {
    return (this.view.primary.sample?.insert ?? 1_000_000) + 1000;
  }

  fails(...nodes: readonly string[]): this {
    for (const node of nodes) this.#apply({ kind: "probe-failed", node, at: this.now });
    return this;
  }

  suspected(node: string): this {
    return this.#apply({ kind: "suspected", node, at: this.now });
  }

  drained(node: string): this {
    return this.#apply({ kind: "drained", node, at: this.now });
  }

  undrained(node: string): this {
    return this.#apply({ kind: "undrained", node, at: this.now });
  }

  reconfigured(config: RouterConfig): this {
    return this.#apply({ kind: "reconfigured", config, at: this.now });
  }

  jumped(): this {
    return this.#apply({ kind: "time-jumped", at: this.now });
  }

  nudged(): this {
    return this.#apply({ kind: "nudged", at: this.now });
  }

  tick(): this {
    return this.#apply({ kind: "tick", at: this.now });
  }

  event(event: ViewEvent): this {
    this.now = event.at;
    return this.#apply(event);
  }

  decide(request: Request): Decision {
    const { decision, view } = decide(this.view, request, this.now);
    this.view = view;
    return decision;
  }

  /** Where the next read goes; the code when it is refused. */
  read(request: Omit<Request, "kind"> = {}): string {
    const decision = this.decide({ kind: "read", ...request });
    return decision.kind === "route" ? decision.node : decision.code;
  }

  write(): string {
    const decision = this.decide({ kind: "write" });
    return decision.kind === "route" ? decision.node : decision.code;
  }

  state(node: string): ReplicaState {
    const found = this.view.replicas.find((replica) => replica.name === node);
    if (found === undefined) throw new Error(`no replica is named ${node}`);
    return found;
  }

  /** `eligible`, `probation 3`, `evicted lagging`, … */
  standing(node: string): string {
    const { standing } = this.state(node);
    if (standing.kind === "evicted") return `evicted ${standing.reason}`;
    return standing.kind === "probation" ? `probation ${standing.step}` : standing.kind;
  }

  bound(node: string): number | undefined {
    return lagBoundMs(this.view, this.state(node), this.now);
  }

  serving(): string[] {
    return this.view.selection.candidates.map(({ name }) => name);
  }

  /** Kinds of what changed, epochs left out, each with its node: `evicted r1`. */
  told(): string[] {
    return this.changes
      .filter(({ kind }) => kind !== "epoch")
      .map((change) => ("node" in change ? `${change.kind} ${change.node}` : change.kind));
  }

  /** Forgets what was told so far. */
  listen(): this {
    this.changes.length = 0;
    return this;
  }

  #apply(event: ViewEvent): this {
    const { view, changes } = observe(this.view, event);
    this.view = view;
    this.changes.push(...changes.map((change) => ({ ...change, at: event.at })));
    return this;
  }
}

/** Freezes plain data all the way down. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
