import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { SSL_MODES, tlsConfig } from "../../src/config/tls.ts";
import type { TlsOptions } from "../../src/config/tls.ts";
import { selfSigned } from "./certificates.ts";

/** plain · unverified · chain · full */
function attempt(options: false | TlsOptions): string {
  if (options === false) return "plain";
  if (!options.rejectUnauthorized) return "unverified";
  return options.checkServerIdentity === undefined ? "full" : "chain";
}

describe("an sslMode", () => {
  // The table "SSL Mode Descriptions" of libpq's manual, and its note on root certificates that are present.
  it.each([
    ["disable", ["plain"], ["plain"]],
    ["allow", ["plain", "unverified"], ["plain", "chain"]],
    ["prefer", ["unverified", "plain"], ["chain", "plain"]],
    ["require", ["unverified"], ["chain"]],
    ["verify-ca", ["unverified"], ["chain"]],
    ["verify-full", ["full"], ["full"]],
  ] as const)("%s tries %j, and %j with a root certificate", (mode, bare, withRoot) => {
    // verify-ca without a root certificate never gets here: the configuration refuses it.
    expect(tlsConfig(mode).attempts.map(attempt)).toEqual(bare);
    expect(tlsConfig(mode, { ca: "PEM" }).attempts.map(attempt)).toEqual(withRoot);
  });

  it("leaves the trusted authorities to Node when the root certificate is system", () => {
    expect(tlsConfig("verify-full", { ca: "system" }).attempts).toEqual([{ rejectUnauthorized: true }]);
  });

  it("accepts any host name exactly where it is not verified", () => {
    const [options] = tlsConfig("verify-ca", { ca: "PEM" }).attempts;
    expect(options === false ? "plain" : options?.checkServerIdentity?.()).toBeUndefined();
  });
});

describe("TLS files", () => {
  let folder: string;
  const client = selfSigned("client");
  const authority = selfSigned("authority");
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-tls-"));
    writeFileSync(join(folder, "ca.pem"), authority.cert);
    writeFileSync(join(folder, "client.pem"), client.cert);
    writeFileSync(join(folder, "client.key"), client.key, { mode: 0o600 });
    writeFileSync(join(folder, "other.key"), authority.key, { mode: 0o600 });
    writeFileSync(join(folder, "open.key"), client.key);
    chmodSync(join(folder, "open.key"), 0o644);
    writeFileSync(join(folder, "encrypted.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", { mode: 0o600 });
    writeFileSync(join(folder, "nonsense.pem"), "nonsense", { mode: 0o600 });
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const load = (...lines: string[]) =>
    parseConfig(
      ["db:", "  host: h", "  username: u", "  database: d", ...lines.map((line) => `  ${line}`)].join("\n"),
      {
        file: join(folder, "router.yaml"),
        env: {},
      },
    );

  it("are read from beside the configuration, and a replica takes the primary's", () => {
    const config = load(
      "enableReadWriteSeparation: true",
      "sslMode: verify-full",
      "sslRootCert: ca.pem",
      "sslCert: client.pem",
      "sslKey: client.key",
      "readReplicas:",
      "  - { name: a, host: a }",
      "  - { name: b, host: b, sslMode: verify-ca }",
      "  - { name: c, host: c, sslMode: disable }",
      `  - { name: d, host: d, sslRootCert: '${folder}/client.pem' }`,
    );
    const full = { rejectUnauthorized: true, ca: authority.cert, cert: client.cert, key: client.key };
    expect(config.primary.tls).toEqual({ mode: "verify-full", attempts: [full] });
    expect(config.replicas.map(({ tls }) => tls)).toEqual([
      { mode: "verify-full", attempts: [full] },
      { mode: "verify-ca", attempts: [{ ...full, checkServerIdentity: expect.any(Function) }] },
      { mode: "disable", attempts: [false] },
      { mode: "verify-full", attempts: [{ ...full, ca: client.cert }] },
    ]);
  });

  it("never show in a log of the configuration", () => {
    const { primary } = load(
      "password: hunter2",
      "sslMode: require",
      "sslCert: client.pem",
      "sslKey: client.key",
    );
    expect(JSON.stringify(primary)).not.toMatch(/hunter2|PRIVATE/);
  });

  it.each([
    [["sslMode: verify-full"], "db.sslMode: verify-full needs sslRootCert"],
    [["sslMode: verify-ca"], "db.sslMode: verify-ca needs sslRootCert"],
    [
      ["sslMode: require", "sslRootCert: system"],
      "db.sslMode: sslRootCert: system needs sslMode: verify-full, not require",
    ],
    [["sslRootCert: ca.pem"], "db.sslRootCert: has no effect while sslMode is disable"],
    [["sslMode: require", "sslCert: client.pem"], "db.sslCert: needs sslKey beside it"],
    [["sslMode: require", "sslKey: client.key"], "db.sslKey: needs sslCert beside it"],
    [
      ["sslMode: require", "sslRootCert: none.pem"],
      "none.pem cannot be read: there is no such file (ENOENT)",
    ],
    [["sslMode: require", "sslRootCert: nonsense.pem"], "db.sslRootCert: holds no valid certificate in PEM"],
    [
      ["sslMode: require", "sslCert: client.pem", "sslKey: nonsense.pem"],
      "db.sslKey: holds no valid private key",
    ],
    [["sslMode: require", "sslCert: client.pem", "sslKey: encrypted.key"], "db.sslKey: is encrypted"],
    [
      ["sslMode: require", "sslCert: client.pem", "sslKey: open.key"],
      "has mode 0644, a key may have 0600 at most",
    ],
    [
      ["sslMode: require", "sslCert: client.pem", "sslKey: other.key"],
      "db.sslKey: does not belong to the certificate",
    ],
    [["sslMode: on"], "db.sslMode: must be one of disable, allow, prefer, require, verify-ca, verify-full"],
    [
      ["readReplicas:", "  - { name: a, host: a, sslMode: verify-full }"],
      "db.readReplicas[0].sslMode: verify-full needs",
    ],
  ])("%j are refused: %s", (lines, expected) => {
    expect(() => load(...lines)).toThrow(expected);
    expect(() => load(...lines)).not.toThrow(/BEGIN|\n/);
  });

  it("know libpq's six modes", () => {
    expect(SSL_MODES).toHaveLength(6);
  });
});
