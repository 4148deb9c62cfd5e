/**
 * Makes a package's programs runnable where they are not: when root steps down to a user who cannot pass through
 * a folder above them (a home of mode 0700), or when the package's install script, which makes its symbolic
 * links, was not allowed to run. Then the files are copied once, by version, into a cache.
 */
import { randomUUID } from "node:crypto";
import { existsSync, lstatSync } from "node:fs";
import { chmod, cp, mkdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { Owner } from "../postgres/data-directory.ts";
import { canReach } from "./unprivileged-user.ts";

export interface BinaryPackage {
  /** The folder of the package. */
  readonly root: string;
  readonly name: string;
  readonly version: string;
}

interface Link {
  /** Both relative to the package's folder: `target` is the link, `source` what it points at. */
  readonly source: string;
  readonly target: string;
}

/**
 * The package's folder, or that of a copy which `owner` can run.
 * @param places where a copy may be, the best place first
 */
export async function placeWithinReach(
  original: BinaryPackage,
  owner: Owner | undefined,
  places: readonly string[] = cacheFolders(),
): Promise<string> {
  const links = await symbolicLinks(original.root);
  const isComplete = links.every((link) => existsSync(join(original.root, link.target)));
  if (isComplete && canReach(owner, join(original.root, "native", "bin"))) return original.root;

  const cache = await openCache(owner, places);
  const copy = join(cache, `${original.name.replaceAll("/", "-")}-${original.version}`);
  if (!existsSync(copy)) await copyPackage(original.root, copy, links);
  return copy;
}

async function symbolicLinks(root: string): Promise<Link[]> {
  const text = await readFile(join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  return JSON.parse(text) as Link[];
}

/** Made aside and put in place in one step: two runs that do this at once end with one whole copy. */
async function copyPackage(root: string, copy: string, links: readonly Link[]): Promise<void> {
  const aside = `${copy}.${randomUUID()}`;
  try {
    await cp(join(root, "native"), join(aside, "native"), { recursive: true, verbatimSymlinks: true });
    for (const { source, target } of links) {
      if (!existsSync(join(aside, target)))
        await symlink(relative(dirname(target), source), join(aside, target));
    }
    await chmod(aside, 0o755);
    await rename(aside, copy);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
}

/**
 * A folder that only root, or only we, can write to: what is in it will be run.
 * Root's stays root's. The unprivileged user may read and run it, and cannot change what others run.
 */
async function openCache(owner: Owner | undefined, places: readonly string[]): Promise<string> {
  const failures: string[] = [];
  for (const folder of places) {
    try {
      const made = await mkdir(folder, { recursive: true });
      if (made !== undefined) await chmod(folder, owner === undefined ? 0o700 : 0o755);
      const { uid, mode } = lstatSync(folder);
      if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
        throw new Error("somebody else can write to it");
      if (!canReach(owner, folder)) throw new Error(`uid ${owner?.uid} cannot reach it`);
      return folder;
    } catch (error) {
      failures.push(`${folder}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `PostgreSQL's programs must be copied to where they can be run, and no place is fit. ${failures.join("; ")}`,
  );
}

/** Where copies may be, the best place first. They outlive a run, so that the next one finds them. */
export function cacheFolders(): readonly string[] {
  const uid = process.getuid?.() ?? 0;
  const home =
    uid === 0
      ? "/var/cache/fairlead"
      : join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "fairlead");
  return [home, join(tmpdir(), `fairlead-cache-${uid}`), `/tmp/fairlead-cache-${uid}`];
}
