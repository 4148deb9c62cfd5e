import { describe, expect, it } from "vitest";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { parseConfig } from "../../src/config/load.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { sampleConfig } from "../../src/config/sample.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly [keyword: string]: unknown;
}

const db = (configJsonSchema() as Schema).properties?.["db"] as Schema;

describe("the sample configuration", () => {
  it("loads as it is, to the defaults", () => {
    const node = { host: "127.0.0.1", username: "app", database: "app" };
    expect(parseConfig(sampleConfig(), { env: {} })).toEqual(resolveConfig({ db: node }));
  });

  it("loads with every setting that it leaves out put in, apart from files it cannot have", () => {
    const everything = sampleConfig().replaceAll(
      /^( *)# (\w+: \S+)$/gm,
      (line, indent: string, setting: string) =>
        /^(sslRootCert|sslCert|sslKey)/.test(setting) ? line : `${indent}${setting}`,
    );
    expect(everything).not.toBe(sampleConfig());
    const text = everything.replace("enableReadWriteSeparation: false", "enableReadWriteSeparation: true");
    const config = parseConfig(text, { env: { DB_PASSWORD: "p", DB_REPLICA1_HOST: "r" } });
    expect(config.replicas).toMatchObject([{ name: "replica-1", host: "r", password: "p", weight: 1 }]);
  });

  it("names every setting of the schema, each with a comment above it", () => {
    const lines = sampleConfig().split("\n");
    for (const name of namesIn(db)) {
      const at = lines.findIndex((line) => new RegExp(`^ *(# |- )?${name}:`).test(line));
      expect(`${name} ${lines[at - 1] ?? ""}`).toMatch(/^\w+ +# ./);
    }
    expect(sampleConfig()).not.toContain("undefined");
  });
});

describe("the JSON Schema", () => {
  it("describes every setting, and is strict below db alone", () => {
    const every = (schema: Schema): Schema[] =>
      [
        ...Object.values(schema.properties ?? {}),
        ...(schema.items === undefined ? [] : [schema.items]),
      ].flatMap((part) => [part, ...every(part)]);
    for (const part of every(db)) {
      expect(part["description"]).toMatch(/\.$/);
      expect(part.additionalProperties).toBe(part.properties === undefined ? undefined : false);
    }
    expect(db.additionalProperties).toBe(false);
    expect((configJsonSchema() as Schema).additionalProperties).toBeUndefined();
    expect([db.required, db.properties?.["readReplicas"]?.items?.required]).toEqual([
      ["host", "username", "database"],
      ["name", "host"],
    ]);
  });

  it("gives unit, default and bounds as written in YAML, and lets a variable stand for a number", () => {
    expect(db.properties?.["replicaLagThreshold"]).toMatchObject({
      default: 10,
      "x-unit": "s",
      "x-maximum": "1d",
    });
    expect(db.properties?.["port"]).toEqual({
      description: expect.any(String),
      default: 5432,
      "x-unit": "port",
      anyOf: [
        { type: "integer", minimum: 1, maximum: 65_535 },
        { type: "string", pattern: String.raw`^[+-]?\d+$` },
        { type: "string", pattern: String.raw`\$\{` },
      ],
    });
  });

  it("is plain JSON", () => {
    expect(JSON.parse(JSON.stringify(configJsonSchema()))).toEqual(configJsonSchema());
  });
});

function namesIn(schema: Schema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, part]) => [
    name,
    ...namesIn(part),
    ...namesIn(part.items ?? {}),
  ]);
}
