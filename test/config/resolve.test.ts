import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { budgets, lagFloorMs } from "../../src/config/budgets.ts";
import type { ConfigInput } from "../../src/config/input.ts";
import { resolveConfig } from "../../src/config/resolve.ts";

type DbInput = Partial<ConfigInput["db"]>;

const NODE = { host: "h", username: "u", database: "d" };

function config(db: DbInput = {}) {
  return resolveConfig({ db: { ...NODE, ...db } });
}

describe("a configuration of which only the necessary is given", () => {
  it("has the documented defaults", () => {
    expect(config()).toEqual({
      primary: {
        name: "primary",
        host: "h",
        port: 5432,
        user: "u",
        password: undefined,
        database: "d",
        weight: 1,
        pool: {
          max: 100,
          idleMax: 10,
          idleTimeoutMs: 900_000,
          maxLifetimeMs: 3_600_000,
          connectionTimeoutMs: 5000,
        },
        tls: { mode: "disable", attempts: [false] },
        applicationName: "fairlead",
      },
      replicas: [],
      enableReadWriteSeparation: false,
      replicaLagThresholdMs: 10_000,
      readmitLagThresholdMs: 5000,
      healthCheck: { intervalMs: 500, timeoutMs: 500, fall: 2, rise: 2 },
      retries: { max: 2 },
      fallback: { to: "primary" },
      slowStartMs: 5000,
      lagNudge: true,
      whenPrimaryUnknown: "serve",
      readYourWrites: "client",
      classifyMaxBytes: 32_768,
      queryTimeoutMs: undefined,
    });
  });

  it("is frozen to the bottom", () => {
    const frozen = config({ enableReadWriteSeparation: true, readReplicas: [{ name: "a", host: "a" }] });
    expect(() => Object.assign(frozen.healthCheck, { fall: 3 })).toThrow(TypeError);
    expect(() => Object.assign(frozen.replicas[0]?.pool ?? {}, { max: 3 })).toThrow(TypeError);
    expect(() => Object.assign(frozen.primary.tls.attempts, [true])).toThrow(TypeError);
  });

  it("keeps its password, but not in a log", () => {
    const { primary } = config({ password: "hunter2" });
    expect(primary.password).toBe("hunter2");
    expect({ ...primary }.password).toBe("hunter2");
    expect(inspect(primary) + JSON.stringify({ primary })).not.toContain("hunter2");
  });

  it("leaves ${NAME} in a plain object alone", () => {
    expect(config({ password: "${HOME}" }).primary.password).toBe("${HOME}");
  });
});

describe("replicas", () => {
  const replicas = [
    { name: "a", host: "a", weight: 0 },
    { name: "b", host: "b", port: 6432, maxConnections: 5, username: "x", password: "y", database: "z" },
  ];

  it("take what they do not say from the primary, and idle connections only as far as they have any", () => {
    const resolved = config({
      enableReadWriteSeparation: true,
      password: "p",
      maxIdleConns: 20,
      readReplicas: replicas,
    });
    expect(resolved.replicas).toMatchObject([
      {
        name: "a",
        port: 5432,
        weight: 0,
        user: "u",
        password: "p",
        database: "d",
        pool: { max: 100, idleMax: 20 },
      },
      {
        name: "b",
        port: 6432,
        weight: 1,
        user: "x",
        password: "y",
        database: "z",
        pool: { max: 5, idleMax: 5 },
      },
    ]);
  });

  it("are checked, but absent, while read/write separation is off", () => {
    expect(config({ readReplicas: replicas }).replicas).toEqual([]);
    expect(() => config({ readReplicas: [{ name: "a", host: "" }] })).toThrow(
      "db.readReplicas[0].host: must be",
    );
  });

  it.each(["", "primary", "a b", "-a", "a/b", "x".repeat(64)])("may not be called %j", (name) => {
    expect(() => config({ readReplicas: [{ name, host: "h" }] })).toThrow(
      /^db\.readReplicas\[0\]\.name: must/,
    );
  });

  it("have names of their own", () => {
    const twins = [
      { name: "a", host: "h" },
      { name: "a", host: "i" },
    ];
    expect(() => config({ readReplicas: twins })).toThrow("db.readReplicas[1].name: must be unique");
  });
});

describe("a duration", () => {
  it.each([
    [5, 5000],
    ["5", 5000],
    [0.25, 250],
    ["250ms", 250],
    ["1.5s", 1500],
    ["1m", 60_000],
    ["1 m", 60_000],
    ["0s", 0],
  ])("of %j is %i ms", (written, ms) => {
    expect(config({ slowStart: written }).slowStartMs).toBe(ms);
  });

  it.each(["5 minutes", "-1s", "1e3", "", "s", "off", Number.NaN, -1, Infinity, "2h", null, true])(
    "is not %j where an hour is the limit",
    (written) => {
      expect(() => config({ slowStart: written as string })).toThrow(
        "db.slowStart: must be a duration from 0s to 1h, such as 500ms or 5s (a plain number is seconds), got",
      );
    },
  );

  it("may be off where that means something", () => {
    const off = config({
      connMaxLifetime: "off",
      connMaxIdleTime: "off",
      replicaLagThreshold: "off",
      queryTimeout: "30s",
    });
    expect(off.primary.pool).toMatchObject({ maxLifetimeMs: 0, idleTimeoutMs: 0 });
    expect([off.replicaLagThresholdMs, off.readmitLagThresholdMs]).toEqual(["off", "off"]);
    expect(off.queryTimeoutMs).toBe(30_000);
  });

  it("of the lag threshold is not switched off by 0", () => {
    expect(() => config({ replicaLagThreshold: 0 })).toThrow("or off (0 is not off), got the number 0");
  });
});

