/** Makes a folder and the ones above it that are missing. Step by step, because `mkdir` with `recursive` never returns under `/proc`. */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** @throws the system's error when it cannot be made, `EEXIST` when something else has its name */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const isOrphan = (error as NodeJS.ErrnoException).code === "ENOENT" && dirname(path) !== path;
    if (!isOrphan) throw error;
    await makeFolder(dirname(path));
    await makeOne(path);
  }
}

/** Somebody else may have made it, before or meanwhile. */
async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST" && (await stat(path)).isDirectory();
    if (!isThere) throw error;
  }
}
