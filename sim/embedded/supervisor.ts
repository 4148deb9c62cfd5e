/**
 * The process that owns the servers. It is started by the harness with a run folder, starts what it is told to
 * on its standard input, and lives as long as that is open: however the harness ends, the kernel closes the pipe,
 * and the supervisor ends every server, frees what they hold, removes the folder and goes.
 * Plain on purpose: no imports besides Node's, the protocol, the reaper, and what copies data folders.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, closeSync, mkdirSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { copyDataDirectory } from "../postgres/data-directory.ts";
import type { Command, Report, Request, ServeRequest, ToolRequest } from "./protocol.ts";
import { reap } from "./reap.ts";

const children = new Set<ChildProcess>();
let folder: string | undefined;
let isEnding = false;

// Ctrl-C and a terminal that closes are the harness's business; it may still need the servers to undo things.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
// Nobody listens any more once the harness is gone.
process.stdout.on("error", () => {});

// Rather no servers than servers that nobody would end.
process.on("uncaughtException", () => void end());

const input = createInterface({ input: process.stdin });
input.on("line", (line) => obey(JSON.parse(line) as Request));
input.on("close", () => void end());
process.stdin.on("error", () => void end());

function obey(request: Request): void {
  try {
    switch (request.kind) {
      case "folder":
        createFolder(request);
        return report({ kind: "done", id: request.id });
      case "copy":
        copyDataDirectory(request);
        return report({ kind: "done", id: request.id });
      case "tool":
        return runTool(request);
      case "serve":
        return serve(request);
    }
  } catch (error) {
    report({
      kind: "failed",
      id: request.id,
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

/**
 * Made here, not by the harness, and in one go, so that there is no moment at which the folder exists and
 * nobody would remove it.
 */
function createFolder(request: Command<"folder">): void {
  mkdirSync(request.folder, { recursive: true, mode: 0o700 });
  if (readdirSync(request.folder).length > 0) {
    throw new Error(`${request.folder} is not empty: name a new or an empty folder`);
  }
  folder = request.folder;
  const marker = { ...request.marker, supervisorPid: process.pid };
  writeFileSync(join(folder, "fairlead.json"), `${JSON.stringify(marker)}\n`, { mode: 0o644 });
  if (request.owner !== undefined) chownSync(folder, request.owner.uid >>> 0, request.owner.gid >>> 0);
}

/** Runs a program to its end and reports what it said. */
function runTool(request: ToolRequest): void {
  const child = start(request, ["pipe", "pipe", "pipe"]);
  if (child === undefined) return;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-outputLimit);
    });
  }
  child.stdin?.on("error", () => {});
  child.stdin?.end(request.input ?? "");
  child.once("close", (code, signal) => report({ kind: "ended", id: request.id, code, signal, output }));
}

const outputLimit = 8_000;

/** Starts a program that stays, with its output appended to a file. */
function serve(request: ServeRequest): void {
  const log = openSync(request.logFile, "a", 0o600);
  const child = start(request, ["ignore", log, log]);
  closeSync(log);
  if (child?.pid === undefined) return;
  report({ kind: "started", id: request.id, pid: child.pid });
  child.once("exit", (code, signal) => report({ kind: "ended", id: request.id, code, signal, output: "" }));
}

function start(
  request: ToolRequest | ServeRequest,
  stdio: readonly ("pipe" | "ignore" | number)[],
): ChildProcess | undefined {
  if (isEnding) return undefined;
  const child = spawn(request.file, request.args, {
    cwd: request.cwd,
    env: request.env,
    stdio: [...stdio],
    ...(request.owner === undefined ? {} : request.owner),
  });
  children.add(child);
  child.once("error", (error) => report({ kind: "failed", id: request.id, message: error.message }));
  child.once("exit", () => children.delete(child));
  return child;
}

function report(message: Report): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  const roots = [...children].flatMap((child) => (child.pid === undefined ? [] : [child.pid]));
  if (folder !== undefined) await reap({ folder, roots });
  process.exit(0);
}
