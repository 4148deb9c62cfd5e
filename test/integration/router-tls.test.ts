import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCertificateAuthority } from "../../sim/postgres/certificates.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { createRouter } from "../../src/router.ts";
import type { Router } from "../../src/router.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { prepare, settingsOf } from "./fixtures/routed.ts";
import type { Settings } from "./fixtures/routed.ts";

let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ replicas: 1 });
  await prepare(cluster);
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

const IS_ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

async function encrypted(router: Router): Promise<readonly [read: unknown, write: unknown]> {
  const [read, write] = await Promise.all([router.read(IS_ENCRYPTED), router.write(IS_ENCRYPTED)]);
  return [read.rows[0]?.["ssl"], write.rows[0]?.["ssl"]];
}

function open(settings: Settings): Promise<Router> {
  return createRouter(settingsOf(cluster, { connectTimeout: "2s", ...settings }), { logger: silentLogger });
}

async function setTls(value: "on" | "off"): Promise<void> {
  for (const node of cluster.nodes) {
    await cluster.sql(node, `alter system set ssl = ${value}`);
    await cluster.sql(node, "select pg_reload_conf()");
  }
}

describe("a server with TLS", () => {
  test.each([
    ["disable", false],
    ["allow", false],
    ["prefer", true],
    ["require", true],
  ] as const)("is reached with %s, encrypted: %s", async (sslMode, isEncrypted) => {
    await using router = await open({ sslMode });
    expect(await encrypted(router)).toEqual([isEncrypted, isEncrypted]);
  });

  test.each(["require", "verify-ca", "verify-full"] as const)(
    "is verified by its authority with %s",
    async (sslMode) => {
      await using router = await open({ sslMode, sslRootCert: cluster.credentials.sslRootCert });
      expect(await encrypted(router)).toEqual([true, true]);
      expect(router.status().primary.standing).toBe("up");
    },
  );

  test.each(["require", "verify-ca", "verify-full"] as const)(
    "that another authority signed is not spoken to with %s, and the error says why",
    async (sslMode) => {
      const { certificate } = createCertificateAuthority(Date.now());
      const file = join(cluster.directory, "stranger.crt");
      writeFileSync(file, certificate);
      await using router = await open({ sslMode, sslRootCert: file });
      expect(router.status().primary.standing).not.toBe("up");
      await expect(router.write("select 1")).rejects.toMatchObject({
        code: "NO_PRIMARY",
        message: expect.stringMatching(/certificate/),
      });
    },
  );
});

test("a wrong password is named by the error, not only by its consequence", async () => {
  await using router = await open({ password: "wrong" });
  await expect(router.write("select 1")).rejects.toMatchObject({
    code: "NO_PRIMARY",
    message: expect.stringMatching(/password authentication failed/),
  });
  await expect(router.query("select 1")).rejects.toThrow(/password authentication failed/);
});

describe("a server without TLS", () => {
  beforeAll(() => setTls("off"));
  afterAll(() => setTls("on"));

  test.each(["disable", "allow", "prefer"] as const)("is reached with %s", async (sslMode) => {
    await using router = await open({ sslMode });
    expect(await encrypted(router)).toEqual([false, false]);
    // Also on connections that are made when nothing is known yet.
    const many = await Promise.all(Array.from({ length: 10 }, () => router.write(IS_ENCRYPTED)));
    expect(many.every(({ rows }) => rows[0]?.["ssl"] === false)).toBe(true);
  });

  test("is refused with require", async () => {
    await using router = await open({ sslMode: "require" });
    await expect(router.write("select 1")).rejects.toMatchObject({ code: "NO_PRIMARY" });
  });
});
