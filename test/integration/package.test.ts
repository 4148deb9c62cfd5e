/** What an application gets from the registry: few packages, none of the harness loaded, and a command that says what it lacks. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");

let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fairlead-package-"));
  const { stdout } = await npm(["pack", "--json", "--pack-destination", folder], ROOT);
  // `prepack` builds; what it prints comes first.
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("[\n"))) as [{ filename: string }];
  tarball = join(folder, filename);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "application", type: "module" }));
  await npm(["install", "--no-audit", "--no-fund", tarball, "pg"], folder);
}, 180_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the package, installed into an empty folder", () => {
  it("brings at most 12 packages and 15 MB beside pg and what that brings", async () => {
    const ours = await packagesBeside(folder, "pg");
    const names = ours.map(({ name }) => name);
    expect(names).toContain("fairlead");
    expect(names).not.toContain("pg");
    expect(names.length).toBeLessThanOrEqual(12);
    const bytes = ours.reduce((sum, one) => sum + one.bytes, 0);
    expect(bytes).toBeLessThanOrEqual(15 * 1024 * 1024);
  });

  it("loads none of the harness when the router is imported", async () => {
    const script = `
      import { registerHooks } from "node:module";
      const loaded = [];
      registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
      await import("fairlead");
      console.log(JSON.stringify(loaded));`;
    const { stdout } = await run(join(BIN, "node"), ["--input-type=module", "-e", script], { cwd: folder });
    const loaded = JSON.parse(stdout) as string[];
    expect(loaded.some((url) => url.includes("/dist/src/router.js"))).toBe(true);
    expect(
      loaded.filter((url) => /\/dist\/(chaos|sim|src\/cli)\/|toxiproxy|tinybench|stricli/.test(url)),
    ).toEqual([]);
  });

  it("exports the router and the chaos kit, and nothing else", async () => {
    const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { exports: object };
    expect(Object.keys(manifest.exports)).toEqual([".", "./chaos"]);
    const script = `
      const router = await import("fairlead"), chaos = await import("fairlead/chaos");
      const inner = await import("fairlead/dist/src/engine.js").then(() => "open", (error) => error.code);
      console.log(JSON.stringify([typeof router.createRouter, typeof chaos.runScenario, inner]));`;
    const { stdout } = await run(join(BIN, "node"), ["--input-type=module", "-e", script], { cwd: folder });
    expect(JSON.parse(stdout)).toEqual(["function", "function", "ERR_PACKAGE_PATH_NOT_EXPORTED"]);
  });

  it("names one further npm line of at most three packages, after which the suite runs", async () => {
    const before = await fairlead(["chaos", "baseline"]);
    expect(before.code).toBe(2);
    const line = /npm i -D (.+)$/m.exec(before.stderr)?.[1] ?? "";
    const packages = line.split(" ").filter((name) => name !== "");
    expect(packages.length).toBeGreaterThan(0);
    expect(packages.length).toBeLessThanOrEqual(3);
    await npm(["install", "--no-audit", "--no-fund", "-D", ...packages], folder);
    const after = await fairlead(["chaos", "baseline"]);
    expect(after.stderr + after.stdout).toContain("baseline");
    expect(after.code).toBe(0);
  }, 120_000);

  it("says in one line that an older Node will not do", async () => {
    const script = join(folder, "node_modules", "fairlead", "dist", "src", "cli", "bin.js");
    const pretend = `Object.defineProperty(process.versions, "node", { value: "20.20.2" }); await import(${JSON.stringify(script)});`;
    const { stderr, code } = await finished(
      run(join(BIN, "node"), ["--input-type=module", "-e", pretend], { cwd: folder }),
    );
    expect(code).toBe(2);
    expect(stderr.trim()).toBe("fairlead needs Node 22.22 or newer, this is Node 20.20.2");
  });
});

describe("the package itself", () => {
  it("is what publint and attw expect of an ESM package with types", async () => {
    await expect(
      run(join(BIN, "publint"), ["run", tarball, "--strict"], { cwd: ROOT }),
    ).resolves.toBeDefined();
    await expect(
      run(join(BIN, "attw"), [tarball, "--profile", "esm-only"], { cwd: ROOT }),
    ).resolves.toBeDefined();
  }, 120_000);
});

/** npm comes with the host's Node, whatever version that is. */
function npm(args: readonly string[], cwd: string): Promise<{ stdout: string; stderr: string }> {
  return run("npm", args, { cwd, maxBuffer: 64 * 1024 * 1024 });
}

function fairlead(args: readonly string[]): Promise<Finished> {
  const script = join(folder, "node_modules", ".bin", "fairlead");
  return finished(
    run(join(BIN, "node"), [script, ...args], { cwd: folder, env: { ...process.env, CI: "true" } }),
  );
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function finished(running: Promise<{ stdout: string; stderr: string }>): Promise<Finished> {
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const { code, stdout, stderr } = error as Finished;
    return { code, stdout, stderr };
  }
}

/** Every installed package that `except` neither is nor brings, with its size on disk. */
async function packagesBeside(cwd: string, except: string): Promise<{ name: string; bytes: number }[]> {
  const lock = JSON.parse(await readFile(join(cwd, "node_modules", ".package-lock.json"), "utf8")) as {
    packages: Record<
      string,
      { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }
    >;
  };
  const brought = new Set<string>();
  const follow = (name: string): void => {
    if (brought.has(name)) return;
    brought.add(name);
    const { dependencies = {}, optionalDependencies = {} } = lock.packages[`node_modules/${name}`] ?? {};
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) follow(next);
  };
  follow(except);
  const names = Object.keys(lock.packages)
    .map((path) => path.replace(/^.*node_modules\//, ""))
    .filter((name) => !brought.has(name));
  return Promise.all(
    names.map(async (name) => ({ name, bytes: await sizeOf(join(cwd, "node_modules", name)) })),
  );
}

async function sizeOf(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await readFile(join(entry.parentPath, entry.name))).byteLength),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
