import { describe, expect, test } from "vitest";
import { formatHostBasedAccess } from "../../../sim/postgres/hba.ts";
import {
  formatConninfo,
  formatPasswordFile,
  primaryConninfo,
  slotName,
} from "../../../sim/postgres/replication.ts";
import { createRoles, createSlot, identifier, literal } from "../../../sim/postgres/roles.ts";
import { formatSettings, replicaSettings, serverSettings } from "../../../sim/postgres/settings.ts";

const server = {
  node: "replica-1",
  majorVersion: 18,
  listenAddress: "127.0.0.1",
  port: 20_001,
  certificateFile: "/run/replica-1.crt",
  privateKeyFile: "/run/replica-1.key",
  preload: ["pg_stat_statements"],
};

describe("settings", () => {
  test("are one quoted line each, with quotes doubled", () => {
    expect(formatSettings({ cluster_name: "it's", port: "1" })).toBe("cluster_name = 'it''s'\nport = '1'\n");
  });

  test("name only what the server's version knows", () => {
    expect(serverSettings(server)).toHaveProperty("io_method");
    expect(serverSettings({ ...server, majorVersion: 17 })).not.toHaveProperty("io_method");
  });

  test("keep the feedback interval at a whole second, because less turns it off", () => {
    expect(serverSettings(server)["wal_receiver_status_interval"]).toBe("1s");
  });

  test("leave nothing outside the data folder: no socket file, no POSIX shared memory", () => {
    expect(serverSettings(server)).toMatchObject({
      unix_socket_directories: "",
      dynamic_shared_memory_type: "mmap",
    });
  });

  test("of a replica name its slot and its primary", () => {
    expect(replicaSettings({ primaryConninfo: "host='x'", slot: "replica_1" })).toMatchObject({
      primary_conninfo: "host='x'",
      primary_slot_name: "replica_1",
    });
  });
});

test("pg_hba lets everybody in with SCRAM alone, replication only as its own role", () => {
  expect(formatHostBasedAccess({ networks: ["127.0.0.1/32"], replicationUser: "replicator" })).toBe(
    "hostssl all all 127.0.0.1/32 scram-sha-256\n" +
      "hostssl replication replicator 127.0.0.1/32 scram-sha-256\n" +
      "host all all 127.0.0.1/32 scram-sha-256\n" +
      "host replication replicator 127.0.0.1/32 scram-sha-256\n",
  );
});

describe("primary_conninfo", () => {
  const options = {
    upstream: { host: "127.0.0.1", port: 5_433 },
    node: "replica-1",
    user: "replicator",
    passwordFile: "/run/it's/pgpass",
    sslMode: "verify-full",
    sslRootCert: "/run/ca.crt",
  } as const;

  test("reaches a loopback address under the name in the certificate", () => {
    expect(primaryConninfo(options)).toMatch(
      /^host='localhost' hostaddr='127\.0\.0\.1' port='5433' user='replicator' /,
    );
  });

  test("takes another host as it is", () => {
    const elsewhere = primaryConninfo({ ...options, upstream: { host: "toxiproxy", port: 1 } });
    expect(elsewhere).toMatch(/^host='toxiproxy' port='1' /);
  });

  test("names the password's file, quoted, and never the password", () => {
    expect(primaryConninfo(options)).toContain(String.raw`passfile='/run/it\'s/pgpass'`);
    expect(primaryConninfo(options)).not.toContain("password=");
  });

  test("escapes backslashes before quotes", () => {
    expect(formatConninfo({ user: String.raw`a\'b` })).toBe(String.raw`user='a\\\'b'`);
  });

  test("the password file escapes colons and backslashes", () => {
    expect(formatPasswordFile("replicator", String.raw`a:b\c`)).toBe(
      String.raw`*:*:*:replicator:a\:b\\c` + "\n",
    );
  });

  test("a slot's name has only the letters that slots may have", () => {
    expect(slotName("Replica-1.eu")).toBe("replica_1_eu");
  });
});

describe("roles", () => {
  const roles = {
    application: { user: "app", password: "secret" },
    replication: { user: "replicator", password: "it's" },
    database: "app",
  };

  test("are one line each, with the database owned by the application", () => {
    const statements = createRoles(roles, 18);
    expect(statements.join("")).not.toContain("\n");
    expect(statements).toContain(`CREATE ROLE "replicator" LOGIN REPLICATION PASSWORD 'it''s'`);
    expect(statements).toContain(`CREATE DATABASE "app" OWNER "app" STRATEGY file_copy`);
  });

  test("before 15, where CREATE DATABASE has no strategy, name none", () => {
    expect(createRoles(roles, 14)).toContain(`CREATE DATABASE "app" OWNER "app"`);
  });

  test("a slot reserves WAL only when told to", () => {
    expect(createSlot("replica_1")).toBe("SELECT pg_create_physical_replication_slot('replica_1', false)");
    expect(createSlot("replica_1", "reserve")).toBe(
      "SELECT pg_create_physical_replication_slot('replica_1', true)",
    );
  });

  test("names and literals are quoted", () => {
    expect(identifier('a"b')).toBe('"a""b"');
    expect(literal("a'b")).toBe("'a''b'");
    expect(() => literal(String.raw`a\b`)).toThrow(/backslash/);
  });
});
