import { describe, expect, test } from "vitest";
import { describePolicy, policyLike, suitePolicy } from "../../chaos/suite.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/input.ts";
import { RIG } from "./fake-world.ts";

/** verify-full reads the CA's file; disabled, the rest is as the suite has it. */
const withoutTls = ({ db: { sslMode: _mode, sslRootCert: _ca, ...db } }: ConfigInput): ConfigInput => ({
  db,
});

describe("the suite's policy", () => {
  test("is fast, on the rig's own addresses, verified by the rig's own authority", () => {
    const { db } = suitePolicy(RIG);
    expect(db).toMatchObject({ sslMode: "verify-full", sslRootCert: RIG.sslRootCert, username: "app" });
    const policy = resolveConfig(withoutTls({ db }));
    expect(policy).toMatchObject({
      replicaLagThresholdMs: 1000,
      healthCheck: { intervalMs: 200, timeoutMs: 200, fall: 2, rise: 2 },
      slowStartMs: 1000,
      fallback: { to: "primary" },
    });
    expect(policy.replicas.map(({ name, weight, port }) => [name, weight, port])).toEqual([
      ["replica-1", 2, 2],
      ["replica-2", 1, 3],
      ["replica-3", 1, 4],
    ]);
  });

  test("is told in the report without a secret", () => {
    const told = describePolicy(resolveConfig(withoutTls(suitePolicy(RIG))));
    expect(told).toMatchObject({
      downBudgetMs: 800,
      staleBudgetMs: 1400,
      returnBudgetMs: 1400,
      stallBudgetMs: 1050,
    });
    expect(JSON.stringify(told)).not.toContain("secret");
  });
});

describe("a user's own configuration", () => {
  const user = {
    db: {
      host: "db.example.com",
      username: "theirs",
      password: "theirs too",
      database: "shop",
      maxConnections: 40,
      maxIdleConns: 7,
      connMaxLifetime: "off",
      connMaxIdleTime: "5m",
      connectTimeout: "3s",
      queryTimeout: "9s",
      enableReadWriteSeparation: true,
      replicaLagThreshold: "3s",
      readmitLagThreshold: "2s",
      healthCheck: { interval: "300ms", timeout: "250ms", fall: 3, rise: 4 },
      retries: { max: 1 },
      fallback: { to: "error" },
      slowStart: "7s",
      lagNudge: false,
      whenPrimaryUnknown: "reject",
      readYourWrites: "off",
      classifyMaxBytes: 1000,
      readReplicas: [
        { name: "eu-1", host: "eu-1.example.com", weight: 5, maxConnections: 12 },
        { name: "eu-2", host: "eu-2.example.com", weight: 0 },
      ],
    },
  } satisfies ConfigInput;

  test("gives everything but where to and as whom", () => {
    const theirs = resolveConfig(user);
    const mapped = resolveConfig(withoutTls(policyLike(theirs)(RIG)));
    const { primary, replicas, ...rest } = mapped;
    const { primary: theirPrimary, replicas: theirReplicas, ...theirRest } = theirs;
    expect(rest).toEqual(theirRest);
    expect(primary).toMatchObject({
      host: "127.0.0.1",
      user: "app",
      database: "app",
      pool: theirPrimary.pool,
    });
    expect(replicas.map(({ name, weight, pool }) => ({ name, weight, pool }))).toEqual(
      theirReplicas.map(({ weight, pool }, index) => ({ name: `replica-${index + 1}`, weight, pool })),
    );
    expect(JSON.stringify(policyLike(theirs)(RIG))).not.toMatch(/example|theirs|shop/);
  });

  test("with the lag guard off keeps it off", () => {
    const { readmitLagThreshold: _readmit, ...db } = user.db;
    const off = resolveConfig({ db: { ...db, replicaLagThreshold: "off" } });
    expect(resolveConfig(withoutTls(policyLike(off)(RIG))).replicaLagThresholdMs).toBe("off");
  });

  test("that names more replicas than the world has is refused, with both numbers", () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ name: `r${i}`, host: "h" }));
    const theirs = resolveConfig({ db: { ...user.db, readReplicas: many } });
    expect(() => policyLike(theirs)(RIG)).toThrow("the configuration names 5 replicas, this world has 3");
  });
});
