/** The Toxiproxy of an embedded world: the built-in one, the `toxiproxy-server` on this machine, or one that runs. */
import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Clock, sleep } from "../../src/runtime/clock.ts";
import { createPrng, drawSeed } from "../../src/runtime/prng.ts";
import { ToxiproxyClient, ToxiproxyUnavailable } from "../toxiproxy/client.ts";
import { startBuiltinToxiproxy } from "../toxiproxy/start.ts";
import { findFreePort } from "./free-port.ts";
import { type Lease, openLease } from "./lease.ts";

/** `builtin`, `path` for a `toxiproxy-server` on the PATH, or the URL of one that runs on this machine. */
export type ToxiproxyChoice = "builtin" | "path" | (string & {});

export interface OpenToxiproxyOptions {
  readonly choice: ToxiproxyChoice;
  /** What the built-in one draws from. */
  readonly seed: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

export interface OpenToxiproxy extends AsyncDisposable {
  readonly client: ToxiproxyClient;
  /** `built-in`, a program's path, or `given`. */
  readonly origin: string;
  /** Whether others may have proxies there. */
  readonly isShared: boolean;
  /** Copies its log, where it has one. */
  copyLog(file: string): Promise<void>;
}

/** @throws ToxiproxyUnavailable when it is not there, or no Toxiproxy */
export async function openToxiproxy(options: OpenToxiproxyOptions): Promise<OpenToxiproxy> {
  options.signal?.throwIfAborted();
  if (options.choice === "builtin") return openBuiltin(options);
  if (options.choice === "path") return openProgram(options);
  const client = await ToxiproxyClient.connect(options.choice, options.clock);
  return { client, origin: "given", isShared: true, copyLog: nothing, [Symbol.asyncDispose]: nothing };
}

/**
 * Finds out, before anything is started, whether the Toxiproxy that was chosen is there.
 * @throws ToxiproxyUnavailable, or Error when there is no program of it
 */
export async function lookForToxiproxy(choice: ToxiproxyChoice, clock: Clock): Promise<void> {
  if (choice === "path") programFile();
  else if (choice !== "builtin") await ToxiproxyClient.connect(choice, clock);
}

async function openBuiltin({ seed, clock }: OpenToxiproxyOptions): Promise<OpenToxiproxy> {
  const server = await startBuiltinToxiproxy({ host: "127.0.0.1", port: 0, seed });
  try {
    const client = await ToxiproxyClient.connect(server.url, clock);
    return {
      client,
      origin: "built-in",
      isShared: false,
      copyLog: nothing,
      [Symbol.asyncDispose]: () => server.close(),
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Its log is somewhere else, and closing it is not ours. */
async function nothing(): Promise<void> {}

const program = "toxiproxy-server";
const readyTimeoutMs = 10_000;
const pollEveryMs = 20;

async function openProgram(options: OpenToxiproxyOptions): Promise<OpenToxiproxy> {
  const { clock } = options;
  const file = programFile();
  const folder = join(tmpdir(), `fairlead-toxiproxy-${randomBytes(6).toString("hex")}`);
  const lease = await openLease({ folder, owner: undefined, clock });
  const logFile = join(folder, "toxiproxy.log");
  try {
    const client = await serve({ options, file, lease, logFile });
    return {
      client,
      origin: file,
      isShared: false,
      copyLog: async (to) => {
        if (existsSync(logFile)) await copyFile(logFile, to);
      },
      [Symbol.asyncDispose]: () => lease.end(),
    };
  } catch (error) {
    await lease.end();
    throw error;
  }
}

function programFile(): string {
  const file = findOnPath(program);
  if (file !== undefined) return file;
  throw new Error(`there is no ${program} on the PATH: install Toxiproxy, or use the built-in one`);
}

interface Serving {
  readonly options: OpenToxiproxyOptions;
  readonly file: string;
  readonly lease: Lease;
  readonly logFile: string;
}

async function serve({ options, file, lease, logFile }: Serving): Promise<ToxiproxyClient> {
  const { clock, signal } = options;
  const port = await findFreePort(createPrng(drawSeed()), new Set());
  const args = ["-host", "127.0.0.1", "-port", String(port)];
  const server = await lease.serve({ file, args, logFile, timeoutMs: readyTimeoutMs });
  let hasEnded = false;
  void server.ended.then(() => (hasEnded = true));
  const deadline = clock.now() + readyTimeoutMs;
  while (true) {
    try {
      return await ToxiproxyClient.connect(`http://127.0.0.1:${port}`, clock);
    } catch (error) {
      const isLate = clock.now() > deadline;
      if (hasEnded || isLate || !(error instanceof ToxiproxyUnavailable)) {
        const log = await readFile(logFile, "utf8").catch(() => "");
        const what = hasEnded ? "ended at once" : `was not ready within ${readyTimeoutMs} ms`;
        throw new Error(`${file} ${what}:\n${log.trimEnd().split("\n").slice(-20).join("\n")}`, {
          cause: error,
        });
      }
    }
    await sleep(clock, pollEveryMs, signal);
  }
}

function findOnPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
