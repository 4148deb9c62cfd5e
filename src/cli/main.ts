/** Runs one command line and sets the exit code. Whatever goes wrong is told in one line, never as a stack trace. */
import { run } from "@stricli/core";
import type { StricliProcess } from "@stricli/core";
import { RouterError } from "../errors.ts";
import { app } from "./app.ts";
import { EXIT, UsageError } from "./io.ts";
import type { Io } from "./io.ts";

export async function main(args: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  let interrupts = 0;
  const onSignal = (): void => {
    interrupts += 1;
    // The second time, do not wait: what was started is ended by its own lease when this process is gone.
    if (interrupts > 1) process.exit(EXIT.interrupted);
    interrupt.abort(new Error("interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A reader that goes away (`| head`) is no error.
  process.stdout.on("error", () => process.exit());
  const io: Io = {
    stdout: (line) => void process.stdout.write(`${line}\n`),
    stderr: (line) => void process.stderr.write(`${line}\n`),
    signal: interrupt.signal,
    isTerminal: process.stderr.isTTY && process.env["CI"] === undefined,
    env: process.env,
  };
  let exitCode: number = EXIT.held;
  const scanned: StricliProcess = { stdout: process.stdout, stderr: process.stderr, env: process.env };
  await run(app, args, {
    process: scanned,
    io,
    finish: (code: number) => {
      exitCode = code;
    },
    fail: (error: unknown) => {
      io.stderr(`fairlead: ${describe(error, io)}`);
      exitCode = interrupt.signal.aborted ? EXIT.interrupted : exitCodeOf(error);
    },
  });
  process.removeListener("SIGINT", onSignal);
  process.removeListener("SIGTERM", onSignal);
  // stricli speaks of its own usage errors in negative numbers.
  process.exitCode = Number(scanned.exitCode ?? 0) < 0 ? EXIT.usage : exitCode;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof RouterError && error.code === "CONFIG_INVALID") return EXIT.usage;
  return EXIT.unknown;
}

function describe(error: unknown, io: Io): string {
  if (!(error instanceof Error)) return String(error);
  const isOurs = error instanceof UsageError || error instanceof RouterError;
  if (isOurs || io.env["FAIRLEAD_DEBUG"] === undefined) return error.message;
  return error.stack ?? error.message;
}
