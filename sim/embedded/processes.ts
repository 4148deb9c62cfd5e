/**
 * Process trees: who descends from whom, and signals that reach all of them. PostgreSQL's children each open a
 * session of their own, so a signal to a process group misses them.
 * Used by the supervisor as well: no imports besides Node's.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { promisify } from "node:util";

export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  readonly state: "alive" | "stopped" | "zombie";
}

/** Every process of the machine. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  return process.platform === "linux" ? listFromProc() : listFromPs();
}

function listFromProc(): ProcessEntry[] {
  return numericNames("/proc").flatMap((name) => {
    try {
      // `pid (command) state ppid …`, where the command may hold anything, parentheses included.
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [state = "", parentPid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return [{ pid: Number(name), parentPid: Number(parentPid), state: stateOf(state) }];
    } catch {
      return []; // Gone since the folder was read.
    }
  });
}

async function listFromPs(): Promise<ProcessEntry[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,stat="]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parentPid, state = ""]) => ({
      pid: Number(pid),
      parentPid: Number(parentPid),
      state: stateOf(state),
    }));
}

function stateOf(letters: string): ProcessEntry["state"] {
  if (letters.startsWith("Z") || letters.startsWith("X")) return "zombie";
  return letters.startsWith("T") || letters.startsWith("t") ? "stopped" : "alive";
}

/** The processes below `root`, without it and without zombies. */
export function descendantsOf(root: number, processes: readonly ProcessEntry[]): ProcessEntry[] {
  const family = new Set([root]);
  // Parents may come after their children in the list, so until nobody new is found.
  for (let before = 0; before < family.size;) {
    before = family.size;
    for (const entry of processes) if (family.has(entry.parentPid)) family.add(entry.pid);
  }
  return processes.filter((entry) => entry.pid !== root && family.has(entry.pid) && entry.state !== "zombie");
}

/**
 * The processes that work in a folder or below it, which finds servers whose parent is gone.
 * Only where /proc is; elsewhere none.
 */
export function processesWorkingIn(folder: string): number[] {
  if (process.platform !== "linux") return [];
  return numericNames("/proc").flatMap((name) => {
    try {
      const cwd = readlinkSync(`/proc/${name}/cwd`).replace(/ \(deleted\)$/, "");
      return cwd === folder || cwd.startsWith(`${folder}/`) ? [Number(name)] : [];
    } catch {
      return []; // Gone, or somebody else's.
    }
  });
}

function numericNames(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^\d+$/.test(name));
}

/** Sends a signal; false when there is no such process. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Whether any of these still runs. A zombie does not: in a container nobody may ever collect it. */
export async function anyAlive(pids: readonly number[]): Promise<boolean> {
  if (pids.length === 0) return false;
  const wanted = new Set(pids);
  return (await listProcesses()).some((entry) => wanted.has(entry.pid) && entry.state !== "zombie");
}
