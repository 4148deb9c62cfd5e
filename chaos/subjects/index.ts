/** The routers that a suite can be run against by name, and how one of the user's own is loaded. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Subject } from "../subject.ts";
import type { SubjectSource } from "../workload/host.ts";

interface BuiltinSubject {
  /** What it is, in one sentence. */
  readonly title: string;
  readonly load: () => Promise<Subject>;
}

export const builtinSubjects: Readonly<Record<string, BuiltinSubject>> = {
  fairlead: {
    title: "This package's own router.",
    load: async () => (await import("./fairlead.ts")).fairlead,
  },
  naive: {
    title: "Random choice over all replicas, without health checks, lag or fallback: what must not pass.",
    load: async () => (await import("./naive.ts")).naive,
  },
};

/** @throws Error that names what there is, or what the module lacks */
export async function loadSubject(source: SubjectSource): Promise<Subject> {
  if (source.kind === "builtin") {
    const builtin = Object.hasOwn(builtinSubjects, source.name) ? builtinSubjects[source.name] : undefined;
    if (builtin !== undefined) return await builtin.load();
    const known = Object.keys(builtinSubjects).join(", ");
    throw new Error(
      `no subject is called "${source.name}" (there are ${known}); a module is given by its path`,
    );
  }
  const path = resolve(source.path);
  const module = await importModule(path, source.path);
  const subject = module["subject"] ?? module["default"];
  if (isSubject(subject)) return subject;
  throw new Error(`${source.path} exports no subject: export const subject = { name, claims, connect }`);
}

async function importModule(path: string, name: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new Error(`${name} cannot be imported: ${reason}`, { cause: error });
  }
}

function isSubject(value: unknown): value is Subject {
  if (typeof value !== "object" || value === null) return false;
  const { name, claims, connect } = value as Partial<Record<keyof Subject, unknown>>;
  return typeof name === "string" && Array.isArray(claims) && typeof connect === "function";
}
