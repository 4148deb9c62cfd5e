/**
 * The harness's end of the supervisor: starting programs through it, and the lease itself. Whatever is started here
 * is gone when the lease ends, and the lease ends with this process at the latest.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Clock, withDeadline } from "../../src/runtime/clock.ts";
import type { Copy, Owner } from "../postgres/data-directory.ts";
import type { Report, Request } from "./protocol.ts";
import { reap } from "./reap.ts";

export interface LeaseOptions {
  /** The run folder: made now, removed with everything in it when the lease ends. */
  readonly folder: string;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** What the program reads on its standard input. */
  readonly input?: string;
  /** In milliseconds. */
  readonly timeoutMs: number;
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what a tool wrote; empty for a server, which writes to its log. */
  readonly output: string;
}

export interface LeasedServer {
  readonly pid: number;
  /** Resolves when the process is gone. Never rejects. */
  readonly ended: Promise<Ending>;
}

const startTimeoutMs = 10_000;
const copyTimeoutMs = 60_000;
/** The supervisor ends everything within about 4 s; see `reap`. */
const endTimeoutMs = 8_000;

/**
 * Starts a supervisor and has it make the run folder.
 * @throws Error when the folder is not empty or cannot be made
 */
export async function openLease(options: LeaseOptions): Promise<Lease> {
  const lease = new Lease(options);
  try {
    await lease.createFolder();
  } catch (error) {
    await lease.end();
    throw error;
  }
  return lease;
}

