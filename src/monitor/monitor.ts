/**
 * The probe loops: one a node, started from start to start, over connections of their own. What they find becomes events
 * for `observe`; nothing is decided here.
 */
import type { HealthCheckConfig, NodeConfig } from "../config/config.ts";
import type { Driver } from "../driver/driver.ts";
import { meaningOf } from "../driver/sqlstate.ts";
import type { NodeSample } from "../routing/sample.ts";
import { DeadlineError, withDeadline } from "../runtime/clock.ts";
import type { Clock, Timer } from "../runtime/clock.ts";
import { NodeProbe } from "./probe.ts";

export interface MonitorListener {
  sampled(node: string, sample: NodeSample, sentAt: number): void;
  failed(node: string, error: unknown): void;
  /** Every node's deadline passed in one turn of a late event loop: it is we who stood still. */
  stalled(): void;
  /** The process was suspended, or its clock jumped. */
  timeJumped(): void;
  poolerFound(node: string): void;
  nudgeFailed(error: unknown): void;
}

export interface MonitorOptions {
  readonly clock: Clock;
  readonly driver: Driver;
  readonly listener: MonitorListener;
}

/** How long a WAL message usually takes to be replayed on a replica, with some to spare. */
const NUDGE_ARRIVES_MS = 25;

/** A timer this late says that the event loop was blocked, not that nobody answered. */
const LATE_MS = 50;

/** So often in a row we believe that it was us. A loop that is always late must not keep dead nodes alive. */
const MOST_STALLS = 3;

/** Traffic that fails on a node whose probes pass asks for probes without end: so many an interval are made. */
const PROBES_PER_INTERVAL = 5;

interface Loop {
  readonly node: NodeConfig;
  readonly probe: NodeProbe;
  timer: Timer | undefined;
  startedAt: number;
  running: Promise<void> | undefined;
  /** A probe was asked for while one was running. */
  again: boolean;
  /** A nudge was, and follows it. */
  nudge: boolean;
  failures: number;
  pooler: boolean;
}

export class Monitor {
  readonly #clock: Clock;
  readonly #driver: Driver;
  readonly #listener: MonitorListener;
  readonly #loops = new Map<string, Loop>();
  #healthCheck: HealthCheckConfig;
  #heartbeat: Timer | undefined;
  #afterNudge: Timer | undefined;
  #lastBeat = 0;
  #expired: { readonly loop: Loop; readonly error: unknown; readonly late: boolean }[] = [];
  /** Of nodes that are watched no more: their connections are being closed. */
  readonly #dropping = new Set<Promise<void>>();
  #stalls = 0;
  #stopped = false;

  constructor(healthCheck: HealthCheckConfig, options: MonitorOptions) {
    this.#healthCheck = healthCheck;
    this.#clock = options.clock;
    this.#driver = options.driver;
    this.#listener = options.listener;
    this.#beat();
  }

  /** Watches these nodes and no others. Nodes that stay, as they are, keep their connection. */
  watch(nodes: readonly NodeConfig[], healthCheck: HealthCheckConfig): void {
    const keepsPace = healthCheck.intervalMs === this.#healthCheck.intervalMs;
    this.#healthCheck = healthCheck;
    for (const loop of this.#loops.values()) {
      if (!nodes.includes(loop.node)) this.#drop(loop);
      else if (!keepsPace && loop.running === undefined)
        this.#startAt(loop, loop.startedAt + healthCheck.intervalMs);
    }
    if (!keepsPace) this.#beat();
    for (const node of nodes) {
      if (this.#loops.has(node.name)) continue;
      const loop: Loop = {
        node,
        probe: new NodeProbe(node, this.#driver),
        timer: undefined,
        startedAt: Number.NEGATIVE_INFINITY,
        running: undefined,
        again: false,
        nudge: false,
        failures: 0,
        pooler: false,
      };
      this.#loops.set(node.name, loop);
      this.#start(loop);
    }
  }

  /** Probes the node at once, or right after the probe that is running; a few times an interval at most. */
  probeNow(name: string): void {
    const loop = this.#loops.get(name);
    if (loop === undefined) return;
    if (loop.running === undefined) this.#startAt(loop, this.#soonest(loop));
    else loop.again = true;
  }

  /** Nudges at once, or right after the probe that is running: its own answer may be what asked for it. */
  nudge(primary: string): void {
    const loop = this.#loops.get(primary);
    if (loop === undefined) return;
    loop.nudge = true;
    if (loop.running === undefined) this.#run(loop, this.#nudge(loop));
  }

  /** The message has closed the gap: seen at once, the bounds fall an interval earlier. Replicas need a moment to get it. */
  #lookAfterNudge(primary: Loop): void {
    primary.again = true;
    this.#clock.cancel(this.#afterNudge);
    this.#afterNudge = this.#clock.schedule(NUDGE_ARRIVES_MS, () => {
      for (const name of this.#loops.keys()) if (name !== primary.node.name) this.probeNow(name);
    });
    this.#afterNudge.unref();
  }

