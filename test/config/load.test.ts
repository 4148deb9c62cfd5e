import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import type { NodeConfig } from "../../src/config/config.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { RouterError } from "../../src/errors.ts";

// The shape of a production configuration as operators know it from services in Go.
const PRODUCTION = `
db:
  driver: "postgresql"
  host: "\${DB_PRIMARY_HOST}"
  port: \${DB_PRIMARY_PORT:-5432}
  username: "\${DB_USERNAME}"
  password: "\${DB_PASSWORD}"
  database: "\${DB_NAME}"
  sslMode: "require"
  maxConnections: 100
  maxIdleConns: 20
  connMaxLifetime: 3600  # 1 hour
  connMaxIdleTime: 900
  enableReadWriteSeparation: true
  replicaLagThreshold: 10
  readReplicas:
    - name: "prod-replica-1"
      host: "\${DB_REPLICA1_HOST}"
      port: \${DB_REPLICA1_PORT:-5432}
      weight: 2
      maxConnections: 80
      maxIdleConns: 20
    - name: "prod-replica-2"
      host: "\${DB_REPLICA2_HOST}"
      port: \${DB_REPLICA2_PORT:-5432}
      weight: 1
      maxConnections: 60
      maxIdleConns: 15
app:
  anything: [goes, "\${NOT_SET}"]
`;

const ENV = {
  DB_PRIMARY_HOST: "db-1",
  DB_USERNAME: "app",
  DB_PASSWORD: "s3cr€t: #\n'\"",
  DB_NAME: "shop",
  DB_REPLICA1_HOST: "db-2",
  DB_REPLICA2_HOST: "db-3",
  DB_REPLICA2_PORT: "6432",
};

const MINIMAL = "db:\n  host: h\n  username: u\n  database: d\n";

