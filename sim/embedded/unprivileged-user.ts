/**
 * Who runs the servers. PostgreSQL refuses to run as root, so that root hands them to somebody without rights;
 * everybody else runs them as themselves.
 */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Owner } from "../postgres/data-directory.ts";

/** Tried in this order; `_postgres` is the one of macOS. */
const candidates = ["postgres", "_postgres", "nobody"];

/**
 * The owner to hand files and processes to; undefined when we are not root.
 * @throws Error when root finds nobody to hand them to
 */
export function unprivilegedOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = findOwner(readFileSync("/etc/passwd", "utf8"));
  if (owner !== undefined) return owner;
  throw new Error(
    `PostgreSQL refuses to run as root, and /etc/passwd has none of the users ${candidates.join(", ")} to run it as: ` +
      "run as a plain user, or add one of them",
  );
}

/** The first candidate in the text of a `/etc/passwd`. PostgreSQL needs a user that has an entry there. */
export function findOwner(passwd: string): Owner | undefined {
  const entries = new Map(passwd.split("\n").map((line) => [line.split(":")[0], line.split(":")]));
  for (const name of candidates) {
    const [, , uid, gid] = entries.get(name) ?? [];
    if (uid !== undefined && gid !== undefined && Number(uid) !== 0)
      return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** Whether `owner` may pass through every folder above `path` and into it. Our own case needs no answer. */
export function canReach(owner: Owner | undefined, path: string): boolean {
  if (owner === undefined) return true;
  let current = realpathSync(path);
  while (canEnter(owner, current)) {
    const parent = dirname(current);
    if (parent === current) return true;
    current = parent;
  }
  return false;
}

function canEnter(owner: Owner, path: string): boolean {
  const { mode, uid, gid } = statSync(path);
  if (uid === owner.uid >>> 0) return (mode & 0o100) !== 0;
  if (gid === owner.gid >>> 0) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}
