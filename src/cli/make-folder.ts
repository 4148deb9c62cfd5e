/** Makes a folder and the ones above it that are missing. Step by step, because `mkdir` with `recursive` never returns under `/proc`. */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** @throws the system's error when it cannot be made, `EEXIST` when something else has its name */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}
