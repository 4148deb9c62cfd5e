/**
 * The shell around the core: classify → decide → acquire → run → observe. It holds the one mutable reference to the view,
 * carries decisions out, and turns what came of them into events. The Router and the pool are faces of it.
 */
import type { QueryResult } from "pg";
import { hasSubscribers, publishDecision } from "./channels.ts";
import type { RouterConfig, NodeConfig } from "./config/config.ts";
import type { Driver, PoolListener, QueryInput } from "./driver/driver.ts";
import { unnamed } from "./driver/query-config.ts";
import { NodeTraffic } from "./driver/node-traffic.ts";
import type { Failure, Lease, NodeRole } from "./driver/node-traffic.ts";
import { meaningOf } from "./driver/sqlstate.ts";
import { RouterError, messageOf } from "./errors.ts";
import { Monitor } from "./monitor/monitor.ts";
import type { MonitorListener } from "./monitor/monitor.ts";
import { poolerRefusal } from "./pooler.ts";
import { leavesState } from "./routing/classification.ts";
import type { Classification } from "./routing/classification.ts";
import { decide } from "./routing/decide.ts";
import type { Decision, Request } from "./routing/decide.ts";
import type { Change, ClusterView, ViewEvent } from "./routing/model.ts";
import { initialView, observe } from "./routing/observe.ts";
import { createRefusals } from "./routing/refusals.ts";
import { RetryBudget } from "./routing/retry-budget.ts";
import type { NodeSample } from "./routing/sample.ts";
import { withDeadline } from "./runtime/clock.ts";
import type { Clock, Timer } from "./runtime/clock.ts";
import type { CausalContext } from "./session.ts";

/** What the engine tells, beside the view's changes. */
export type EngineNotice =
  | Change
  | { readonly kind: "local-stall" }
  | { readonly kind: "pooler-found"; readonly node: string }
  | { readonly kind: "nudge-failed"; readonly message: string }
  /** The role may not see why a standing is what it is. */
  | { readonly kind: "receiver-hidden"; readonly user: string }
  | { readonly kind: "probe-failed"; readonly node: string; readonly message: string };

export interface EngineOptions {
  readonly clock: Clock;
  readonly driver: Driver;
  /** Where ties in the choice begin; drawn per process. */
  readonly phase: number;
  readonly tell: (notice: EngineNotice) => void;
}

/** One statement on its way. */
export interface Call {
  readonly input: QueryInput;
  readonly values: unknown[] | undefined;
  readonly classification: Classification;
  /** `read`: may be served by a replica. Fixed by the caller from the classification and what was asked for. */
  readonly kind: "read" | "write";
  readonly context: CausalContext | undefined;
}

export interface LeaseRequest {
  readonly kind: "read" | "write";
  readonly context: CausalContext | undefined;
  /** Nodes that have failed this caller already. */
  readonly avoid?: ReadonlySet<string>;
}

const END_TIMEOUT_MS = 5000;

export class Engine {
  readonly #options: EngineOptions;
  readonly #clock: Clock;
  readonly #nodes = new Map<string, NodeTraffic>();
  /** Of nodes that a reload removed: what runs on them finishes. */
  readonly #leaving = new Set<NodeTraffic>();
  readonly #monitor: Monitor;
  readonly #poolers = new Set<string>();
  /** What the last probe of a node failed of, until one passes. */
  readonly #probeErrors = new Map<string, unknown>();
  readonly #retryBudget = new RetryBudget();
  readonly refusals: ReturnType<typeof createRefusals> = createRefusals();
  /** Who is told about the connections of every node's pool. */
  readonly poolListeners: Set<PoolListener> = new Set<PoolListener>();
  #view: ClusterView;
  #tick: Timer | undefined;
  #closed = false;
  #toldHidden = false;
  #ending: Promise<void> | undefined;
  #started: (() => void) | undefined;

