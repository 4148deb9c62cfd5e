/** Where a run keeps its histories and logs: `.fairlead/runs/<time>-<seed>/`, with a `latest` link and the newest ten kept. */
import { lstat, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { systemClock } from "../runtime/clock.ts";
import { UsageError } from "./io.ts";

const KEPT = 10;

/** @throws UsageError when the folder cannot be made, or `--out` names one that is not empty */
export async function openRunDirectory(out: string | undefined, seed: number): Promise<string> {
  try {
    return out === undefined ? await nextRun(seed) : await emptyFolder(out);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`cannot make the run's folder: ${reason}. Choose another with --out DIR`);
  }
}

async function emptyFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  const inside = await readdir(path);
  if (inside.length > 0) throw new UsageError(`--out ${path} is not empty: name a new folder`);
  return path;
}

async function nextRun(seed: number): Promise<string> {
  const runs = join(".fairlead", "runs");
  const time = new Date(systemClock.wallTime()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const path = join(runs, `${time}-${seed}`);
  await mkdir(path, { recursive: true });
  await pointLatestAt(runs, path);
  await keepNewest(runs);
  return path;
}

async function pointLatestAt(runs: string, path: string): Promise<void> {
  const latest = join(runs, "latest");
  const found = await lstat(latest).catch(() => undefined);
  // Something of the user's own by that name is left alone.
  if (found !== undefined && !found.isSymbolicLink()) return;
  await rm(latest, { force: true });
  await symlink(relative(runs, path), latest);
}

/** Only folders that look like runs are ever removed. */
async function keepNewest(runs: string): Promise<void> {
  const names = (await readdir(runs)).filter((name) => /^\d{8}T\d{6}Z-\d+$/.test(name)).sort();
  for (const name of names.slice(0, Math.max(0, names.length - KEPT))) {
    await rm(join(runs, name), { recursive: true, force: true });
  }
}