function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, { file: "router.yaml", env });
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("a configuration file", () => {
  it("of a production service loads as it is written", () => {
    const config = parseConfig(PRODUCTION, { env: ENV });
    expect(config.primary).toMatchObject({
      name: "primary",
      host: "db-1",
      port: 5432,
      user: "app",
      password: ENV.DB_PASSWORD,
      database: "shop",
      pool: { max: 100, idleMax: 20, maxLifetimeMs: 3_600_000, idleTimeoutMs: 900_000 },
      tls: { mode: "require" },
    });
    expect(config.replicas.map(summaryOf)).toEqual([
      ["prod-replica-1", "db-2", 5432, 2, 80, 20],
      ["prod-replica-2", "db-3", 6432, 1, 60, 15],
    ]);
    expect(config.replicas[0]).toMatchObject({ user: "app", password: ENV.DB_PASSWORD, database: "shop" });
    expect(config.replicaLagThresholdMs).toBe(10_000);
    expect(config.readmitLagThresholdMs).toBe(5000);
  });

  it("names every variable that is not set, with its place, and no others", () => {
    expect(problemsOf(PRODUCTION).map((line) => line.slice(0, line.indexOf(" is not set")))).toEqual([
      "router.yaml:4:9: db.host: the variable DB_PRIMARY_HOST",
      "router.yaml:6:13: db.username: the variable DB_USERNAME",
      "router.yaml:7:13: db.password: the variable DB_PASSWORD",
      "router.yaml:8:13: db.database: the variable DB_NAME",
      "router.yaml:18:13: db.readReplicas[0].host: the variable DB_REPLICA1_HOST",
      "router.yaml:24:13: db.readReplicas[1].host: the variable DB_REPLICA2_HOST",
    ]);
  });

  it("takes numbers and yes or no from variables, quoted or not", () => {
    const text = `${MINIMAL}  port: "\${P}"\n  lagNudge: \${L}\n  connectTimeout: "\${T:-250ms}"\n`;
    const config = parseConfig(text, { env: { P: "6000", L: "false" } });
    expect(config.primary.port).toBe(6000);
    expect(config.lagNudge).toBe(false);
    expect(config.primary.pool.connectionTimeoutMs).toBe(250);
  });

  it("says which variable a bad value came from", () => {
    expect(problemsOf(`${MINIMAL}  port: \${P}\n`, { P: "abc" })).toEqual([
      'router.yaml:5:9: db.port: must be a whole number from 1 to 65535, got "abc" (from ${P})',
    ]);
  });

  it("reports all problems at once, in the order of the file", () => {
    const text = `db:
  driver: mysql
  host: db:5432
  user: app
  replicaLagThreshold: 0
  maxConnections: 5
  maxIdleConns: 9
  readReplicas:
    - name: a
      weight: -1
    - name: a
      host: h
`;
    expect(
      problemsOf(text).map((line) => /^[\w.]+:(\d+:\d+: [\w.[\]]+): (\S+ \S+)/.exec(line)?.slice(1)),
    ).toEqual([
      ["1:1: db.username", "is missing:"],
      ["1:1: db.database", "is missing:"],
      ["2:11: db.driver", "must be"],
      ["3:9: db.host", "must be"],
      ["4:3: db.user", "is not"],
      ["5:24: db.replicaLagThreshold", "must be"],
      ["7:17: db.maxIdleConns", "must be"],
      ["9:7: db.readReplicas[0].host", "is missing:"],
      ["10:15: db.readReplicas[0].weight", "must be"],
      ["11:13: db.readReplicas[1].name", "must be"],
    ]);
  });

  it("gives the problems as data too, under CONFIG_INVALID", () => {
    expect(loadWithoutPort).toThrow(RouterError);
    expect(loadWithoutPort).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        problems: [
          { file: "a.yaml", line: 5, column: 9, path: "db.port", message: expect.stringContaining("65535") },
        ],
      }),
    );
  });

  it("reports an unknown key where it stands, whatever it is called", () => {
    const known = new Set([...settingNames(), "<<"]);
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), fc.nat({ max: 5 }), (key, blankLines) => {
        fc.pre(!known.has(key));
        const text = `${MINIMAL}${"\n".repeat(blankLines)}  ${JSON.stringify(key)}: 1\n`;
        const lines = problemsOf(text);
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain("is not a known setting");
        expect(lines[0]?.startsWith(`router.yaml:${5 + blankLines}:3: db.`)).toBe(true);
      }),
    );
  });

  it.each([
    ["sslmode: require", "sslMode"],
    ["ssl_mode: require", "sslMode"],
    ["user: u", "username"],
    ["replicaLagTreshold: 5", "replicaLagThreshold"],
    ["readReplica: []", "readReplicas"],
    ["healthCheck: { intervall: 1s }", "interval"],
    ["retries: { maxx: 1 }", "max"],
    ["readReplicas: [{ name: a, host: b, wieght: 1 }]", "weight"],
  ])("asks at %j whether %s was meant", (line, meant) => {
    expect(problemsOf(`${MINIMAL}  ${line}\n`)).toEqual([expect.stringContaining(`did you mean ${meant}?`)]);
  });

  it("does not guess when nothing resembles the key", () => {
    expect(problemsOf(`${MINIMAL}  zzzzzz: 1\n`)[0]).toMatch(/is not a known setting$/);
  });

  it.each([
    ["", /^router.yaml:1:1: is empty/],
    ["# nothing\n", /^router.yaml:1:1: is empty/],
    ["app: 1\n", /^router.yaml:1:1: has no top-level section "db"$/],
    ["- db\n", /must be a mapping/],
    ["db:\n", /^router.yaml:1:4: db: must be a section \(a mapping\), got nothing$/],
    ["db: [1]\n", /^router.yaml:1:5: db: must be a section \(a mapping\), got a list$/],
    ["db:\n\thost: h\n", /^router.yaml:2:1: a tab indents this line: use spaces$/],
    [
      "db:\n  host: h\n  host: g\n  username: u\n  database: d\n",
      /^router.yaml:3:3: this key was given before/,
    ],
    ["db:\n  host: 'h\n", /^router.yaml:\d:\d+: a quote, comma or colon is missing$/],
    ["db:\n  host: a: b\n", /^router.yaml:2:9: a second “: ” on one line/],
    ["db: { port: ${P} }\n", /^router.yaml:1:14: .*a value with \$\{…\} may need quotes: "\$\{NAME\}"$/],
    [`${MINIMAL}---\ndb: 1\n`, /^router.yaml:\d:\d+: a second document begins here/],
    [`${MINIMAL}  port: !secret x\n`, /^router.yaml:5:17: db.port: has a YAML tag that is not known here$/],
    [`${MINIMAL}  port: *nothing\n`, /^router.yaml:5:9: db.port: is an alias whose anchor does not exist$/],
    [`${MINIMAL}  ? [a]\n  : 1\n`, /^router.yaml:5:5: db: has a key that is not plain text$/],
    [`db: &x\n  host: *x\n`, /^router.yaml:2:9: db: holds more than 10000 values or 50 levels/],
  ])("says of %j in one line what is wrong", (text, expected) => {
    const lines = problemsOf(text);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(expected);
  });

  it("stops at brackets without an end and at a text without an end", () => {
    expect(problemsOf(`db: ${"[".repeat(20_000)}`)).toEqual([
      expect.stringMatching(/^router.yaml:1:\d+: the text is nested too deeply$/),
    ]);
    expect(problemsOf("x".repeat(1024 * 1024 + 1))).toEqual([
      "router.yaml:1:1: is 1048577 characters long, the limit is 1048576",
    ]);
  });

  it("stops at an alias bomb", () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = Array.from({ length: 10 }, () => (level === 0 ? "x" : `*a${level - 1}`));
      return `a${level}: &a${level} [${items.join(", ")}]`;
    });
    expect(problemsOf(`${levels.join("\n")}\n${MINIMAL}  readReplicas: *a8\n`)).toEqual([
      expect.stringContaining("holds more than 10000 values"),
    ]);
  });

  it("follows aliases and merge keys, and a mapping's own keys win", () => {
    const text = `
defaults: &replica
  port: 6432
  weight: 3
db:
  host: h
  username: u
  database: d
  enableReadWriteSeparation: true
  readReplicas:
    - { name: a, host: ha, <<: *replica }
    - { <<: *replica, name: b, host: hb, weight: 1 }
    - { weight: 2, <<: *replica, name: c, host: hc }
`;
    const { replicas } = parseConfig(text, { env: {} });
    expect(replicas.map(({ port, weight }) => [port, weight])).toEqual([
      [6432, 3],
      [6432, 1],
      [6432, 2],
    ]);
  });

  it.each([
    "password: [hunter2]",
    "password: { hunter2: 1 }",
    "password: 'hunter2\n  port: 1",
    "password: *hunter2",
    "password: `hunter2",
    "password: hunter2: x",
    'password: "\\hunter2"',
    "password: !hunter2 x",
    "password: pa${hunter2",
    "port: ${MY_PASSWORD}",
    "sslKey: postgres://u:hunter2@h",
    "host: postgres://u:hunter2@h/d",
  ])("keeps a secret out of what it says about %j", (line) => {
    const base = line.startsWith("host") ? "db:\n  username: u\n  database: d\n" : MINIMAL;
    const said = problemsOf(`${base}  ${line}\n`, { MY_PASSWORD: "hunter2" }).filter(
      (text) => !text.includes("cannot be read"),
    );
    expect(said.join("\n")).not.toContain("hunter2");
    expect(problemsOf(`${base}  ${line}\n`, { MY_PASSWORD: "hunter2" })).not.toEqual([]);
  });

  it("keeps a password that is a bare number out of its error", () => {
    expect(problemsOf(`${MINIMAL}  password: 271828\n`)).toEqual([
      "router.yaml:5:13: db.password: must be text, got a number that is not shown: put it in quotes",
    ]);
  });
});

