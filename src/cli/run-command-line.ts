/** Runs one command line and gives its exit code. Whatever goes wrong is told in one line, never as a stack trace. */
import { stripVTControlCharacters } from "node:util";
import { run } from "@stricli/core";
import type { StricliProcess } from "@stricli/core";
import { RouterError } from "../errors.ts";
import { app } from "./app.ts";
import { EXIT, UsageError } from "./io.ts";
import type { Io } from "./io.ts";

export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT.held;
  const scanned: StricliProcess = {
    stdout: { write: (text) => io.stdout(text.replace(/\n$/, "")) },
    stderr: { write: (text) => io.stderr(text.replace(/\n$/, "")) },
    env: io.env,
  };
  await run(app, args, {
    process: scanned,
    io,
    finish: (code: number) => {
      exitCode = code;
    },
    fail: (error: unknown) => {
      io.stderr(`fairlead: ${describe(error, io)}`);
      exitCode = io.signal.aborted ? EXIT.interrupted : exitCodeOf(error);
    },
  });
  // stricli speaks of its own usage errors in negative numbers.
  return Number(scanned.exitCode ?? 0) < 0 ? EXIT.usage : exitCode;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof RouterError && error.code === "CONFIG_INVALID") return EXIT.usage;
  return EXIT.unknown;
}

function describe(error: unknown, io: Io): string {
  if (!(error instanceof Error)) return String(error);
  const isOurs = error instanceof UsageError || error instanceof RouterError;
  const text =
    isOurs || io.env["FAIRLEAD_DEBUG"] === undefined ? error.message : (error.stack ?? error.message);
  // Several config problems are several lines; what a program left at the end, or painted, is not passed on.
  return stripVTControlCharacters(text).trim() || error.name;
}
