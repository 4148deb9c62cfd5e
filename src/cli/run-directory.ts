/** Where a run keeps its histories and logs: `.fairlead/runs/<time>-<seed>/`, with a `latest` link and the newest ten kept. */
import { access, constants, lstat, mkdir, readdir, rm, rmdir, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { systemClock } from "../runtime/clock.ts";
import { UsageError } from "./io.ts";
import { makeFolder } from "./make-folder.ts";

const KEPT = 10;
const RUNS = join(".fairlead", "runs");

export interface RunDirectory {
  readonly path: string;
  /**
   * Called at the end. A folder that nothing has been written into is removed again; else `latest` points at it from
   * now on, and what is older than the newest ten goes. Says whether it stays.
   */
  readonly settle: () => Promise<boolean>;
}

export interface RunDirectoryOptions {
  /** The folder that `--out` names. Default: a new one among the others. */
  readonly out?: string | undefined;
  readonly seed: number;
  /** Where the others are. Default: `.fairlead/runs` in the working directory. */
  readonly runs?: string;
}

/** @throws UsageError when the folder cannot be made, or `--out` names one that is not empty */
export async function openRunDirectory(options: RunDirectoryOptions): Promise<RunDirectory> {
  const { out, seed, runs = RUNS } = options;
  try {
    return out === undefined ? await nextRun(runs, seed) : await named(out);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`cannot make the run's folder: ${reason}. Choose another with --out DIR`);
  }
}

async function named(path: string): Promise<RunDirectory> {
  const existed = (await lstat(path).catch(() => undefined)) !== undefined;
  await makeFolder(path);
  const inside = await readdir(path);
  if (inside.length > 0) throw new UsageError(`--out ${path} is not empty: name a new folder`);
  await access(path, constants.W_OK);
  return {
    path,
    settle: async () => !(existed ? await isEmpty(path) : await removeIfEmpty(path)),
  };
}

async function nextRun(runs: string, seed: number): Promise<RunDirectory> {
  const time = new Date(systemClock.wallTime()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  await makeFolder(runs);
  const path = await makeUnused(join(runs, `${time}-${seed}`));
  return {
    path,
    settle: async () => {
      if (await removeIfEmpty(path)) return false;
      await pointLatestAt(runs, path);
      await keepNewest(runs);
      return true;
    },
  };
}

/** Two runs of one seed in one second do not share a folder. */
async function makeUnused(path: string, attempt = 1): Promise<string> {
  const name = attempt === 1 ? path : `${path}-${attempt}`;
  try {
    await mkdir(name);
    return name;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return await makeUnused(path, attempt + 1);
  }
}

async function isEmpty(path: string): Promise<boolean> {
  return (await readdir(path).catch(() => [])).length === 0;
}

async function removeIfEmpty(path: string): Promise<boolean> {
  return await rmdir(path).then(
    () => true,
    () => false,
  );
}

/** A convenience: where links cannot be made, or another run makes it at this moment, there is none of ours. */
async function pointLatestAt(runs: string, path: string): Promise<void> {
  const latest = join(runs, "latest");
  const found = await lstat(latest).catch(() => undefined);
  // Something of the user's own by that name is left alone.
  if (found !== undefined && !found.isSymbolicLink()) return;
  await rm(latest, { force: true });
  await symlink(relative(runs, path), latest).catch(() => {});
}

/** Only folders that look like runs are ever removed. */
async function keepNewest(runs: string): Promise<void> {
  const names = (await readdir(runs)).filter((name) => /^\d{8}T\d{6}Z-\d+(-\d+)?$/.test(name)).sort();
  for (const name of names.slice(0, Math.max(0, names.length - KEPT))) {
    await rm(join(runs, name), { recursive: true, force: true });
  }
}