describe("loading from disk", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-config-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("takes variables from the environment before those of the env file", async () => {
    await writeFile(join(folder, "router.yaml"), `${MINIMAL}  password: "\${A}-\${B}-\${C:-c}"\n`);
    await writeFile(join(folder, ".env"), "# comment\nA=file\nexport B='two words'\nC=file\n");
    const config = await loadConfig(join(folder, "router.yaml"), {
      envFile: join(folder, ".env"),
      env: { A: "process", B: undefined, C: "" },
    });
    expect(config.primary.password).toBe("process-two words-c");
  });

  it("says which file cannot be read, and why", async () => {
    const missing = join(folder, "missing.yaml");
    await expect(loadConfig(missing)).rejects.toThrow(
      `${missing}: cannot be read: there is no such file (ENOENT)`,
    );
    await expect(loadConfig(folder)).rejects.toThrow(`${folder}: cannot be read: it is a folder (EISDIR)`);
    const config = join(folder, "router.yaml");
    await writeFile(config, MINIMAL);
    await expect(loadConfig(config, { envFile: missing })).rejects.toThrow(`${missing}: cannot be read`);
  });

  it("refuses a file that is not UTF-8", async () => {
    const file = join(folder, "latin1.yaml");
    await writeFile(file, Buffer.from(`${MINIMAL}  password: é\n`, "latin1"));
    await expect(loadConfig(file, { env: {} })).rejects.toThrow("it is not UTF-8 text");
  });
});

function loadWithoutPort(): unknown {
  return parseConfig(`${MINIMAL}  port: 0\n`, { file: "a.yaml", env: {} });
}

function summaryOf({ name, host, port, weight, pool }: NodeConfig): unknown[] {
  return [name, host, port, weight, pool.max, pool.idleMax];
}

function settingNames(): string[] {
  const schema = configJsonSchema() as { properties: { db: { properties: object } } };
  return Object.keys(schema.properties.db.properties);
}