  async #nudge(loop: Loop): Promise<void> {
    if (!loop.nudge || this.#stopped || !this.#isWatched(loop)) return;
    loop.nudge = false;
    try {
      await withDeadline(this.#clock, loop.probe.nudge(), {
        what: "the nudge",
        timeoutMs: this.#healthCheck.timeoutMs,
      });
      this.#lookAfterNudge(loop);
    } catch (error) {
      // The next probe must not wait behind it.
      if (error instanceof DeadlineError) loop.probe.reset();
      // A connection that was lost is the next probe's business.
      else if (!this.#stopped && meaningOf(error) === "statement") this.#listener.nudgeFailed(error);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clock.cancel(this.#heartbeat);
    this.#clock.cancel(this.#afterNudge);
    for (const loop of this.#loops.values()) this.#drop(loop);
    await Promise.all(this.#dropping);
  }

  #drop(loop: Loop): void {
    this.#loops.delete(loop.node.name);
    this.#clock.cancel(loop.timer);
    if (loop.running !== undefined) loop.probe.reset();
    const dropping = Promise.allSettled([loop.probe.close(), loop.running]).then(() => {
      this.#dropping.delete(dropping);
    });
    this.#dropping.add(dropping);
  }

  #isWatched(loop: Loop): boolean {
    return this.#loops.get(loop.node.name) === loop;
  }

  #start(loop: Loop): void {
    if (this.#stopped || !this.#isWatched(loop)) return;
    this.#clock.cancel(loop.timer);
    const startedAt = this.#clock.now();
    loop.startedAt = startedAt;
    loop.again = false;
    this.#run(
      loop,
      this.#probe(loop, startedAt).then(() => this.#nudge(loop)),
    );
  }

  /** One thing at a time on the node's connection; then the next probe, when it is due. */
  #run(loop: Loop, task: Promise<void>): void {
    this.#clock.cancel(loop.timer);
    loop.running = task.finally(() => {
      loop.running = undefined;
      if (this.#stopped || !this.#isWatched(loop)) return;
      // After the first failure the next probe is immediate: the budget counts on it.
      if (loop.failures === 1) this.#start(loop);
      else {
        const dueAt = loop.startedAt + this.#healthCheck.intervalMs;
        this.#startAt(loop, loop.again ? this.#soonest(loop) : dueAt);
      }
    });
  }

  #startAt(loop: Loop, at: number): void {
    this.#clock.cancel(loop.timer);
    const delayMs = at - this.#clock.now();
    if (delayMs <= 0) this.#start(loop);
    else loop.timer = this.#clock.schedule(delayMs, () => this.#start(loop));
  }

  #soonest(loop: Loop): number {
    return loop.startedAt + this.#healthCheck.intervalMs / PROBES_PER_INTERVAL;
  }

  async #probe(loop: Loop, sentAt: number, isRepeated = false): Promise<void> {
    const { timeoutMs } = this.#healthCheck;
    try {
      const answer = await withDeadline(this.#clock, loop.probe.ask(timeoutMs), {
        what: `the probe of "${loop.node.name}"`,
        timeoutMs,
      });
      if (!this.#isWatched(loop)) return;
      loop.failures = 0;
      this.#stalls = 0;
      if (answer.behindPooler && !loop.pooler) {
        loop.pooler = true;
        this.#listener.poolerFound(loop.node.name);
      }
      this.#listener.sampled(loop.node.name, answer.sample, sentAt);
    } catch (error) {
      loop.probe.reset();
      if (!this.#isWatched(loop)) return;
      // Recovery on a standby cancelled it: a server that says so is there, and only has to be asked again.
      if (!isRepeated && meaningOf(error) === "recovery-conflict")
        return this.#probe(loop, this.#clock.now(), true);
      if (error instanceof DeadlineError) await this.#expire(loop, error, sentAt);
      else this.#fail(loop, error);
    }
  }

  #fail(loop: Loop, error: unknown): void {
    loop.failures += 1;
    this.#listener.failed(loop.node.name, error);
  }

  /** Expiries of one turn are judged together: when we were late and every good node expired, we were the cause. */
  #expire(loop: Loop, error: unknown, sentAt: number): Promise<void> {
    const late = this.#clock.now() - sentAt > this.#healthCheck.timeoutMs + LATE_MS;
    this.#expired.push({ loop, error, late });
    return new Promise((resolve) => {
      this.#clock.afterPoll(() => {
        const expired = this.#expired;
        this.#expired = [];
        if (this.#stalls < MOST_STALLS && this.#isOurs(expired)) {
          this.#stalls += 1;
          for (const one of expired) one.loop.again = true;
          this.#listener.stalled();
        } else for (const one of expired) this.#fail(one.loop, one.error);
        resolve();
      });
    });
  }

  #isOurs(expired: readonly { readonly loop: Loop; readonly late: boolean }[]): boolean {
    const loops = new Set(expired.map((one) => one.loop));
    const good = [...this.#loops.values()].filter((loop) => loop.failures === 0);
    return good.length > 1 && good.every((loop) => loops.has(loop)) && expired.every((one) => one.late);
  }

  /** A beat that comes more than two intervals late: what was measured before says nothing about now. */
  #beat(): void {
    this.#clock.cancel(this.#heartbeat);
    const { intervalMs } = this.#healthCheck;
    this.#lastBeat = this.#clock.now();
    this.#heartbeat = this.#clock.schedule(intervalMs, () => {
      const lateMs = this.#clock.now() - this.#lastBeat - intervalMs;
      if (lateMs > 2 * intervalMs) {
        this.#listener.timeJumped();
        for (const loop of this.#loops.values()) this.probeNow(loop.node.name);
      }
      if (!this.#stopped) this.#beat();
    });
    this.#heartbeat.unref();
  }
}
