/** Documents are part of the feature: what they show must run, what they name must exist. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { checkers } from "../chaos/checkers/index.ts";
import { scenarios } from "../chaos/scenarios/index.ts";
import { parseConfig } from "../src/config/load.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const architecture = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
};

function blocks(text: string, language: string): string[] {
  const found: string[] = [];
  let open: { language: string; lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (!line.startsWith("```")) open?.lines.push(line);
    else if (open === undefined) open = { language: line.slice(3), lines: [] };
    else {
      if (open.language === language) found.push(`${open.lines.join("\n")}\n`);
      open = undefined;
    }
  }
  return found;
}

describe("README.md", () => {
  it("shows a configuration that loads as written", () => {
    const env = {
      DB_PRIMARY_HOST: "db",
      DB_USERNAME: "app",
      DB_PASSWORD: "secret",
      DB_NAME: "app",
      DB_REPLICA1_HOST: "r1",
      DB_REPLICA2_HOST: "r2",
    };
    const [yaml = ""] = blocks(readme, "yaml");
    const config = parseConfig(yaml, { file: "README.md", env });
    expect(config.replicas.map(({ name, weight }) => [name, weight])).toEqual([
      ["replica-1", 2],
      ["replica-2", 1],
    ]);
    expect(config.replicaLagThresholdMs).toBe(10_000);
  });

  it("shows router code that type-checks against the public API", async () => {
    const [code = ""] = blocks(readme, "ts");
    const folder = join(ROOT, "test", "generated");
    const { mkdir, rm, writeFile } = await import("node:fs/promises");
    await mkdir(folder, { recursive: true });
    try {
      const declared = 'declare function drizzle(pool: import("pg").Pool): unknown;\n';
      const source = `${declared}${code.replace('"fairlead"', '"../../src/index.ts"')}\nvoid db;\nexport {};\n`;
      await writeFile(join(folder, "readme.ts"), source);
      const project = { extends: "../../tsconfig.json", include: ["readme.ts"] };
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify(project));
      await expect(
        run("npx", ["tsc", "-p", join(folder, "tsconfig.json")], { cwd: ROOT }),
      ).resolves.toBeDefined();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);

  it("says what explain answers", async () => {
    const { stdout } = await run(
      "npx",
      ["node", "src/cli/bin.ts", "explain", "select nextval('orders_id_seq')"],
      { cwd: ROOT },
    );
    expect(stdout.trim()).toBe("primary (primary-only-function: nextval())");
    expect(readme).toContain("(primary-only-function: nextval(); write)");
  }, 30_000);

  it("names every command and every flag, and none that does not exist", async () => {
    const commands = ["chaos", "up", "bench", "explain", "toxiproxy"];
    for (const command of commands) {
      expect(readme).toContain(`fairlead ${command}`);
    }
    const { stdout } = await run("npx", ["node", "src/cli/bin.ts", "chaos", "--help"], { cwd: ROOT });
    const real = new Set([...stdout.matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag));
    const block = blocks(readme, "").find((text) => text.includes("fairlead chaos [scenario")) ?? "";
    const [chaosLines = ""] = block.split("fairlead up");
    const named = [...chaosLines.matchAll(/--[a-z][a-z-]+|(?<=\|)--?[a-z]+/g)].map(([flag]) => flag);
    expect(named.filter((flag) => !real.has(flag))).toEqual([]);
    const undocumented = [...real].filter(
      (flag) => !named.includes(flag) && !["--help", "--env-file"].includes(flag),
    );
    expect(undocumented).toEqual([]);
  }, 30_000);

  it("names only npm scripts that exist", () => {
    for (const [, script] of readme.matchAll(/npm run ([a-z:]+)/g))
      expect(Object.keys(manifest.scripts)).toContain(script);
  });

  it("names every scenario and every checker that judges one, and none that does not exist", () => {
    const section = readme.slice(readme.indexOf("## What holds"), readme.indexOf("## Measured"));
    const table = section.slice(0, section.indexOf("\n\n", section.indexOf("|---|")));
    const namedIn = (text: string): Set<string> =>
      new Set([...text.matchAll(/`([a-z]+(?:-[a-z]+)*)`/g)].map((match) => match[1] as string));
    const suite = scenarios.filter(({ extended }) => extended !== true).map(({ name }) => name);
    expect(suite.filter((name) => !namedIn(table).has(name))).toEqual([]);
    const used = new Set(scenarios.flatMap((scenario) => scenario.checkers.map(({ name }) => name)));
    const wanted = [...scenarios.map(({ name }) => name), ...used];
    expect(wanted.filter((name) => !namedIn(section).has(name))).toEqual([]);
    const known = new Set([...scenarios, ...checkers].map(({ name }) => name));
    expect([...namedIn(table)].filter((name) => name !== "pg_switch_wal" && !known.has(name))).toEqual([]);
  });

  it("has no dead link", () => {
    for (const [, target] of readme.matchAll(/\]\(([^)#:]+)\)/g))
      expect(existsSync(join(ROOT, target as string))).toBe(true);
  });
});

describe("ARCHITECTURE.md", () => {
  it("names every folder of the tree, and none that does not exist", () => {
    const named = [...architecture.matchAll(/^\| `([\w/]+)` \|/gm)].map((match) => match[1] as string);
    const folders = ["src", "chaos", "sim"].flatMap((name) => foldersBelow(name));
    expect(folders.filter((folder) => !named.includes(folder) && folder !== "sim")).toEqual([]);
    expect(named.filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([]);
  });

  it("names only files that exist", () => {
    const files = [...architecture.matchAll(/`((?:src|chaos|sim|test)\/[\w/-]+\.ts)`/g)].map(
      (match) => match[1] as string,
    );
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});

describe("CHANGELOG.md", () => {
  it("has a section for the package's version", () => {
    expect(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8")).toContain(`## ${manifest.version}`);
  });
});

function foldersBelow(folder: string): string[] {
  const below = readdirSync(join(ROOT, folder)).filter((name) =>
    statSync(join(ROOT, folder, name)).isDirectory(),
  );
  return [folder, ...below.flatMap((name) => foldersBelow(join(folder, name)))];
}
