/**
 * Run folders that nobody looks after any more: their supervisor was killed together with the harness, or the machine
 * went down. Only ever looked for when asked to; a start leaves everything alone that is not its own.
 */
import { lstatSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anyAlive } from "./processes.ts";
import type { RunMarker } from "./protocol.ts";
import { reap } from "./reap.ts";
import { unprivilegedOwner } from "./unprivileged-user.ts";

export interface Leftover {
  readonly folder: string;
  readonly startedAt: string;
}

/** The folders in `place` (default: the system's temporary folder) that are ours and have lost their supervisor. */
export async function findLeftovers(place: string = tmpdir()): Promise<Leftover[]> {
  const names = (await readdir(place)).filter((name) => name.startsWith("fairlead-"));
  const found = await Promise.all(names.map((name) => leftoverIn(join(place, name))));
  return found.filter((leftover) => leftover !== undefined);
}

/** Ends the servers that may still run in it, frees what they hold, and removes the folder. */
export async function removeLeftover(leftover: Leftover): Promise<void> {
  await reap({ folder: leftover.folder, roots: [] });
}

async function leftoverIn(folder: string): Promise<Leftover | undefined> {
  try {
    if (!isOurs(folder)) return undefined;
    const marker = JSON.parse(
      await readFile(join(folder, "fairlead.json"), "utf8"),
    ) as Partial<SupervisedMarker>;
    if (marker.project !== "fairlead" || marker.supervisorPid === undefined) return undefined;
    if (await anyAlive([marker.supervisorPid])) return undefined;
    return { folder, startedAt: marker.startedAt ?? "unknown" };
  } catch {
    return undefined; // No marker that can be read: not known to be a run folder, so not touched.
  }
}

interface SupervisedMarker extends RunMarker {
  readonly supervisorPid: number;
}

/** Anybody can make a folder in the temporary folder and write into it whose memory is to be freed. */
function isOurs(folder: string): boolean {
  const status = lstatSync(folder);
  const owner = unprivilegedOwner();
  const uids = [process.getuid?.(), owner === undefined ? undefined : owner.uid >>> 0];
  return status.isDirectory() && uids.includes(status.uid);
}
