/**
 * Ends everything that a run folder stands for: the servers and all that descends from them, frozen or not,
 * the shared memory they leave behind, and the folder. Used by the supervisor when its lease ends, and by
 * whoever cleans up after a run whose supervisor is gone: no imports besides Node's and `processes.ts`.
 */
import { execFile } from "node:child_process";
import { readdir, readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { descendantsOf, listProcesses, processesWorkingIn, sendSignal } from "./processes.ts";

export interface Reaping {
  readonly folder: string;
  /** The processes to end, with all their descendants; those that work in the folder are found by themselves. */
  readonly roots: readonly number[];
}

/** How long servers get to shut down "immediately", in which they remove their shared memory themselves. */
const quitWithinMs = 1_500;
const killWithinMs = 2_500;
const pollEveryMs = 20;

/** Resolves when nothing is left, or when what is left could not be ended in about 4 s. */
export async function reap(reaping: Reaping): Promise<void> {
  // Where processes say they work, symbolic links are resolved.
  const folder = await realpath(reaping.folder).catch(() => reaping.folder);
  const known = new Set(reaping.roots);
  const alive = (): Promise<number[]> => familyOf(known, folder);

  const roots = [...reaping.roots, ...(await serversOf(folder))];
  for (const pid of roots) known.add(pid);
  for (const pid of await alive()) sendSignal(pid, "SIGCONT");
  for (const pid of roots) sendSignal(pid, "SIGQUIT");
  await until(async () => (await alive()).length === 0, quitWithinMs);
  await until(async () => {
    const left = await alive();
    for (const pid of left) sendSignal(pid, "SIGKILL");
    return left.length === 0;
  }, killWithinMs);

  await removeSharedMemory(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Remembers who was found once: when a parent dies, its children's descent can no longer be seen. */
async function familyOf(known: Set<number>, folder: string): Promise<number[]> {
  const processes = await listProcesses();
  for (const root of known) for (const { pid } of descendantsOf(root, processes)) known.add(pid);
  for (const pid of processesWorkingIn(folder)) known.add(pid);
  known.delete(process.pid);
  const running = processes.filter((entry) => entry.state !== "zombie").map((entry) => entry.pid);
  return running.filter((pid) => known.has(pid));
}

/** The postmasters that the folder's lock files name, provided that they work in it (a pid is soon another's). */
async function serversOf(folder: string): Promise<number[]> {
  const working = new Set(processesWorkingIn(folder));
  const locks = await lockFilesIn(folder);
  return locks.map((lock) => Number(lock[0])).filter((pid) => working.has(pid));
}

/** After SIGKILL the System V segment stays. Line 7 of `postmaster.pid` names it: key and id. */
async function removeSharedMemory(folder: string): Promise<void> {
  for (const lock of await lockFilesIn(folder)) {
    const id = lock[6]?.trim().split(/\s+/)[1];
    if (id === undefined || !/^\d+$/.test(id)) continue;
    // The server has removed it itself when it could; and some systems have no ipcrm.
    await promisify(execFile)("ipcrm", ["-m", id]).catch(() => {});
  }
}

async function lockFilesIn(folder: string): Promise<string[][]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.map((name) => readFile(join(folder, name, "postmaster.pid"), "utf8").catch(() => undefined)),
  );
  return texts.filter((text) => text !== undefined).map((text) => text.split("\n"));
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition()) && performance.now() < deadline) await sleep(pollEveryMs);
}
