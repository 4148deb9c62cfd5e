/** One command line as a process: signals, streams, and the end with its exit code. */
import { systemClock } from "../runtime/clock.ts";
import { EXIT } from "./io.ts";
import type { Io, Screen } from "./io.ts";
import { runCommandLine } from "./run-command-line.ts";

/** How long cleaning up may take after Ctrl-C before we go without it: whatever runs then is ended by its own lease. */
const CLEAN_UP_TIMEOUT_MS = 10_000;

export async function main(args: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  let interrupts = 0;
  const onSignal = (): void => {
    interrupts += 1;
    // The second time, do not wait: what was started is ended by its own lease when this process is gone.
    if (interrupts > 1) process.exit(EXIT.interrupted);
    systemClock.schedule(CLEAN_UP_TIMEOUT_MS, () => process.exit(EXIT.interrupted));
    interrupt.abort(new Error("interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const exitCode = await runCommandLine(args, openIo(interrupt.signal));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // All is disposed of by now; a deadline of something given up on the way must not hold the terminal.
  process.exit(exitCode);
}

function openIo(signal: AbortSignal): Io {
  const { stdout, stderr, env } = process;
  let stdoutIsGone = false;
  // A reader that goes away (`| head`) is no error: the verdict, the files and the exit code are the same without it.
  stdout.on("error", () => {
    stdoutIsGone = true;
  });
  stderr.on("error", () => {});
  return {
    stdout: (line) => {
      if (!stdoutIsGone) stdout.write(`${line}\n`);
    },
    stderr: (line) => void stderr.write(`${line}\n`),
    signal,
    stdoutIsGone: () => stdoutIsGone,
    screen: openScreen(stderr, env),
    color: hasColors(stdout),
    columns: stdout.isTTY ? stdout.columns : undefined,
    env,
  };
}

function openScreen(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Screen | undefined {
  if (!stream.isTTY || env["CI"] !== undefined || env["TERM"] === "dumb") return undefined;
  return {
    write: (text) => void stream.write(text),
    // Some terminals say 0 until they know.
    columns: () => stream.columns || 80,
    color: hasColors(stream),
  };
}

/** Heeds NO_COLOR and what the terminal can do. */
function hasColors(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && stream.hasColors();
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write("", () => resolve());
  });
}
