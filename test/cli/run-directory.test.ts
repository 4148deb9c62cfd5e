import { access, mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkOutputs } from "../../src/cli/outputs.ts";
import { reproduceCommand } from "../../src/cli/reproduce.ts";
import { openRunDirectory } from "../../src/cli/run-directory.ts";

let folder: string;
let runs: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fairlead-runs-"));
  runs = join(folder, "a", "runs");
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function finishedRun(seed: number): Promise<string> {
  const { path, settle } = await openRunDirectory({ seed, runs });
  await writeFile(join(path, "report.json"), "{}");
  expect(await settle()).toBe(true);
  return path;
}

describe("the folder of a run", () => {
  test("is named by time and seed, and `latest` points at the newest that holds something", async () => {
    await finishedRun(1);
    const second = await finishedRun(2);
    const { path, settle } = await openRunDirectory({ seed: 3, runs });
    expect(basename(path)).toMatch(/^\d{8}T\d{6}Z-3$/);
    expect(await settle()).toBe(false);
    expect(await readlink(join(runs, "latest"))).toBe(basename(second));
    expect(await readdir(runs)).toHaveLength(3);
  });

  test("is one's own, even for the same seed in the same second", async () => {
    const paths = await Promise.all([1, 2, 3].map(() => openRunDirectory({ seed: 5, runs })));
    expect(new Set(paths.map(({ path }) => path)).size).toBe(3);
  });

  test("pushes out the oldest beyond ten, and touches nothing that is no run", async () => {
    await mkdir(runs, { recursive: true });
    const old = Array.from({ length: 12 }, (_, i) => `2020010${Math.floor(i / 10)}T00000${i % 10}Z-7`);
    for (const name of [...old, "notes", "20200101"]) await mkdir(join(runs, name));
    const newest = await finishedRun(1);
    const kept = (await readdir(runs)).sort();
    expect(kept).toEqual([...old.slice(3), basename(newest), "20200101", "latest", "notes"].sort());
  });

  test("leaves a `latest` of the user's own alone", async () => {
    await mkdir(join(runs, "latest"), { recursive: true });
    await finishedRun(1);
    await expect(readlink(join(runs, "latest"))).rejects.toThrow("EINVAL");
  });

  test("is the one that --out names, also when that is there already and empty", async () => {
    const out = join(folder, "new", "out");
    const { path, settle } = await openRunDirectory({ out, seed: 1 });
    expect(path).toBe(out);
    expect(await settle()).toBe(false);
    await expect(access(out)).rejects.toThrow("ENOENT");
    const there = join(folder, "there");
    await mkdir(there);
    const { settle: again } = await openRunDirectory({ out: there, seed: 1 });
    expect(await again()).toBe(false);
    await access(there);
  });
});

describe("outputs, before a run", () => {
  test("are not touched by being looked at", async () => {
    const [there, link] = [join(folder, "there"), join(folder, "link")];
    await writeFile(there, "before");
    await symlink(there, link);
    await checkOutputs({ json: there, junit: join(folder, "new"), markdown: undefined });
    await checkOutputs({ json: link, junit: "-" });
    await checkOutputs({ json: "/dev/stdout", markdown: "/dev/null" });
    expect((await readdir(folder)).sort()).toEqual(["link", "there"]);
  });
});

test.each([
  [{}, "npx fairlead chaos baseline --seed 7"],
  [
    { subject: "./my router.ts", pgBin: "/usr/lib/pg/bin" },
    "npx fairlead chaos baseline --seed 7 --subject './my router.ts' --pg-bin /usr/lib/pg/bin",
  ],
  [
    { config: "it's.yaml", envFile: "$HOME/.env" },
    "npx fairlead chaos baseline --seed 7 --config 'it'\\''s.yaml' --env-file '$HOME/.env'",
  ],
])("the command to run it again can be pasted into a shell: %o", (flags, command) => {
  expect(reproduceCommand("baseline", 7, flags)).toBe(command);
});
