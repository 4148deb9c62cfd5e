/** A base backup of a running server over a superuser's connection, where no `pg_basebackup` is at hand. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DirectConnection } from "../../chaos/world.ts";
import { giveTo, type Owner } from "./data-directory.ts";

export interface BaseBackup {
  /** To the server that is copied; must stay open until the backup has ended. */
  readonly connection: DirectConnection;
  readonly majorVersion: number;
  /** Copies the running server's data folder to `to`, see `copyDataDirectory` with `contents: "backup"`. */
  readonly copy: () => Promise<void>;
  /** The new data folder. */
  readonly to: string;
  readonly owner?: Owner | undefined;
}

/**
 * Copies the running server. The WAL written meanwhile must be kept for the copy, by a slot that reserved it before.
 * @see https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
export async function takeBaseBackup(backup: BaseBackup): Promise<void> {
  const { connection, owner, to } = backup;
  const { start, stop } = backup.majorVersion >= 15 ? statements : statementsBefore15;
  await connection.query(start);
  await backup.copy();
  const [end] = await connection.query<{ labelfile: string; spcmapfile: string }>(stop);
  if (end === undefined) throw new Error("the backup ended without a label");

  await writeOwned(join(to, "backup_label"), end.labelfile, owner);
  if (end.spcmapfile.trim() !== "") await writeOwned(join(to, "tablespace_map"), end.spcmapfile, owner);
  for (const folder of ["archive_status", "summaries"]) {
    await mkdir(join(to, "pg_wal", folder), { mode: 0o700 });
    await giveTo(owner, join(to, "pg_wal", folder));
  }
}

const statements = {
  start: "SELECT pg_backup_start('fairlead', true)",
  stop: "SELECT labelfile, spcmapfile FROM pg_backup_stop(false)",
};

const statementsBefore15 = {
  start: "SELECT pg_start_backup('fairlead', true, false)",
  stop: "SELECT labelfile, spcmapfile FROM pg_stop_backup(false, false)",
};

async function writeOwned(path: string, text: string, owner: Owner | undefined): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await giveTo(owner, path);
}