  constructor(config: RouterConfig, options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#view = initialView(config, this.#clock.now(), options.phase);
    this.#openNodes(config);
    this.#monitor = new Monitor(config.healthCheck, {
      clock: this.#clock,
      driver: options.driver,
      listener: this.#listener(),
    });
  }

  get view(): ClusterView {
    return this.#view;
  }

  get config(): RouterConfig {
    return this.#view.config;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  traffic(): readonly NodeTraffic[] {
    return [...this.#nodes.values()];
  }

  isBehindPooler(node: string): boolean {
    return this.#poolers.has(node);
  }

  /**
   * Begins to probe. Resolves when every node has answered and every replica that did is proved fresh or not. A node that does
   * not answer costs the start no more than twice what the first answer took; nothing costs more than the probe's timeout.
   */
  async start(): Promise<void> {
    const nodes = [this.config.primary, ...this.config.replicas];
    const begunAt = this.#clock.now();
    await new Promise<void>((resolve) => {
      let grace: Timer | undefined;
      let graceIsOver = false;
      const timeout = this.#clock.schedule(this.config.healthCheck.timeoutMs, () => this.#started?.());
      const check = (): void => {
        const { primary, replicas } = this.#view;
        const primaryHeard = primary.standing.kind !== "joining" || primary.consecutiveFailed > 0;
        const silent = replicas.filter((one) => one.sample === undefined && one.consecutive.failed === 0);
        const unproven = replicas.filter(
          (one) => one.sample !== undefined && one.standing.kind === "joining",
        );
        if (primaryHeard && unproven.length === 0 && (silent.length === 0 || graceIsOver)) {
          resolve();
          return;
        }
        // Its first sample may have been taken a moment before the primary's: the next one tells.
        for (const { name } of unproven) this.#monitor.probeNow(name);
        const someAnswered = primary.sample !== undefined || silent.length < replicas.length;
        if (grace !== undefined || !someAnswered) return;
        grace = this.#clock.schedule(Math.max(20, 2 * (this.#clock.now() - begunAt)), () => {
          graceIsOver = true;
          check();
        });
      };
      this.#started = () => resolve();
      this.#onHeard = check;
      this.#monitor.watch(nodes, this.config.healthCheck);
      void Promise.resolve().then(check);
      this.#cancelStart = () => {
        this.#clock.cancel(timeout);
        this.#clock.cancel(grace);
      };
    });
    this.#cancelStart();
    this.#onHeard = () => {};
    this.#started = undefined;
  }

  #onHeard: () => void = () => {};
  #cancelStart: () => void = () => {};

  /** Runs one statement where it belongs, again elsewhere when that is safe, and gives the server's answer. */
  run(call: Call): Promise<QueryResult> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => new Execution(this, call, resolve, reject).start());
  }

  /** Holds a connection of the right node for several statements. */
  async lease(request: LeaseRequest): Promise<Lease> {
    if (this.#closed) throw closedError();
    const avoid = new Set(request.avoid);
    for (let attempt = 0; ; attempt++) {
      const lastTry = avoid.size > 0 && avoid.size >= this.config.retries.max;
      const decision = this.decide({
        kind: request.kind,
        avoid: avoid.size === 0 ? undefined : avoid,
        after: request.context?.writtenAt,
        lastTry,
      });
      if (decision.kind === "refuse") throw this.refused(decision);
      const { failure, lease } = await this.#tryLease(decision.node);
      if (lease !== undefined) return lease;
      if (request.kind === "write" || attempt >= this.config.retries.max || isClosed(failure?.error)) {
        throw unreachedError(decision, failure);
      }
      avoid.add(decision.node);
    }
  }

  #tryLease(node: string): Promise<{ failure: Failure | undefined; lease: Lease | undefined }> {
    return new Promise((resolve) => {
      this.nodeTraffic(node).lease((failure, lease) => resolve({ failure, lease }));
    });
  }

  /** @internal One decision, taken down in the view and told to whoever listens. */
  decide(request: Request, classification?: Classification): Decision {
    const now = this.#clock.now();
    if (now >= this.#view.nextChangeAt) this.observe({ kind: "tick", at: now });
    const { decision, view } = decide(this.#view, request, now);
    this.#view = view;
    if (hasSubscribers()) publishDecision(decision, classification);
    return decision;
  }

  /** @internal What a refused call rejects with: `cause` is what it failed of before. */
  refused({ code, message }: Extract<Decision, { kind: "refuse" }>, cause?: unknown): RouterError {
    const { name, standing } = this.#view.primary;
    const node = code === "NO_PRIMARY" ? name : undefined;
    const why = cause ?? (standing.kind === "down" ? this.#probeErrors.get(name) : undefined);
    return why === undefined
      ? new RouterError(code, message, { node })
      : new RouterError(code, `${message} (${messageOf(why)})`, { node, cause: why });
  }

  /** @internal */
  nodeTraffic(name: string): NodeTraffic {
    const traffic = this.#nodes.get(name);
    if (traffic === undefined)
      throw new RouterError("NODE_LOST", `"${name}" is no longer configured`, { node: name });
    return traffic;
  }

  /** @internal */
  get clock(): Clock {
    return this.#clock;
  }

  /** @internal */
  get retryBudget(): RetryBudget {
    return this.#retryBudget;
  }

  /** Takes something down that happened, and acts on what it changed. */
  observe(event: ViewEvent): void {
    if (this.#closed) return;
    const before = this.#view;
    const { view, changes } = observe(before, event);
    this.#view = view;
    this.#armTick();
    this.#letGo(before, view, changes);
    for (const change of changes) this.#tell(change);
    if (view.nudgeDue) {
      this.#monitor.nudge(view.primary.name);
      this.observe({ kind: "nudged", at: this.#clock.now() });
    }
  }

  /** Takes a replica out of the choice; resolves when nothing runs on it any more. */
  async drain(name: string): Promise<void> {
    this.#requireReplica(name);
    this.observe({ kind: "drained", node: name, at: this.#clock.now() });
    await this.nodeTraffic(name).idle();
  }

  undrain(name: string): void {
    this.#requireReplica(name);
    this.observe({ kind: "undrained", node: name, at: this.#clock.now() });
  }

  /** Runs on another configuration from now on. Nodes that stay as they are keep their connections. */
  async reload(config: RouterConfig): Promise<void> {
    if (this.#closed) throw closedError();
    const before = new Map(this.#nodes);
    this.#nodes.clear();
    this.#openNodes(config, before);
    this.observe({ kind: "reconfigured", config, at: this.#clock.now() });
    this.#monitor.watch(
      [...this.#nodes.values()].map((traffic) => traffic.node),
      config.healthCheck,
    );
    const removed = [...before.values()].filter((traffic) => this.#nodes.get(traffic.node.name) !== traffic);
    await Promise.all(removed.map((traffic) => this.#leave(traffic)));
  }

  async #leave(traffic: NodeTraffic): Promise<void> {
    this.#poolers.delete(traffic.node.name);
    this.#leaving.add(traffic);
    await traffic.idle();
    await traffic.end();
    this.#leaving.delete(traffic);
  }

  /**
   * Lets what has been called finish (at most 5 s), then closes every connection and timer. Every call gives the same promise.
   */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#closed = true;
    this.#clock.cancel(this.#tick);
    this.#cancelStart();
    this.#started?.();
    const stopped = this.#monitor.stop();
    const all = [...this.traffic(), ...this.#leaving];
    try {
      await withDeadline(this.#clock, endAll(all), {
        what: "what runs on the router",
        timeoutMs: END_TIMEOUT_MS,
      });
    } catch {
      for (const traffic of all) traffic.close(closedError());
    }
    await stopped;
  }

  #requireReplica(name: string): void {
    if (!this.#view.replicas.some((replica) => replica.name === name)) {
      const known = this.#view.replicas.map((replica) => replica.name).join(", ") || "none";
      throw new RouterError("CONFIG_INVALID", `no replica is called "${name}" (replicas: ${known})`, {
        node: name,
      });
    }
  }

  #openNodes(config: RouterConfig, existing: ReadonlyMap<string, NodeTraffic> = new Map()): void {
    const open = (node: NodeConfig, role: NodeRole): void => {
      const before = existing.get(node.name);
      this.#nodes.set(node.name, before?.isFor(node) === true ? before : this.#openNode(node, role, config));
    };
    open(config.primary, "primary");
    for (const node of config.replicas) open(node, "replica");
  }

  #openNode(node: NodeConfig, role: NodeRole, config: RouterConfig): NodeTraffic {
    return new NodeTraffic(node, {
      driver: this.#options.driver,
      role,
      cancelTimeoutMs: config.healthCheck.timeoutMs,
      onSuspect: () => {
        if (this.#closed) return;
        this.observe({ kind: "suspected", node: node.name, at: this.#clock.now() });
        this.#monitor.probeNow(node.name);
      },
      onPoolEvent: (event, client, error) => {
        for (const listener of this.poolListeners) listener(event, client, error);
      },
    });
  }

  /** Once: it stays so until somebody grants the right. */
  #tellHidden(node: string): void {
    if (this.#toldHidden) return;
    this.#toldHidden = true;
    this.#tell({ kind: "receiver-hidden", user: this.nodeTraffic(node).node.user });
  }

  #listener(): MonitorListener {
    return {
      sampled: (node: string, sample: NodeSample, sentAt: number) => {
        this.#probeErrors.delete(node);
        if (sample.role === "replica" && sample.walReceiver === "hidden") this.#tellHidden(node);
        this.observe({ kind: "sampled", node, sample, sentAt, at: this.#clock.now() });
        this.#onHeard();
      },
      failed: (node, error) => {
        this.#probeErrors.set(node, error);
        this.#tell({ kind: "probe-failed", node, message: messageOf(error) });
        this.observe({ kind: "probe-failed", node, at: this.#clock.now() });
        this.#onHeard();
      },
      stalled: () => this.#tell({ kind: "local-stall" }),
      timeJumped: () => this.observe({ kind: "time-jumped", at: this.#clock.now() }),
      poolerFound: (node) => {
        this.#poolers.add(node);
        this.#tell({ kind: "pooler-found", node });
      },
      nudgeFailed: (error) => this.#tell({ kind: "nudge-failed", message: messageOf(error) }),
    };
  }

  /** A node that stopped answering gives up what runs on it, whatever it had been evicted for before. */
  #letGo(before: ClusterView, view: ClusterView, changes: readonly Change[]): void {
    for (const traffic of this.traffic()) {
      const { name } = traffic.node;
      if (isUnreachable(view, name) && !isUnreachable(before, name)) {
        traffic.abandon(this.#probeErrors.get(name));
      }
    }
    for (const change of changes) {
      if (change.kind === "evicted") this.#nodes.get(change.node)?.letGoWaiting();
    }
  }

  /** What a listener throws belongs to the process: it must not keep the router from its work. */
  #tell(notice: EngineNotice): void {
    try {
      this.#options.tell(notice);
    } catch (thrown) {
      process.nextTick(() => {
        throw thrown;
      });
    }
  }

  #armTick(): void {
    this.#clock.cancel(this.#tick);
    this.#tick = undefined;
    const { nextChangeAt } = this.#view;
    if (nextChangeAt === Number.POSITIVE_INFINITY) return;
    const now = this.#clock.now();
    this.#tick = this.#clock.schedule(Math.max(1, nextChangeAt - now), () => {
      // Only after pending answers have been read: one of them may have moved the bound.
      this.#clock.afterPoll(() => this.observe({ kind: "tick", at: this.#clock.now() }));
    });
    this.#tick.unref();
  }
}

/** One call's attempts. A class rather than closures: it is on the way of every query. */
class Execution {
  readonly #engine: Engine;
  readonly #call: Call;
  readonly #resolve: (result: QueryResult) => void;
  readonly #reject: (error: unknown) => void;
  #kind: "read" | "write";
  #avoid: Set<string> | undefined;
  #attempt = 0;
  #exemptUsed = false;
  /** A standby would not run it: whatever it had been judged, it may write. */
  #refused = false;
  #input: QueryInput;
  #deadline: Timer | undefined;
  #job: { abort(error: Error): void } | undefined;
  /** Why the last attempt failed, where another one is refused. */
  #lastError: unknown;

  constructor(
    engine: Engine,
    call: Call,
    resolve: (result: QueryResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.#engine = engine;
    this.#call = call;
    this.#kind = call.kind;
    this.#input = call.input;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { queryTimeoutMs } = this.#engine.config;
    if (queryTimeoutMs !== undefined) this.#armDeadline(queryTimeoutMs);
    this.#engine.retryBudget.request(this.#engine.clock.now());
    this.#try();
  }

  #armDeadline(timeoutMs: number): void {
    const { clock } = this.#engine;
    this.#deadline = clock.schedule(timeoutMs, () => {
      clock.afterPoll(() => {
        const error = new RouterError("DEADLINE_EXCEEDED", `no answer within queryTimeout (${timeoutMs} ms)`);
        this.#attempt = Number.POSITIVE_INFINITY;
        this.#job?.abort(error);
      });
    });
  }

  #try(): void {
    const engine = this.#engine;
    const call = this.#call;
    const { max } = engine.config.retries;
    const decision = engine.decide(
      {
        kind: this.#kind,
        avoid: this.#avoid,
        after: this.#kind === "read" ? call.context?.writtenAt : undefined,
        lastTry: this.#attempt > 0 && this.#attempt >= max,
      },
      call.classification,
    );
    if (decision.kind === "refuse") {
      this.#fail(engine.refused(decision, this.#lastError));
      return;
    }
    if (engine.isBehindPooler(decision.node)) {
      const refusal = poolerRefusal(decision.node, this.#input, call.classification);
      if (refusal !== undefined) {
        this.#fail(refusal);
        return;
      }
    }
    this.#job = engine
      .nodeTraffic(decision.node)
      .run(this.#input, call.values, leavesState(call.classification), (failure, result) => {
        if (failure === undefined) this.#succeed(result as QueryResult);
        else this.#failed(decision, failure);
      });
  }

  #succeed(result: QueryResult): void {
    this.#engine.clock.cancel(this.#deadline);
    if (this.#mayHaveWritten()) this.#noteWrite();
    this.#resolve(result);
  }

  #mayHaveWritten(): boolean {
    return this.#call.classification.mayWrite || this.#refused;
  }

  #noteWrite(): void {
    const { context } = this.#call;
    if (context !== undefined) context.writtenAt = this.#engine.clock.now();
  }

  #fail(error: unknown): void {
    this.#engine.clock.cancel(this.#deadline);
    this.#reject(error);
  }

  #failed(decision: Extract<Decision, { kind: "route" }>, failure: Failure): void {
    const next = this.#next(decision, failure);
    switch (next) {
      case "give-up":
        this.#fail(this.#finalError(decision, failure));
        return;
      case "on-primary":
        this.#kind = "write";
        break;
      case "elsewhere":
        this.#avoid ??= new Set();
        this.#avoid.add(decision.node);
        break;
      case "same-role":
        // Every connection of the node may hold the same old plan under this name: unnamed, it is planned afresh.
        this.#input = unnamed(this.#input);
        break;
    }
    this.#attempt += 1;
    this.#lastError = failure.error;
    this.#try();
  }

  #next(
    decision: Extract<Decision, { kind: "route" }>,
    failure: Failure,
  ): "give-up" | "elsewhere" | "on-primary" | "same-role" {
    const { error, aborted } = failure;
    const isRead = this.#kind === "read";
    const meaning = meaningOf(error);
    if (this.#attempt >= this.#engine.config.retries.max || isClosed(error)) return "give-up";
    // An old plan is found out before anything runs, so that a write may run again too. Planned afresh, it cannot
    // happen twice: the budget need not be asked.
    if (meaning === "stale-plan") return "same-role";
    if (!isRead) return "give-up";
    // What its caller calls a read may still be a write. No standby can have done it; a primary can.
    if (isLost(failure) && this.#mayHaveHappened(decision, failure)) return "give-up";
    if (aborted) return this.#mayRetryOwed() ? "elsewhere" : "give-up";
    if (decision.role === "replica") {
      if (meaning === "refused-by-standby") {
        this.#refused = true;
        this.#engine.refusals.remember(this.#call.classification.fingerprint, this.#engine.clock.now());
        return "on-primary";
      }
      if (meaning === "unknown-object") return "on-primary";
      if (meaning === "recovery-conflict") return this.#mayRetry() ? "elsewhere" : "give-up";
    }
    const nodeTrouble =
      meaning === "connection-lost" ||
      meaning === "server-unavailable" ||
      meaning === "saturated" ||
      isNodeLost(error);
    if (!nodeTrouble) return "give-up";
    return (failure.sent ? this.#mayRetry() : this.#mayRetryOwed()) ? "elsewhere" : "give-up";
  }

  #mayRetry(): boolean {
    return this.#engine.retryBudget.tryRetry(this.#engine.clock.now());
  }

  /**
   * The first retry of a read that we ended ourselves, or that no server has got, is owed to it, whatever the budget says: a node
   * whose probes pass and that has no connection to give would else use the budget up, and then fail its whole share.
   */
  #mayRetryOwed(): boolean {
    if (this.#exemptUsed) return this.#mayRetry();
    this.#exemptUsed = true;
    return true;
  }

  #finalError(decision: Extract<Decision, { kind: "route" }>, failure: Failure): unknown {
    const { error, sent } = failure;
    if (!isLost(failure)) return error;
    const unknown = this.#mayHaveHappened(decision, failure);
    if (unknown) this.#noteWrite();
    if (error instanceof RouterError && error.code === "DEADLINE_EXCEEDED") {
      if (!unknown) return error;
      const message = `${error.message}; the statement had been sent, and may or may not have happened`;
      return new RouterError("DEADLINE_EXCEEDED", message, { node: decision.node });
    }
    if (unknown) return unknownOutcome(decision.node, error);
    if (isClosed(error)) return error;
    return sent ? nodeLost(decision.node, error) : unreachedError(decision, failure);
  }

  /** It was sent to a server that can write, and nobody knows what became of it. */
  #mayHaveHappened({ role }: Extract<Decision, { kind: "route" }>, { sent }: Failure): boolean {
    return sent && role === "primary" && this.#mayHaveWritten();
  }
}

/** The connection went away, or we took it: no server said how the statement ended. */
function isLost({ error, aborted }: Failure): boolean {
  const meaning = meaningOf(error);
  return aborted || meaning === "connection-lost" || meaning === "server-unavailable" || isNodeLost(error);
}

function isUnreachable(view: ClusterView, name: string): boolean {
  const failed =
    name === view.primary.name
      ? view.primary.consecutiveFailed
      : view.replicas.find((replica) => replica.name === name)?.consecutive.failed;
  return failed !== undefined && failed >= view.config.healthCheck.fall;
}

/** Until nothing is in flight: what fails on one node may go on on another. */
async function endAll(all: readonly NodeTraffic[]): Promise<void> {
  for (;;) {
    const busy = all.filter((traffic) => traffic.inFlight > 0);
    if (busy.length === 0) break;
    await Promise.all(busy.map((traffic) => traffic.idle()));
  }
  await Promise.all(all.map((traffic) => traffic.end()));
}

function isClosed(error: unknown): boolean {
  return error instanceof RouterError && error.code === "CLOSED";
}

function isNodeLost(error: unknown): boolean {
  return error instanceof RouterError && error.code === "NODE_LOST";
}

export function unknownOutcome(node: string, cause: unknown): RouterError {
  return new RouterError(
    "UNKNOWN_OUTCOME",
    `the connection to "${node}" was lost after the statement was sent: it may or may not have happened ` +
      `(${messageOf(cause)})`,
    { node, cause },
  );
}

export function nodeLost(node: string, cause: unknown): RouterError {
  return new RouterError("NODE_LOST", `"${node}" was lost while it answered (${messageOf(cause)})`, {
    node,
    cause,
  });
}

/** The statement never left us. */
function unreachedError(
  decision: Extract<Decision, { kind: "route" }>,
  failure: Failure | undefined,
): unknown {
  const cause = failure?.error;
  const meaning = meaningOf(cause);
  if (!isNodeLost(cause) && meaning !== "connection-lost" && meaning !== "server-unavailable") return cause;
  const code = decision.role === "primary" ? "NO_PRIMARY" : "NODE_LOST";
  return new RouterError(code, `"${decision.node}" cannot be reached (${messageOf(cause)})`, {
    node: decision.node,
    cause,
  });
}

function closedError(): RouterError {
  return new RouterError("CLOSED", "the router has been ended");
}
