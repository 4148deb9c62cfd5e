/**
 * One PostgreSQL server as a process: start, stop, kill, freeze. Every step has a deadline, and what goes wrong is
 * told with the end of the server's own log.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep, withDeadline } from "../../src/runtime/clock.ts";
import type { Lease, LeasedServer } from "./lease.ts";
import { anyAlive, descendantsOf, listProcesses, sendSignal } from "./processes.ts";

export interface ServerOptions {
  readonly node: string;
  /** The `postgres` program. */
  readonly program: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly lease: Lease;
  readonly clock: Clock;
  /** Called before the server goes away, to let go of connections to it. */
  readonly beforeStop: () => void;
}

/** `smart` waits for clients to leave, `fast` sends them away, `immediate` leaves recovery to the next start. */
export type StopMode = "smart" | "fast" | "immediate";

const stopSignals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

const startTimeoutMs = 30_000;
const stopTimeoutMs = 20_000;
const killTimeoutMs = 5_000;
const pollEveryMs = 10;

export class Server {
  readonly #options: ServerOptions;
  #process: LeasedServer | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.node;
  }

  get dataDirectory(): string {
    return this.#options.dataDirectory;
  }

  /** The postmaster's process id, while it runs. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /**
   * Starts the server, after a SIGKILL too, and resolves when it takes connections. Does nothing when it runs.
   * @throws Error with the end of the log when it ends instead, or is not ready within 30 s
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#process !== undefined) return;
    const { node, program, dataDirectory, logFile, lease } = this.#options;
    signal?.throwIfAborted();
    const started = await lease.serve({
      file: program,
      args: ["-D", dataDirectory],
      logFile,
      timeoutMs: startTimeoutMs,
    });
    this.#process = started;
    let ended = false;
    void started.ended.then(() => {
      ended = true;
      if (this.#process === started) this.#process = undefined;
    });
    const deadline = this.#options.clock.now() + startTimeoutMs;
    while (!(await this.#isReady(started.pid))) {
      if (ended) throw new Error(`${node} did not start:\n${await this.logTail(20)}`);
      if (this.#options.clock.now() > deadline) {
        throw new Error(`${node} was not ready within ${startTimeoutMs} ms:\n${await this.logTail(20)}`);
      }
      await sleep(this.#options.clock, pollEveryMs, signal);
    }
  }

  /**
   * Shuts the server down; `fast` unless told otherwise. Does nothing when it does not run.
   * @throws Error with the end of the log when it still runs after 20 s
   */
  async stop(mode: StopMode = "fast"): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    await this.thaw();
    this.#options.beforeStop();
    sendSignal(running.pid, stopSignals[mode]);
    await this.#ended(running, `stopping ${this.name} (${mode})`, stopTimeoutMs);
  }

  async restart(mode: StopMode = "fast", signal?: AbortSignal): Promise<void> {
    await this.stop(mode);
    await this.start(signal);
  }

  /** SIGKILL to the postmaster and all that descends from it; resolves when all of them are gone. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    // Stopped first, so that it cannot fork between the look and the kill.
    sendSignal(running.pid, "SIGSTOP");
    const pids = [running.pid, ...(await this.#descendants(running.pid)).map((entry) => entry.pid)];
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    this.#options.beforeStop();
    await this.#ended(running, `killing ${this.name}`, killTimeoutMs);
    await this.#until(
      async () => !(await anyAlive(pids)),
      `the end of all processes of ${this.name}`,
      killTimeoutMs,
    );
  }

  /** Stops the postmaster and every descendant in their tracks: sockets stay open, nothing answers. */
  async freeze(): Promise<void> {
    const pid = this.#runningPid("freeze");
    sendSignal(pid, "SIGSTOP");
    // Whoever was forked just before is found in the next look.
    const isFrozen = async (): Promise<boolean> => {
      const moving = (await this.#family(pid)).filter((entry) => entry.state === "alive");
      for (const entry of moving) sendSignal(entry.pid, "SIGSTOP");
      return moving.length === 0;
    };
    await this.#until(isFrozen, `freezing ${this.name}`, killTimeoutMs);
  }

  /** Undoes {@link freeze} and {@link freezePostmaster}. Does nothing to a server that is not frozen. */
  async thaw(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    const isThawed = async (): Promise<boolean> => {
      const stopped = (await this.#family(pid)).filter((entry) => entry.state === "stopped");
      // The postmaster, first in the family, last: its children are back when it looks after them.
      for (const entry of stopped.toReversed()) sendSignal(entry.pid, "SIGCONT");
      return stopped.length === 0;
    };
    await this.#until(isThawed, `thawing ${this.name}`, killTimeoutMs);
  }

  /** Stops the postmaster alone: existing connections answer, new ones hang. */
  async freezePostmaster(): Promise<void> {
    const pid = this.#runningPid("freeze");
    sendSignal(pid, "SIGSTOP");
    const isStopped = async (): Promise<boolean> => (await this.#family(pid))[0]?.state === "stopped";
    await this.#until(isStopped, `freezing the postmaster of ${this.name}`, killTimeoutMs);
  }

  thawPostmaster(): Promise<void> {
    return this.thaw();
  }

  /** The last `lines` lines of the server's log. */
  async logTail(lines: number): Promise<string> {
    const text = await readFile(this.#options.logFile, "utf8").catch(() => "");
    return text.trimEnd().split("\n").slice(-lines).join("\n");
  }

  #runningPid(verb: string): number {
    if (this.pid === undefined) throw new Error(`cannot ${verb} ${this.name}: it does not run`);
    return this.pid;
  }

  /** Line 1 of the lock file is the postmaster's pid, line 8 its state: what `pg_ctl` waits for. */
  async #isReady(pid: number): Promise<boolean> {
    const text = await readFile(join(this.dataDirectory, "postmaster.pid"), "utf8").catch(() => "");
    const lines = text.split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  }

  async #ended(running: LeasedServer, what: string, timeoutMs: number): Promise<void> {
    try {
      await withDeadline(this.#options.clock, running.ended, { what, timeoutMs });
    } catch (error) {
      throw new Error(`${String(error)}:\n${await this.logTail(20)}`, { cause: error });
    }
    if (this.#process === running) this.#process = undefined;
  }

  async #descendants(pid: number): Promise<ReturnType<typeof descendantsOf>> {
    return descendantsOf(pid, await listProcesses());
  }

  async #family(pid: number): Promise<ReturnType<typeof descendantsOf>> {
    const processes = await listProcesses();
    return [...processes.filter((entry) => entry.pid === pid), ...descendantsOf(pid, processes)];
  }

  async #until(condition: () => Promise<boolean>, what: string, timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.now() + timeoutMs;
    while (!(await condition())) {
      if (clock.now() > deadline) throw new Error(`${what} did not finish within ${timeoutMs} ms`);
      await sleep(clock, pollEveryMs);
    }
  }
}
