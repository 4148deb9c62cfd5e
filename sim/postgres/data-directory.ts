/**
 * Copies a data folder file by file: of a server that was shut down cleanly as a whole, of a running one (between
 * the start and the stop of a backup) without what belongs to the running process. A thousand small files are
 * copied ten times as fast without waiting for each; so this blocks, and is called in a process that may.
 */
import {
  chownSync,
  constants,
  copyFileSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { chown } from "node:fs/promises";
import { join } from "node:path";

/** Whom files are given to when the harness runs as root, under which PostgreSQL refuses to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Copy {
  readonly from: string;
  /** Must not exist. */
  readonly to: string;
  /** Who owns the copy. Default: whoever runs. */
  readonly owner?: Owner | undefined;
  /** `backup` leaves out what belongs to the process that runs in `from`. */
  readonly contents: "all" | "backup";
}

/** Copies `from` to the new folder `to`. Files that vanish meanwhile are passed over: their removal is in the WAL. */
export function copyDataDirectory(copy: Copy): void {
  copyFolder(copy, "");
}

function copyFolder(copy: Copy, path: string): void {
  const target = join(copy.to, path);
  mkdirSync(target, { mode: 0o700 });
  if (copy.owner !== undefined) chownSync(target, ...ids(copy.owner));
  for (const entry of readdirSync(join(copy.from, path), { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (copy.contents === "backup" && isLeftOutOfBackup(inner)) continue;
    if (entry.isDirectory()) copyFolder(copy, inner);
    else if (entry.isFile() || entry.isSymbolicLink()) copyEntry(copy, inner, entry.isSymbolicLink());
  }
}

function copyEntry(copy: Copy, path: string, isLink: boolean): void {
  const from = join(copy.from, path);
  const to = join(copy.to, path);
  try {
    // A reflink where the file system has them, an in-kernel copy elsewhere.
    if (isLink) symlinkSync(readlinkSync(from), to);
    else copyFileSync(from, to, constants.COPYFILE_FICLONE);
    if (copy.owner !== undefined) lchownSync(to, ...ids(copy.owner));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Gives a file or folder to `owner`; without one, it stays whose it is. */
export async function giveTo(owner: Owner | undefined, path: string): Promise<void> {
  if (owner !== undefined) await chown(path, ...ids(owner));
}

/** Some systems count `nobody` as -2, which Node takes for processes and wants unsigned for files. */
function ids({ uid, gid }: Owner): [number, number] {
  return [uid >>> 0, gid >>> 0];
}

/** Folders that must be there, and empty. */
const contentsBelongToTheProcess =
  /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\//;

/**
 * What a base backup leaves out.
 * @see https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP-DATA
 */
export function isLeftOutOfBackup(path: string): boolean {
  if (contentsBelongToTheProcess.test(path)) return true;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return (
    /^(postmaster\.(pid|opts)|backup_label(\.old)?|tablespace_map|(standby|recovery)\.signal)$/.test(path) ||
    name === "pg_internal.init" ||
    name.startsWith("pgsql_tmp")
  );
}
