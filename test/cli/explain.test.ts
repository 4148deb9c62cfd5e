import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFromDsn } from "../../src/cli/dsn.ts";
import { Command, runCommand } from "./command.ts";

let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "fairlead-explain-"));
});

afterAll(() => rm(cwd, { recursive: true, force: true }));

describe("fairlead explain, without a database", () => {
  test("says in words where a statement goes, and what it takes for granted", async () => {
    const { code, stdout } = await runCommand(["explain", "select * from t"], { cwd });
    expect([code, stdout]).toEqual([
      0,
      "replica (select)\n  assuming that tables are ordinary tables; --dsn or --config looks\n",
    ]);
  });

  test("says it as JSON", async () => {
    const { code, stdout } = await runCommand(["explain", "--json", "select f() from t for update"], { cwd });
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ target: "primary" })]);
  });

  test("answers a line with a line", async () => {
    const input = '"select 1"\r\n\n"insert into t values (\'a\\nb\')"\n"not sql at all"';
    const { code, stdout, stderr } = await runCommand(["explain", "--stdin"], { cwd, input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const targets = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { target: string }).target);
    expect(targets).toEqual(["replica", "primary", "primary"]);
  });

  test.each(["select 1", "{}", "1", '["select 1"]'])(
    "names the line that is no JSON string: %s",
    async (line) => {
      const { code, stdout, stderr } = await runCommand(["explain", "--stdin"], {
        cwd,
        input: `"select 1"\n${line}\n`,
      });
      expect(stdout.trimEnd().split("\n")).toHaveLength(1);
      expect(stderr).toBe('fairlead: stdin:2: expected one JSON string a line, such as "select 1"\n');
      expect(code).toBe(2);
    },
  );

  test("ends quietly when nobody reads any more", async () => {
    const input = '"select 1"\n'.repeat(200_000);
    const command = new Command(["explain", "--stdin"], { cwd, input });
    await command.printed(/replica/);
    command.child.stdout?.destroy();
    const { code, stderr } = await command.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});

describe("a DSN", () => {
  test.each([
    ["postgres://u:p%40ss@h:6000/d", { host: "h", port: 6000, user: "u", password: "p@ss", database: "d" }],
    ["postgresql://u@h", { host: "h", port: 5432, user: "u", database: "u" }],
    ["postgres://u@[::1]:1/d", { host: "::1", port: 1 }],
    ["postgres://u@localhost/d?host=/var/run/postgresql", { host: "/var/run/postgresql", database: "d" }],
  ])("%s", (dsn, expected) => {
    expect(configFromDsn(dsn).primary).toMatchObject(expected);
  });

  test.each([
    "s3cret",
    "http://u:s3cret@h/d",
    "postgres://:s3cret@h/d",
    "postgres://u:s3cret%@h/d",
    "postgres://u:s3cret@h:99999/d",
  ])("never comes back in an error: %s", (dsn) => {
    const attempt = (): unknown => configFromDsn(dsn);
    expect(attempt).toThrow(/^--dsn (?!.*s3cret)/);
  });
});