describe("a lag threshold", () => {
  // 2 × 500 ms + 500 ms, by hand.
  it("below 2 × interval + timeout is refused with that figure", () => {
    expect(() => config({ replicaLagThreshold: "1499ms" })).toThrow(
      "db.replicaLagThreshold: must be at least 2 × healthCheck.interval + healthCheck.timeout = 1500ms, got 1499ms",
    );
    expect(() => config({ readmitLagThreshold: "1499ms" })).toThrow(
      "db.readmitLagThreshold: must be at least",
    );
    expect(config({ replicaLagThreshold: "1500ms" }).replicaLagThresholdMs).toBe(1500);
  });

  it("to return below is at most the one to leave above", () => {
    expect(() => config({ readmitLagThreshold: "11s" })).toThrow(
      "db.readmitLagThreshold: must be at most replicaLagThreshold = 10s, got 11s",
    );
  });

  it("to return below is by default half of the other, and never below the floor", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 5000 }),
        fc.integer({ min: 10, max: 5000 }),
        fc.nat(60_000),
        (i, t, more) => {
          const floorMs = 2 * i + t;
          const resolved = config({
            replicaLagThreshold: `${floorMs + more}ms`,
            healthCheck: { interval: `${i}ms`, timeout: `${t}ms` },
          });
          expect(resolved.readmitLagThresholdMs).toBe(Math.max(Math.floor((floorMs + more) / 2), floorMs));
          expect(lagFloorMs(resolved.healthCheck)).toBe(floorMs);
        },
      ),
    );
  });
});

describe("bounds", () => {
  it.each<[DbInput, string]>([
    [{ port: 0 }, "db.port: must be a whole number from 1 to 65535, got the number 0"],
    [{ port: 65_536 }, "db.port: must be"],
    [{ port: "0x10" }, 'db.port: must be a whole number from 1 to 65535, got "0x10"'],
    [{ port: 1.5 }, "db.port: must be"],
    [{ host: "db:5432" }, "db.host: must be a host name, an IP address or a socket's folder, without port"],
    [{ host: "a b" }, "db.host: must be"],
    [
      { host: "" },
      'db.host: must be a host name, an IP address or a socket\'s folder, without port, user or scheme, got ""',
    ],
    [{ maxConnections: 0 }, "db.maxConnections: must be"],
    [{ maxConnections: 5, maxIdleConns: 6 }, "db.maxIdleConns: must be at most maxConnections = 5, got 6"],
    [{ driver: "mysql" as never }, 'db.driver: must be postgresql: no other database is routed, got "mysql"'],
    [{ lagNudge: "yes" as never }, 'db.lagNudge: must be true or false, got "yes"'],
    [{ retries: { max: 11 } }, "db.retries.max: must be a whole number from 0 to 10"],
    [{ fallback: { to: "nobody" as never } }, "db.fallback.to: must be one of primary, error"],
    [{ healthCheck: { fall: 0 } }, "db.healthCheck.fall: must be"],
    [{ readReplicas: [{ name: "a", host: "a", weight: -1 }] }, "db.readReplicas[0].weight: must be"],
    [{ applicationName: "ü" }, "db.applicationName: must be"],
    [{ classifyMaxBytes: 0 }, "db.classifyMaxBytes: must be"],
  ])("refuse %j", (db, expected) => {
    expect(() => config(db)).toThrow(expected);
  });

  it.each([
    "localhost",
    "10.0.0.1",
    "::1",
    "fe80::1%eth0",
    "2001:db8::10.0.0.1",
    "/var/run/postgresql",
    "db_1.internal",
    "straße.de",
  ])("let the host be %s", (host) => {
    expect(config({ host }).primary.host).toBe(host);
  });

  it("limit the default of idle connections to the connections there are", () => {
    expect(config({ maxConnections: 4 }).primary.pool).toMatchObject({ max: 4, idleMax: 4 });
  });
});

describe("budgets", () => {
  // By hand from the definitions: 3 × (200 + 300); 4000 + 200 + 300; 2 × 200 + 5000; 1500 + 250.
  it("follow from the configuration", () => {
    const resolved = config({
      replicaLagThreshold: "4s",
      healthCheck: { interval: "200ms", timeout: "300ms", fall: 3, rise: 2 },
    });
    expect(budgets(resolved)).toEqual({ downMs: 1500, staleMs: 4500, returnMs: 5400, stallMs: 1750 });
  });

  it("have no staleness where the lag guard is off", () => {
    expect(budgets(config({ replicaLagThreshold: "off" })).staleMs).toBe("off");
  });
});
