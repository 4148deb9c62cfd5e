/** The command line with real clusters: what it prints works, what it writes can be read, and nothing outlives it. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { XMLValidator } from "fast-xml-parser";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunReport } from "../../chaos/report/report.ts";
import { runReportJsonSchema } from "../../chaos/report/schema.ts";
import { startBuiltinToxiproxy } from "../../sim/toxiproxy/start.ts";
import { Command, runCommand } from "../cli/command.ts";

let cwd: string;
let tmp: string;
const started: Command[] = [];

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "fairlead-cli-"));
  tmp = join(cwd, "tmp");
  await mkdir(tmp);
  // Where root steps down for PostgreSQL, that user must get in.
  for (const folder of [cwd, tmp]) await chmod(folder, 0o755);
});

afterEach(async () => {
  for (const command of started.splice(0)) await command.end("SIGKILL");
});

afterAll(async () => {
  await goneFrom(tmp, 10_000);
  await rm(cwd, { recursive: true, force: true });
});

function start(...args: string[]): Command {
  const command = new Command(args, { cwd, tmp });
  started.push(command);
  return command;
}

/** What still runs or lies in a temporary folder. Every server is started with its data folder on its command line. */
function leftIn(folder: string): string[] {
  const processes = execFileSync("ps", ["-A", "-o", "args"], { encoding: "utf8" });
  const files = existsSync(folder) ? execFileSync("ls", [folder], { encoding: "utf8" }) : "";
  return [
    ...processes.split("\n").filter((line) => line.includes(`${folder}/fairlead-`)),
    ...files.split("\n").filter((name) => name.startsWith("fairlead-")),
  ];
}

async function goneFrom(folder: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (leftIn(folder).length > 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(leftIn(folder)).toEqual([]);
}

async function writeSubject(name: string, body: string): Promise<string> {
  const path = join(cwd, `${name}.mjs`);
  await writeFile(path, body);
  return path;
}

async function filesUnder(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
}

describe("fairlead up", () => {
  let up: Command;
  let variables: Record<string, string>;
  let envFileMode: number;

  beforeAll(async () => {
    up = new Command(["up"], { cwd, tmp });
    const [, file = ""] = await up.printed(/^env file +(.+)$/m);
    await up.printed(/Ctrl-C removes all of it/);
    variables = parseEnv(readFileSync(file, "utf8")) as Record<string, string>;
    envFileMode = statSync(file).mode & 0o777;
  }, 60_000);

  afterAll(() => up.end("SIGKILL"));

  it("prints DSNs that work, each to the node that it names", async () => {
    const dsns = [...up.stdout.matchAll(/^(\S+) +(postgres:\S+)$/gm)].map(([, name, dsn]) => ({ name, dsn }));
    expect(dsns.map(({ name }) => name)).toEqual([
      "primary",
      "replica-1",
      "replica-2",
      "replica-3",
      "superuser",
    ]);
    for (const { name, dsn } of dsns) {
      const client = new Client({ connectionString: dsn as string });
      await client.connect();
      const { rows } = await client.query<{ node: string; ssl: boolean }>(
        "select current_setting('cluster_name') as node, (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as ssl",
      );
      await client.end();
      expect([name, rows[0]]).toEqual([name, { node: name === "superuser" ? "primary" : name, ssl: true }]);
    }
  });

  it("writes the same into a file of variables, which nobody else may read", () => {
    expect(envFileMode).toBe(0o600);
    expect(Object.keys(variables)).toEqual(
      expect.arrayContaining([
        "PRIMARY_URL",
        "REPLICA_3_URL",
        "DB_PASSWORD",
        "SUPERUSER_URL",
        "TOXIPROXY_URL",
      ]),
    );
    expect(up.stdout).toContain(`primary    ${variables["PRIMARY_URL"]}\n`);
  });

  it("is what explain can look things up in, by DSN", async () => {
    const dsn = variables["SUPERUSER_URL"] ?? "";
    const client = new Client({ connectionString: dsn });
    await client.connect();
    await client.query("create function twice(n int) returns int volatile language sql as 'select n * 2'");
    await client.end();
    const { code, stdout } = await runCommand(["explain", "--json", "--dsn", dsn, "select twice(1)"], {
      cwd,
      tmp,
    });
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ target: "primary", detail: expect.stringContaining("twice") as string }),
    ]);
  });

  it("tells explain's user in one line that the password is wrong, without a password", async () => {
    const url = new URL(variables["PRIMARY_URL"] ?? "");
    url.password = "not-the-password";
    const { code, stdout, stderr } = await runCommand(["explain", "--dsn", url.href, "select 1"], {
      cwd,
      tmp,
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      /^fairlead: no database answers \(primary [\d.:]+: password authentication failed[^\n]+\n$/,
    );
    expect(stderr).not.toContain("not-the-password");
  });

  it("is what explain can choose nodes of, by configuration and env file", async () => {
    const [config, envFile] = [join(cwd, "up.yaml"), join(cwd, "up.env")];
    const replicas = [1, 2].map(
      (i) => `    - { name: r${i}, host: "\${DB_REPLICA_${i}_HOST}", port: "\${DB_REPLICA_${i}_PORT}" }\n`,
    );
    await writeFile(
      config,
      `db:\n  host: \${DB_PRIMARY_HOST}\n  port: \${DB_PRIMARY_PORT}\n  username: \${DB_USERNAME}\n` +
        `  password: \${DB_PASSWORD}\n  database: \${DB_NAME}\n  sslMode: verify-full\n  sslRootCert: \${DB_CA}\n` +
        `  enableReadWriteSeparation: true\n  readReplicas:\n${replicas.join("")}`,
    );
    const file = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(envFile, file.join(""), { mode: 0o600 });
    const args = ["explain", "--config", config, "--env-file", envFile, "--stdin"];
    const input = '"select 1"\n"delete from t"\n';
    const { code, stdout, stderr } = await runCommand(args, { cwd, tmp, input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      expect.objectContaining({ target: "replica", node: expect.stringMatching(/^r[12]$/) as string }),
      expect.objectContaining({ target: "primary", node: "primary" }),
    ]);
  });

  it("removes all of it on Ctrl-C", async () => {
    const { code, tookMs } = await up.end("SIGINT");
    expect(code).toBe(130);
    expect(tookMs).toBeLessThan(9_000);
    expect(leftIn(tmp)).toEqual([]);
  });
});

