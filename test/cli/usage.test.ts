import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { runCommandLine } from "../../src/cli/run-command-line.ts";
import { runCommand } from "./command.ts";

let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "fairlead-usage-"));
  // Whoever PostgreSQL's programs are asked as must get in.
  await chmod(cwd, 0o755);
  await Promise.all(["empty", "full", "old"].map((name) => mkdir(join(cwd, name))));
  await writeFile(join(cwd, "file"), "");
  await writeFile(join(cwd, "full", "something"), "");
  for (const program of ["initdb", "postgres"])
    await writeFile(join(cwd, "old", program), "#!/bin/sh\necho 'postgres (PostgreSQL) 12.4'\n", {
      mode: 0o755,
    });
  await writeFile(join(cwd, "router.yaml"), "db:\n  host: ${NOWHERE_SET}\n  username: u\n  database: d\n");
  await writeFile(join(cwd, "many.yaml"), configWith(9));
  await writeFile(join(cwd, "none.yaml"), configWith(0));
});

afterAll(() => rm(cwd, { recursive: true, force: true }));

function configWith(replicas: number): string {
  const names = Array.from({ length: replicas }, (_, i) => `    - { name: r${i}, host: r${i} }\n`).join("");
  return `db:\n  host: h\n  username: u\n  database: d\n  enableReadWriteSeparation: true\n  readReplicas:${names === "" ? " []" : ""}\n${names}`;
}

/** The command line in this process; `@name` is something in the folder. */
async function run(args: readonly string[]): Promise<{ code: number; stdout: string[]; stderr: string[] }> {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const io: Io = {
    stdout: (line) => stdout.push(line),
    stderr: (line) => stderr.push(line),
    signal: new AbortController().signal,
    stdoutIsGone: () => false,
    color: false,
    env: {},
  };
  const code = await runCommandLine(
    args.map((arg) => arg.replace(/^@/, `${cwd}/`)),
    io,
  );
  return { code, stdout, stderr };
}

/** Told in one line each, with what to do, before anything is started, and nothing left behind. */
const mistakes: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["an unknown command", ["chaso"], /no command is called "chaso": did you mean chaos\?/],
  ["an unknown flag", ["chaos", "--kep"], /there is no flag --kep, did you mean --keep\?/],
  [
    "a seed that is none",
    ["chaos", "--seed", "-1"],
    /--seed takes a whole number from 0 to 4294967295, got "-1"/,
  ],
  ["a flag without its value", ["chaos", "--seed"], /--seed needs a value/],
  ["an unknown scenario", ["chaos", "baselin"], /no scenario is called "baselin": did you mean baseline\?/],
  ["all scenarios and one by name", ["chaos", "baseline", "--all"], /leave the names out, or --all/],
  [
    "an unknown subject",
    ["chaos", "--subject", "fairled"],
    /neither a file nor a subject's name: did you mean fairlead\?/,
  ],
  ["a config that is not there", ["chaos", "--config", "no.yaml"], /no\.yaml: cannot be read/],
  ["a config that is a folder", ["chaos", "--config", "@empty"], /empty: cannot be read/],
  [
    "a variable that is not set",
    ["chaos", "--config", "@router.yaml"],
    /router\.yaml:2:9: db\.host: .*NOWHERE_SET/,
  ],
  [
    "variables without a config",
    ["chaos", "--env-file", "@file"],
    /--env-file is for the variables of --config/,
  ],
  ["more replicas than fit", ["chaos", "--config", "@many.yaml"], /names 9 replicas, and at most 8/],
  ["no replicas", ["chaos", "--config", "@none.yaml"], /no replica to read from/],
  [
    "no Toxiproxy there",
    ["chaos", "--toxiproxy", "http://127.0.0.1:1"],
    /Toxiproxy at http:\/\/127\.0\.0\.1:1 does not answer/,
  ],
  [
    "a Toxiproxy that is no URL",
    ["up", "--toxiproxy", "ftp://x"],
    /--toxiproxy takes builtin, path or a URL/,
  ],
  ["a folder without PostgreSQL", ["chaos", "--pg-bin", "@empty"], /empty has no initdb and no postgres/],
  ["a PostgreSQL that is too old", ["bench", "--pg-bin", "@old"], /12\.4.*14 to 18 are supported/],
  ["an --out that is not empty", ["chaos", "--out", "@full"], /--out .*full is not empty/],
  ["an --out that is a file", ["chaos", "--out", "@file"], /cannot make the run's folder.*--out DIR/],
  [
    "an output in no folder",
    ["chaos", "--out", "@new", "--json", "@no/x.json"],
    /--json .*no\/x\.json cannot be written: ENOENT/,
  ],
  ["an output that is a folder", ["bench", "--json", "@empty"], /--json .*empty cannot be written: EISDIR/],
  [
    "two outputs on stdout",
    ["chaos", "--out", "@new", "--json", "-", "--markdown", "-"],
    /--json and --markdown both write to stdout/,
  ],
  ["nothing to explain", ["explain"], /give one statement/],
  ["a DSN that is none", ["explain", "--dsn", "pass-word", "select 1"], /--dsn is not a URL/],
  [
    "a DSN with half a character",
    ["explain", "--dsn", "postgres://u:pass-word%Z@h/d", "select 1"],
    /write % itself as %25/,
  ],
  [
    "no database there",
    ["explain", "--dsn", "postgres://u:pass-word@127.0.0.1:1/d", "select 1"],
    /no database answers \(primary 127\.0\.0\.1:1: .*ECONNREFUSED/,
  ],
  [
    "two databases",
    ["explain", "--dsn", "postgres://u:pass-word@h/d", "--config", "x", "select 1"],
    /--config or --dsn, not both/,
  ],
];

describe("a mistake is told in one line and ends with 2", () => {
  test.each(mistakes)("%s", async (_what, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toEqual([expect.stringMatching(message)]);
    expect(stderr[0]).toMatch(/^fairlead: (?!.*pass-word)[^\n]*$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: [] });
  });

  test("and none of them left anything behind", async () => {
    expect((await readdir(cwd)).sort()).toEqual([
      "empty",
      "file",
      "full",
      "many.yaml",
      "none.yaml",
      "old",
      "router.yaml",
    ]);
  });

  test("as a process too", async () => {
    const { code, stdout, stderr } = await runCommand(["chaos", "--seed", "x"], { cwd });
    const line = 'fairlead: --seed takes a whole number from 0 to 4294967295, got "x"\n';
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: line });
  });

  test.runIf(process.platform === "linux")(
    "an --out under /proc, where mkdir never returns, too",
    async () => {
      const { code, stderr } = await run(["chaos", "--out", "/proc/nowhere"]);
      expect([code, stderr]).toEqual([2, [expect.stringContaining("cannot make the run's folder")]]);
    },
  );
});

test.each([[], ["chaos"], ["up"], ["bench"], ["explain"], ["toxiproxy"]])(
  "help of %s",
  async (...command) => {
    const { code, stdout, stderr } = await run([...command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
    expect(stdout.join("\n")).toMatch(new RegExp(`^USAGE\n  fairlead ${command.join(" ")}`));
  },
);

test("the list of scenarios is for people and for scripts: the name, then what it shows", async () => {
  const { code, stdout: lines, stderr } = await run(["chaos", "--list"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  expect(lines.length).toBeGreaterThanOrEqual(7);
  for (const line of lines) expect(line).toMatch(/^[a-z-]+ {2,}[A-Z].*\.$/);
});
