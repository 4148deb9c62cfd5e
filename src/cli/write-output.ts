/** Writes what a flag asked for to the file that it names, or to stdout for `-`. */
import { writeFile } from "node:fs/promises";
import { UsageError } from "./io.ts";
import type { Io } from "./io.ts";

export async function writeOutput(file: string, content: string, io: Io): Promise<void> {
  if (file === "-") {
    io.stdout(content.trimEnd());
    return;
  }
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
