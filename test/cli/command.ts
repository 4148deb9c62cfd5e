/** The command line as a process of its own, as somebody starts it. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url));

export interface CommandOptions {
  readonly cwd: string;
  /** The system's temporary folder, as the command sees it. */
  readonly tmp?: string;
  /** What it reads on stdin. Default: nothing. */
  readonly input?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Command {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], { cwd, tmp, input = "" }: CommandOptions) {
    // As in a CI job: no terminal, and nothing of the test runner's own settings.
    const { NODE_OPTIONS: _, FORCE_COLOR: __, ...env } = process.env;
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd,
      env: { ...env, CI: "true", ...(tmp === undefined ? {} : { TMPDIR: tmp }) },
      stdio: "pipe",
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.child.stdin?.on("error", () => {});
    this.child.stdin?.end(input);
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Resolves when what it printed matches; rejects when it ends before. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    let hasEnded = false;
    void this.ended.then(() => (hasEnded = true));
    for (;;) {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (found !== null) return found;
      if (hasEnded) throw new Error(`it ended without ${String(pattern)}:\n${this.stderr}\n${this.stdout}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal, and gives how it ended and after how long. */
  async end(signal: NodeJS.Signals): Promise<Ended & { readonly tookMs: number }> {
    const startedAt = performance.now();
    this.child.kill(signal);
    return { ...(await this.ended), tookMs: performance.now() - startedAt };
  }
}

export function runCommand(args: readonly string[], options: CommandOptions): Promise<Ended> {
  return new Command(args, options).ended;
}
