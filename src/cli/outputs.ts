/** `--json|--junit|--markdown FILE`: looked at before a run, so that a minute's work is not lost to a typing error; written after it. */
import { lstat, open, rm, stat, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { UsageError } from "./io.ts";
import type { Io } from "./io.ts";

/** Each flag with the file that it names, `-` for stdout; a flag that was not given is `undefined`. */
export type OutputFlags = Readonly<Record<string, string | undefined>>;

/**
 * Finds out whether every file can be written, and leaves none behind.
 * @throws UsageError naming the flag and the file
 */
export async function checkOutputs(flags: OutputFlags): Promise<void> {
  const given = Object.entries(flags).flatMap(([flag, file]) => (file === undefined ? [] : [{ flag, file }]));
  const users = new Map<string, string>();
  for (const { flag, file } of given) {
    const place = file === "-" ? "-" : resolve(file);
    const other = users.get(place);
    if (other !== undefined) {
      const where = file === "-" ? "stdout" : file;
      throw new UsageError(`--${other} and --${flag} both write to ${where}: give each a place of its own`);
    }
    users.set(place, flag);
    if (file !== "-") await checkFile(flag, file);
  }
}

export async function writeOutput(file: string, content: string, io: Io): Promise<void> {
  if (file === "-") {
    io.stdout(content.trimEnd());
    return;
  }
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${reasonOf(error)}`);
  }
}

async function checkFile(flag: string, file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  // Opening a pipe would wait for its reader, and a device takes what it takes.
  if (found !== undefined && !found.isFile() && !found.isDirectory()) return;
  const existed = (await lstat(file).catch(() => undefined)) !== undefined;
  try {
    // To append: what stands there stays until there is something to replace it.
    await (await open(file, "a")).close();
  } catch (error) {
    throw new UsageError(`--${flag} ${file} cannot be written: ${reasonOf(error)}`);
  }
  if (!existed) await rm(file, { force: true });
}

/** The system's sentence without the call and the path, which have been named. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/, \w+ '.*'$/, "");
}