describe("fairlead chaos", () => {
  it("writes every format, keeps quiet about nothing, and leaves nothing but its folder", async () => {
    const out = join(cwd, "run");
    const [json, junit] = [join(cwd, "report.json"), join(cwd, "report.xml")];
    const command = start(
      "chaos",
      "baseline",
      "--seed",
      "7",
      "--out",
      out,
      "--json",
      json,
      "--junit",
      junit,
      "--markdown",
      "-",
    );
    const { code, stdout, stderr } = await command.ended;
    expect([code, stderr]).toEqual([0, expect.stringMatching(/\[1\/1\] baseline held/)]);
    expect(stderr).toMatch(/^world {4}embedded: PostgreSQL \d+/m);
    expect(stderr).toMatch(/^policy {3}lag threshold 1 s/m);
    expect(stderr).toMatch(/^budgets {2}down within 800 ms/m);
    expect(stderr).not.toMatch(/warning|\(node:|^\s+at /im);
    expect(stdout).toMatch(/^### fairlead: every invariant held\n/);
    expect(XMLValidator.validate(await readFile(junit, "utf8"))).toBe(true);
    const report = JSON.parse(await readFile(json, "utf8")) as RunReport;
    const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, formats: { "date-time": true } });
    const validate = ajv.compile(runReportJsonSchema());
    expect([validate(report), validate.errors]).toEqual([true, null]);
    expect(report).toMatchObject({ seed: 7, subject: "fairlead", status: "pass", world: { replicas: 3 } });
    expect(await readFile(join(out, "report.json"), "utf8")).toBe(await readFile(json, "utf8"));
    const names = (await readdir(join(out, "baseline"))).sort();
    expect(names).toEqual(
      expect.arrayContaining(["history.jsonl", "primary.log", "replica-3.log", "verdicts.json"]),
    );
    expect(leftIn(tmp)).toEqual([]);
  });

  it("keeps a cluster after a failure, with no secret anywhere but where it was asked for, and removes it on Ctrl-C", async () => {
    const out = join(cwd, "fell");
    const json = join(cwd, "fell.json");
    const command = start(
      "chaos",
      "replica-killed",
      "--subject",
      "naive",
      "--keep",
      "--out",
      out,
      "--json",
      json,
      "--junit",
      "-",
    );
    await command.printed(/--keep: the cluster stays up; Ctrl-C removes all of it/);
    const [, file = ""] = await command.printed(/^env file +(.+)$/m);
    const variables = parseEnv(readFileSync(file, "utf8")) as Record<string, string>;
    const client = new Client({ connectionString: variables["REPLICA_1_URL"] ?? "" });
    await client.connect();
    expect((await client.query<{ a: number }>("select 1 as a")).rows).toEqual([{ a: 1 }]);
    await client.end();
    // Written before anybody waits.
    expect((JSON.parse(await readFile(json, "utf8")) as RunReport).status).toBe("fail");
    const { code } = await command.end("SIGINT");
    expect(code).toBe(1);
    expect(leftIn(tmp)).toEqual([]);
    const secrets = [
      variables["DB_PASSWORD"],
      new URL(variables["SUPERUSER_URL"] ?? "").password,
    ] as string[];
    expect(secrets.every((secret) => secret.length >= 16)).toBe(true);
    const [report = ""] = command.stderr.split(/^primary +postgres:/m);
    const texts = [
      command.stdout,
      report,
      ...[...(await filesUnder(out)), json].map((path) => readFileSync(path, "utf8")),
    ];
    expect(texts.length).toBeGreaterThan(8);
    for (const secret of secrets) expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    expect(XMLValidator.validate(command.stdout)).toBe(true);
  });

  it("heals and removes everything on Ctrl-C in the middle of a fault, and says what is finished", async () => {
    const command = start("chaos", "baseline", "replica-killed");
    await command.printed(/replica-killed: on: node-killed/);
    const { code, stderr, tookMs } = await command.end("SIGINT");
    expect(code).toBe(130);
    expect(tookMs).toBeLessThan(9_000);
    expect(leftIn(tmp)).toEqual([]);
    expect(stderr).toMatch(/what was finished is in \.fairlead\/runs\/\S+\nfairlead: interrupted\n$/);
    expect(await readdir(join(cwd, ".fairlead", "runs", "latest"))).toEqual(["baseline"]);
  });

  it.each([
    ["while the cluster comes up", /starting Toxiproxy/, "SIGTERM"],
    ["while the subject connects", /^budgets/m, "SIGINT"],
  ] as const)("ends at once when told to %s", async (_when, pattern, signal) => {
    const command = start("chaos", "baseline");
    await command.printed(pattern);
    const { code, stderr, tookMs } = await command.end(signal);
    expect([code, stderr]).toEqual([130, expect.stringMatching(/fairlead: interrupted\n$/)]);
    expect(tookMs).toBeLessThan(9_000);
    expect(leftIn(tmp)).toEqual([]);
  });

  it("leaves nothing when it is killed", async () => {
    const command = start("chaos", "replica-killed");
    await command.printed(/on: node-killed/);
    await command.end("SIGKILL");
    await goneFrom(tmp, 10_000);
  });

  it("judges nobody when its Toxiproxy goes away", async () => {
    const toxiproxy = await startBuiltinToxiproxy({ port: 0 });
    const command = start("chaos", "replica-black-hole", "--toxiproxy", toxiproxy.url);
    await command.printed(/on: link-black-hole/);
    await toxiproxy.close();
    const { code, stdout } = await command.ended;
    expect(stdout).toMatch(/Toxiproxy at http:\S+ does not answer/);
    expect(stdout).toMatch(/: 1 unknown in /);
    expect(code).toBe(3);
    expect(leftIn(tmp)).toEqual([]);
  });

  it("keeps what a subject prints out of what a program reads, and says why it could not be judged", async () => {
    const subject = await writeSubject(
      "loud",
      `console.log("printed on stdout");
       export const subject = { name: "loud", claims: [], connect: () => Promise.reject(new Error("no | way")) };`,
    );
    const { code, stdout, stderr } = await start("chaos", "baseline", "--subject", subject, "--json", "-")
      .ended;
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      status: "unknown",
      scenarios: [{ status: "unknown", reason: "the subject did not connect: no | way", verdicts: [] }],
    });
    expect(stderr).toContain("subject: printed on stdout\n");
  });

  const system = systemPostgres();
  it.skipIf(system.bin === undefined)(`runs on the machine's own PostgreSQL (${system.about})`, async () => {
    const { code, stderr } = await start("chaos", "baseline", "--pg-bin", system.bin ?? "").ended;
    expect(stderr).toContain(`PostgreSQL ${system.about}`);
    expect(code).toBe(0);
  });
});

/** Where `pg_config` points, when servers of a supported version are there. */
function systemPostgres(): { readonly bin?: string; readonly about: string } {
  try {
    const bin = execFileSync("pg_config", ["--bindir"], { encoding: "utf8" }).trim();
    const text = execFileSync(join(bin, "postgres"), ["--version"], { encoding: "utf8" });
    const version = /\(PostgreSQL\) (\d+\.\d+)/.exec(text)?.[1] ?? "";
    const major = Number.parseInt(version, 10);
    if (!existsSync(join(bin, "initdb"))) return { about: "it has no initdb" };
    return major >= 14 && major <= 18 ? { bin, about: version } : { about: `it is ${text.trim()}` };
  } catch {
    return { about: "there is none" };
  }
}
