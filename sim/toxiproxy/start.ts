/**
 * Starts the built-in Toxiproxy in a thread of its own, so that neither the workload nor the router under test
 * ever waits for the proxying, nor it for them.
 */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { systemClock, withDeadline } from "../../src/runtime/clock.ts";
import type { ToxiproxyServerOptions } from "./server.ts";
import { workerUrl } from "./worker-url.ts";
import type { WorkerReport } from "./worker.ts";

export interface BuiltinToxiproxyOptions extends Omit<ToxiproxyServerOptions, "clock" | "populate"> {
  /** A JSON file with an array of proxies to begin with, as the real server's `-config` takes it. */
  readonly configFile?: string;
}

export interface BuiltinToxiproxy extends AsyncDisposable {
  /** `http://host:port` of the API, without a slash at the end. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Resolves, with what went wrong, only if the server ends without having been closed. */
  readonly crashed: Promise<Error>;
  /**
   * Closes every proxy and connection and ends the thread; may be called again.
   *
   * @throws the error of a crash that came before it, so that it cannot pass unseen
   */
  close(): Promise<void>;
}

/** The server could not come up. The message says where, why and what to do. */
export class ToxiproxyStartError extends Error {
  override readonly name = "ToxiproxyStartError";
}

const START_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 5_000;

/** @throws ToxiproxyStartError when the port is in use, or the config file cannot be read or applied */
export async function startBuiltinToxiproxy(
  options: BuiltinToxiproxyOptions = {},
): Promise<BuiltinToxiproxy> {
  const { configFile, ...serverOptions } = options;
  const populate = configFile === undefined ? undefined : await readConfig(configFile);
  const workerData: ToxiproxyServerOptions = {
    ...serverOptions,
    ...(populate === undefined ? {} : { populate }),
  };
  const worker = new Worker(workerUrl("worker", import.meta.url), {
    name: "toxiproxy",
    workerData,
    execArgv: [],
  });
  const life = new WorkerLife(worker);
  const report = await withDeadline(systemClock, life.firstReport(), {
    what: "starting the built-in Toxiproxy",
    timeoutMs: START_TIMEOUT_MS,
    onTimeout: () => void worker.terminate(),
  });
  if (report.kind === "failed") {
    await worker.terminate();
    throw describeFailure(report, options);
  }
  const close = (): Promise<void> => life.close();
  const { url, host, port } = report;
  return { url, host, port, crashed: life.crashed, close, [Symbol.asyncDispose]: close };
}

/** Watches a thread from its start to its end. */
class WorkerLife {
  readonly crashed: Promise<Error>;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #crash: Error | undefined;
  #isClosing = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => {
      worker.once("exit", () => resolve());
    });
    this.crashed = new Promise((resolve) => {
      const onCrash = (error: Error): void => {
        this.#crash ??= error;
        resolve(this.#crash);
      };
      worker.on("error", onCrash);
      worker.once("exit", (code) => {
        if (!this.#isClosing) onCrash(new Error(`the built-in Toxiproxy's thread ended with code ${code}`));
      });
    });
  }

  firstReport(): Promise<WorkerReport> {
    return new Promise((resolve, reject) => {
      this.#worker.once("message", resolve);
      this.crashed.then(reject, reject);
    });
  }

  async close(): Promise<void> {
    if (this.#crash !== undefined) throw this.#crash;
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#worker.postMessage("close");
    }
    try {
      await withDeadline(systemClock, this.#exited, {
        what: "closing the built-in Toxiproxy",
        timeoutMs: CLOSE_TIMEOUT_MS,
      });
    } catch (error) {
      await this.#worker.terminate();
      throw error;
    }
  }
}

async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ToxiproxyStartError(`cannot read the Toxiproxy config ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function describeFailure(
  { code, message }: Extract<WorkerReport, { kind: "failed" }>,
  { host = "127.0.0.1", port = 0, configFile }: BuiltinToxiproxyOptions,
): ToxiproxyStartError {
  if (code === "EADDRINUSE") {
    return new ToxiproxyStartError(
      `Toxiproxy cannot listen on ${host}:${port}: the port is in use. ` +
        "Stop what listens there, or choose another port (0 takes a free one).",
    );
  }
  // Errors of listening carry a code; without one it was the proxies to begin with.
  return new ToxiproxyStartError(
    code === undefined && configFile !== undefined
      ? `cannot apply the Toxiproxy config ${configFile}: ${message}`
      : `Toxiproxy cannot listen on ${host}:${port}: ${message}`,
  );
}
