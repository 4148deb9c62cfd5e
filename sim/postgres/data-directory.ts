/**
 * Copies a data folder file by file: of a server that was shut down cleanly as a whole, of a running one (between
 * the start and the stop of a backup) without what belongs to the running process.
 */
import {
  chmod,
  chown,
  constants,
  copyFile,
  lchown,
  mkdir,
  readdir,
  readlink,
  symlink,
} from "node:fs/promises";
import { join } from "node:path";

/** Whom files are given to when the harness runs as root, under which PostgreSQL refuses to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Copy {
  readonly from: string;
  readonly to: string;
  /** Who owns the copy. Default: whoever runs. */
  readonly owner?: Owner | undefined;
  /** Asked with the path relative to `from`; a folder that is left out stays, empty. */
  readonly leaveOut?: (path: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Copies `from` to the new folder `to`. Files that vanish meanwhile are passed over: their removal is in the WAL. */
export async function copyDataDirectory(copy: Copy): Promise<void> {
  await copyFolder(copy, "");
}

async function copyFolder(copy: Copy, path: string): Promise<void> {
  copy.signal?.throwIfAborted();
  const target = join(copy.to, path);
  await mkdir(target, { mode: 0o700 });
  await giveTo(copy.owner, target);
  if (path !== "" && copy.leaveOut?.(path) === true) return;

  const entries = await readdir(join(copy.from, path), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
  const others = entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => ({ path: join(path, entry.name), isLink: entry.isSymbolicLink() }))
    .filter((entry) => copy.leaveOut?.(entry.path) !== true);
  await Promise.all(others.map((entry) => copyEntry(copy, entry.path, entry.isLink)));
  for (const folder of folders) await copyFolder(copy, folder);
}

async function copyEntry(copy: Copy, path: string, isLink: boolean): Promise<void> {
  const from = join(copy.from, path);
  const to = join(copy.to, path);
  try {
    if (isLink) {
      await symlink(await readlink(from), to);
      if (copy.owner !== undefined) await lchown(to, copy.owner.uid >>> 0, copy.owner.gid >>> 0);
    } else {
      // A reflink where the file system has them, an in-kernel copy elsewhere.
      await copyFile(from, to, constants.COPYFILE_FICLONE);
      await giveTo(copy.owner, to);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Gives a file or folder to `owner`; without one, it stays whose it is. */
export async function giveTo(owner: Owner | undefined, path: string, mode?: number): Promise<void> {
  if (mode !== undefined) await chmod(path, mode);
  // Some systems count `nobody` as -2, which Node takes for processes and wants unsigned for files.
  if (owner !== undefined) await chown(path, owner.uid >>> 0, owner.gid >>> 0);
}

const contentsBelongToTheProcess = new Set([
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);

/**
 * What a base backup leaves out.
 * @see https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP-DATA
 */
export function isLeftOutOfBackup(path: string): boolean {
  if (contentsBelongToTheProcess.has(path)) return true;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return (
    /^(postmaster\.(pid|opts)|backup_label(\.old)?|tablespace_map|(standby|recovery)\.signal)$/.test(path) ||
    name === "pg_internal.init" ||
    name.startsWith("pgsql_tmp")
  );
}
