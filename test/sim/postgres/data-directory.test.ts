import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyDataDirectory, isLeftOutOfBackup } from "../../../sim/postgres/data-directory.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "data-directory-"));
  mkdirSync(join(folder, "from", "base", "1"), { recursive: true });
  mkdirSync(join(folder, "from", "pg_wal"));
  writeFileSync(join(folder, "from", "PG_VERSION"), "18\n", { mode: 0o600 });
  writeFileSync(join(folder, "from", "base", "1", "1259"), "a table");
  writeFileSync(join(folder, "from", "pg_wal", "000000010000000000000001"), "wal");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function copy(contents: "all" | "backup"): void {
  copyDataDirectory({ from: join(folder, "from"), to: join(folder, "to"), contents });
}

describe("a copied data folder", () => {
  test("has every file, with modes that PostgreSQL accepts", () => {
    symlinkSync("1259", join(folder, "from", "base", "1", "link"));
    copy("all");
    expect(readFileSync(join(folder, "to", "base", "1", "1259"), "utf8")).toBe("a table");
    expect(readFileSync(join(folder, "to", "base", "1", "link"), "utf8")).toBe("a table");
    expect(readFileSync(join(folder, "to", "pg_wal", "000000010000000000000001"), "utf8")).toBe("wal");
    expect(statSync(join(folder, "to")).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "to", "PG_VERSION")).mode & 0o777).toBe(0o600);
  });

  test("of a running server keeps a folder whose contents are left out, empty", () => {
    copy("backup");
    expect(readdirSync(join(folder, "to", "pg_wal"))).toEqual([]);
    expect(readdirSync(join(folder, "to", "base", "1"))).toEqual(["1259"]);
  });

  test("never overwrites one that is there", () => {
    mkdirSync(join(folder, "to"));
    expect(() => copy("all")).toThrow(/EEXIST/);
  });
});

// The list in the manual, "Making a Base Backup Using the Low Level API" and pg_basebackup's.
test.each([
  "postmaster.pid",
  "postmaster.opts",
  "backup_label",
  "standby.signal",
  "pg_wal/0",
  "pg_replslot/0",
  "pg_dynshmem/0",
  "pg_notify/0",
  "pg_serial/0",
  "pg_snapshots/0",
  "pg_stat_tmp/0",
  "pg_subtrans/0",
  "global/pg_internal.init",
  "base/5/pgsql_tmp",
])("a backup leaves out %s", (path) => {
  expect(isLeftOutOfBackup(path)).toBe(true);
});

test.each([
  "PG_VERSION",
  "global/pg_control",
  "base/5/1259",
  "pg_xact/0000",
  "pg_multixact",
  "pg_wal",
  "postgresql.auto.conf",
])("a backup has %s", (path) => {
  expect(isLeftOutOfBackup(path)).toBe(false);
});