export class Lease implements AsyncDisposable {
  readonly folder: string;
  readonly #owner: Owner | undefined;
  readonly #clock: Clock;
  readonly #supervisor: ChildProcess;
  readonly #gone: Promise<void>;
  readonly #waiting = new Map<number, Exchange>();
  readonly #servers = new Set<number>();
  /** Until the supervisor has made it, the folder may be somebody else's. */
  #isOurs = false;
  #nextId = 1;
  #lost: Error | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.folder = options.folder;
    this.#owner = options.owner;
    this.#clock = options.clock;
    this.#supervisor = startSupervisor();
    this.#gone = new Promise((resolve) => {
      const lose = (reason: string): void => {
        this.#lose(new Error(`the supervisor of ${this.folder} is gone: ${reason}`));
        resolve();
      };
      this.#supervisor.once("error", (error) => lose(error.message));
      this.#supervisor.once("exit", (code, signal) => lose(`exit ${code ?? signal ?? "unknown"}`));
    });
    const { stdin, stdout } = this.#supervisor;
    stdin?.on("error", () => {});
    if (stdout !== null) {
      createInterface({ input: stdout }).on("line", (line) => this.#hear(JSON.parse(line) as Report));
    }
  }

  async createFolder(): Promise<void> {
    const marker = {
      project: "fairlead",
      pid: process.pid,
      startedAt: new Date(this.#clock.wallTime()).toISOString(),
    } as const;
    const request = { kind: "folder", folder: this.folder, marker, ...this.#asOwner() } as const;
    const { first } = this.#send(request);
    await withDeadline(this.#clock, first, { what: `making ${this.folder}`, timeoutMs: startTimeoutMs });
    this.#isOurs = true;
  }

  /** Copies a data folder, in the supervisor: it may block, and we may not. */
  async copy(copy: Omit<Copy, "owner">): Promise<void> {
    const { first } = this.#send({ kind: "copy", ...copy, ...this.#asOwner() });
    await withDeadline(this.#clock, first, { what: `copying ${copy.from}`, timeoutMs: copyTimeoutMs });
  }

  /**
   * Runs a program to its end.
   * @throws Error with what it said when it could not be started, failed, or took too long
   */
  async run(program: Program): Promise<Ending> {
    const { timeoutMs, ...rest } = program;
    const { first } = this.#send({ kind: "tool", ...rest, ...this.#surroundings() });
    const report = await withDeadline(this.#clock, first, { what: program.file, timeoutMs });
    if (report.kind !== "ended") throw new Error(`${program.file} gave no end`);
    if (report.code !== 0) {
      throw new Error(
        `${program.file} failed (${report.code ?? report.signal ?? "?"}): ${report.output.trim()}`,
      );
    }
    return report;
  }

  /**
   * Starts a program that stays, with its output appended to `logFile`.
   * @throws Error when it could not be started
   */
  async serve(program: Program & { readonly logFile: string }): Promise<LeasedServer> {
    const { timeoutMs, ...rest } = program;
    const { first, ended } = this.#send({ kind: "serve", ...rest, ...this.#surroundings() });
    const report = await withDeadline(this.#clock, first, { what: program.file, timeoutMs });
    if (report.kind !== "started") throw new Error(`${program.file} ended at once`);
    this.#servers.add(report.pid);
    // When the supervisor is lost, the servers are not: they are still to be ended.
    void ended.then(() => this.#lost === undefined && this.#servers.delete(report.pid));
    return { pid: report.pid, ended };
  }

  /** Ends every process and removes the folder; resolves when that is done. Safe to call again. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async #end(): Promise<void> {
    const wasLost = this.#lost !== undefined;
    this.#supervisor.stdin?.end();
    if (!wasLost) {
      this.#supervisor.ref();
      await withDeadline(this.#clock, this.#gone, {
        what: `the supervisor of ${this.folder}`,
        timeoutMs: endTimeoutMs,
        onTimeout: () => this.#supervisor.kill("SIGKILL"),
      }).catch(() => {});
    }
    if (!this.#isOurs) return;
    // Does nothing after a supervisor that did its work. When that was killed, its servers are still here; where
    // they can be found by the folder they work in, that is safer than pids which may be others' by now.
    const roots = wasLost && process.platform !== "linux" ? [...this.#servers] : [];
    await reap({ folder: this.folder, roots });
  }

  #send(request: Unnumbered<Request>): Exchange {
    const exchange = new Exchange();
    if (this.#lost !== undefined) {
      exchange.lose(this.#lost);
      return exchange;
    }
    const id = this.#nextId++;
    this.#waiting.set(id, exchange);
    this.#supervisor.stdin?.write(`${JSON.stringify({ ...request, id })}\n`);
    return exchange;
  }

  #hear(report: Report): void {
    this.#waiting.get(report.id)?.hear(report);
    if (report.kind !== "started") this.#waiting.delete(report.id);
  }

  #lose(reason: Error): void {
    this.#lost ??= reason;
    for (const exchange of this.#waiting.values()) exchange.lose(reason);
    this.#waiting.clear();
  }

  #surroundings(): { cwd: string; env: Record<string, string>; owner?: Owner } {
    // Nothing of ours gets in: PGDATA, PGPORT or a locale in the environment would change what the servers do.
    const env = { LC_ALL: "C", TZ: "UTC", PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
    return { cwd: this.folder, env, ...this.#asOwner() };
  }

  #asOwner(): { owner?: Owner } {
    return this.#owner === undefined ? {} : { owner: this.#owner };
  }
}

/** One request and what comes back: a first report, and for what was started, later, how it ended. */
class Exchange {
  readonly first: Promise<Report>;
  readonly ended: Promise<Ending>;
  #settleFirst: { resolve: (report: Report) => void; reject: (reason: Error) => void } | undefined;
  #settleEnded: ((ending: Ending) => void) | undefined;

  constructor() {
    this.first = new Promise((resolve, reject) => (this.#settleFirst = { resolve, reject }));
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
  }

  hear(report: Report): void {
    if (report.kind === "failed") this.#settleFirst?.reject(new Error(report.message));
    else this.#settleFirst?.resolve(report);
    if (report.kind === "ended") this.#settleEnded?.(report);
  }

  lose(reason: Error): void {
    this.#settleFirst?.reject(reason);
    this.#settleEnded?.({ code: null, signal: null, output: reason.message });
  }
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;

function startSupervisor(): ChildProcess {
  // From sources it is a .ts file, from the package a .js file, as this one is.
  const self = fileURLToPath(import.meta.url);
  const file = fileURLToPath(new URL(`./supervisor${extname(self)}`, import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const supervisor = spawn(process.execPath, [file], {
    stdio: ["pipe", "pipe", "ignore"],
    // A session of its own: neither Ctrl-C in a terminal nor a kill of our process group reaches it.
    detached: true,
    env,
  });
  // A program that forgets to end its lease can still exit, and exiting ends it.
  supervisor.unref();
  for (const stream of [supervisor.stdin, supervisor.stdout])
    (stream as { unref?: () => void } | null)?.unref?.();
  return supervisor;
}
