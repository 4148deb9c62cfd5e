import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server as TcpServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/runtime/clock.ts";
import { createCertificateAuthority } from "../../sim/postgres/certificates.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { canReach, unprivilegedOwner } from "../../sim/embedded/unprivileged-user.ts";

const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === "linux";

let cluster: EmbeddedCluster;
const clients: Client[] = [];

beforeAll(async () => {
  cluster = await startEmbeddedCluster();
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
});

interface LoginOptions {
  readonly node?: string;
  readonly password?: string;
  readonly host?: string;
  /** The CA to verify against; without one, no TLS. */
  readonly ca?: string;
}

/** A client as an application would be: `pg` itself, with the application's role. */
async function logIn(options: LoginOptions = {}): Promise<Client> {
  const { node = "primary", host = "127.0.0.1", ca } = options;
  const { application, database } = cluster.credentials;
  const client = new Client({
    host,
    port: cluster.endpoint(node).port,
    user: application.user,
    password: options.password ?? application.password,
    database,
    ssl: ca === undefined ? false : { ca, rejectUnauthorized: true },
    connectionTimeoutMillis: 5_000,
  });
  client.on("error", () => {});
  clients.push(client);
  await client.connect();
  return client;
}

describe("a fresh cluster", () => {
  test("has three replicas that stream over verified TLS, each from its own slot", async () => {
    const rows = await cluster.sql<{ name: string; state: string; ssl: boolean; slot: string }>(
      "primary",
      `SELECT r.application_name AS name, r.state, t.ssl, s.slot_name AS slot
         FROM pg_stat_replication r JOIN pg_stat_ssl t USING (pid) JOIN pg_replication_slots s ON s.active_pid = r.pid
        ORDER BY 1`,
    );
    expect(rows).toEqual([
      { name: "replica-1", state: "streaming", ssl: true, slot: "replica_1" },
      { name: "replica-2", state: "streaming", ssl: true, slot: "replica_2" },
      { name: "replica-3", state: "streaming", ssl: true, slot: "replica_3" },
    ]);
    const [receiver] = await cluster.sql<{ conninfo: string }>(
      "replica-1",
      "SELECT conninfo FROM pg_stat_wal_receiver",
    );
    expect(receiver?.conninfo).toContain("sslmode=verify-full");
  });

  test("has servers that call themselves by their node's name, with their roles", async () => {
    const answers = await Promise.all(
      cluster.nodes.map((node) =>
        cluster.sql(node, "SELECT current_setting('cluster_name') AS name, pg_is_in_recovery() AS replica"),
      ),
    );
    expect(answers.flat()).toEqual([
      { name: "primary", replica: false },
      { name: "replica-1", replica: true },
      { name: "replica-2", replica: true },
      { name: "replica-3", replica: true },
    ]);
  });

  test("has feedback on, which a status interval below one second would turn off", async () => {
    const rows = await cluster.sql("replica-1", "SHOW wal_receiver_status_interval");
    expect(rows).toEqual([{ wal_receiver_status_interval: "1s" }]);
  });

  test("counts statements where the library is there", async () => {
    const [row] = await cluster.sql<{ n: number }>(
      "primary",
      "SELECT count(*)::int AS n FROM pg_stat_statements",
    );
    expect(row?.n).toBeGreaterThan(0);
  });

  test.skipIf(!onLinux)("takes less than 150 MB", () => {
    const folders = cluster.nodes.map((node) => join(cluster.directory, node));
    const kilobytes = execFileSync("du", ["-sk", ...folders], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map((line) => Number.parseInt(line, 10));
    expect(kilobytes).toHaveLength(4);
    expect(kilobytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(150 * 1024);
  });

  test("marks its folder, so that one left behind can be told", () => {
    const marker: unknown = JSON.parse(readFileSync(join(cluster.directory, "fairlead.json"), "utf8"));
    expect(marker).toMatchObject({ project: "fairlead", pid: process.pid, startedAt: expect.any(String) });
  });

  test.skipIf(!isRoot || !onLinux)("runs without root's rights, with files nobody else can read", () => {
    for (const node of cluster.nodes) {
      expect(statSync(`/proc/${cluster.node(node).pid}`).uid).not.toBe(0);
      expect(statSync(join(cluster.directory, "tls", `${node}.key`)).mode & 0o777).toBe(0o600);
      expect(statSync(join(cluster.directory, node)).mode & 0o777).toBe(0o700);
    }
    expect(statSync(cluster.directory).mode & 0o777).toBe(0o700);
  });
});

describe("who may connect", () => {
  test.each(["127.0.0.1", "localhost"])("TLS verifies in full against the run's CA, on %s", async (host) => {
    const ca = readFileSync(cluster.credentials.sslRootCert, "utf8");
    for (const node of cluster.nodes) {
      const client = await logIn({ node, host, ca });
      const { rows } = await client.query(
        "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
      );
      expect(rows).toEqual([{ ssl: true, version: "TLSv1.3" }]);
    }
  });

  test("TLS fails against another CA", async () => {
    const ca = createCertificateAuthority(Date.now()).certificate;
    await expect(logIn({ ca })).rejects.toThrow(/certificate|signature/i);
  });

  test("a wrong password is refused", async () => {
    await expect(logIn({ password: "wrong" })).rejects.toMatchObject({ code: "28P01" });
  });

  test("no line of pg_hba trusts, and every password is kept as SCRAM", async () => {
    const methods = await cluster.sql(
      "primary",
      "SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1",
    );
    expect(methods).toEqual([
      { type: "host", auth_method: "scram-sha-256" },
      { type: "hostssl", auth_method: "scram-sha-256" },
    ]);
    const kinds = await cluster.sql(
      "primary",
      "SELECT rolname AS role, split_part(rolpassword, '$', 1) AS kind FROM pg_authid WHERE rolcanlogin ORDER BY 1",
    );
    expect(kinds).toEqual(["app", "postgres", "replicator"].map((role) => ({ role, kind: "SCRAM-SHA-256" })));
  });

  test("no password is in a log, a setting or the processes' arguments", async () => {
    const { superuser, application } = cluster.credentials;
    for (const node of cluster.nodes) {
      const texts = [
        await cluster.node(node).logTail(10_000),
        readFileSync(join(cluster.directory, node, "postgresql.conf"), "utf8"),
        execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" }),
      ];
      for (const text of texts) {
        expect(text).not.toContain(superuser.password);
        expect(text).not.toContain(application.password);
      }
    }
  });

  test("the application writes on the primary and is refused on replicas", async () => {
    const writer = await logIn();
    await writer.query("CREATE TABLE written (id int PRIMARY KEY)");
    await writer.query("INSERT INTO written VALUES (1)");
    await cluster.settled(10_000);
    for (const node of cluster.replicas) {
      const reader = await logIn({ node });
      expect((await reader.query("SELECT id FROM written")).rows).toEqual([{ id: 1 }]);
      await expect(reader.query("INSERT INTO written VALUES (2)")).rejects.toMatchObject({ code: "25006" });
    }
  });

  test("the application sees no replication statistics until it is granted them", async () => {
    const states = "SELECT DISTINCT state FROM pg_stat_replication";
    const client = await logIn();
    expect((await client.query(states)).rows).toEqual([{ state: null }]);
    await cluster.grantMonitor();
    const granted = await logIn();
    expect((await granted.query(states)).rows).toEqual([{ state: "streaming" }]);
  });
});

describe("a server's process", () => {
  test("starts again after SIGKILL, with everything that was committed, and streams again", async () => {
    for (const node of ["replica-1", "primary"]) {
      await cluster.sql("primary", `CREATE TABLE "before ${node} died" AS SELECT 1 AS one`);
      const server = cluster.node(node);
      const before = server.pid;
      await server.kill();
      expect(server.isRunning).toBe(false);
      await expect(cluster.sql(node, "SELECT 1")).rejects.toThrow(/ECONNREFUSED/);
      await server.start();
      expect(server.pid).not.toBe(before);
      await cluster.settled(20_000);
      expect(await cluster.sql("replica-1", `SELECT one FROM "before ${node} died"`)).toEqual([{ one: 1 }]);
    }
  });

  test("lets go of the harness's own connections when it is killed", async () => {
    const connection = await cluster.connect("replica-2");
    const sleeping = connection.query("SELECT pg_sleep(60)");
    const refused = sleeping.catch((error: unknown) => error);
    await sleep(50);
    await cluster.node("replica-2").kill();
    expect(await refused).toMatchObject({ message: expect.stringMatching(/terminated/) });
    await connection.close();
    await cluster.node("replica-2").start();
    await cluster.settled(20_000);
  });

  test("frozen, answers nobody; thawed, goes on where it was", async () => {
    const server = cluster.node("replica-3");
    const connection = await cluster.connect("replica-3");
    await server.freeze();
    const answers = [connection.query("SELECT 1 AS one"), cluster.sql("replica-3", "SELECT 1 AS one")];
    const first = await Promise.race([...answers, sleep(500).then(() => "silence")]);
    expect(first).toBe("silence");
    await server.thaw();
    expect(await Promise.all(answers)).toEqual([[{ one: 1 }], [{ one: 1 }]]);
    await connection.close();
    await cluster.settled(20_000);
  });

  test("with its postmaster alone frozen, answers on old connections and hangs new ones", async () => {
    const server = cluster.node("replica-3");
    const connection = await cluster.connect("replica-3");
    await server.freezePostmaster();
    const fresh = cluster.sql("replica-3", "SELECT 1 AS one");
    expect(await connection.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(await Promise.race([fresh, sleep(500).then(() => "silence")])).toBe("silence");
    await server.thawPostmaster();
    expect(await fresh).toEqual([{ one: 1 }]);
    await connection.close();
  });

  test("frozen, can be killed and started, and stopped", async () => {
    const server = cluster.node("replica-3");
    await server.freeze();
    await server.kill();
    await server.start();
    await server.freeze();
    await server.stop();
    expect(server.isRunning).toBe(false);
    await server.start();
    await cluster.settled(20_000);
  });

  test("that cannot start says why, from its log", async () => {
    const server = cluster.node("replica-3");
    await cluster.sql("replica-3", "ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'");
    await server.stop();
    await expect(server.start()).rejects.toThrow(/replica-3 did not start:[^]*no_such_library/);
    await cluster.rebuild("replica-3");
  });
});

describe("what the cluster says of itself", () => {
  test("settled names the replica that is behind, and why", async () => {
    await cluster.sql("replica-2", "SELECT pg_wal_replay_pause()");
    await expect(cluster.settled(500)).rejects.toThrow(/replica-2: has replayed .* of /);
    await cluster.sql("replica-2", "SELECT pg_wal_replay_resume()");
    await cluster.settled(20_000);
  });

  test("settled does not wait for what an open transaction keeps unsent", async () => {
    await using connection = await cluster.connect("primary");
    await connection.query("CREATE TABLE IF NOT EXISTS open_one (id int)");
    await connection.query("BEGIN");
    await connection.query("INSERT INTO open_one SELECT generate_series(1, 100)");
    await expect(cluster.settled(5_000)).resolves.toBeUndefined();
    await connection.query("ROLLBACK");
  });

  test("a statement that does not end is given up at its deadline", async () => {
    const start = systemClock.now();
    await expect(cluster.sql("primary", "SELECT pg_sleep(60)")).rejects.toThrow(/within 5000 ms/);
    expect(systemClock.now() - start).toBeLessThan(15_000);
  });

  test("logs are collected by node", async () => {
    const folder = mkdtempSync(join(tmpdir(), "logs-"));
    try {
      await cluster.collectLogs(folder);
      for (const node of cluster.nodes) {
        expect(readFileSync(join(folder, `${node}.log`), "utf8")).toContain("database system is ready");
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("another primary", () => {
  test("is promoted, and everybody else is rebuilt to follow it, the old primary too", async () => {
    await cluster.node("primary").kill();
    await cluster.promote("replica-1");
    expect(cluster.currentPrimary).toBe("replica-1");
    await cluster.sql("replica-1", "CREATE TABLE after_promotion AS SELECT 1 AS one");
    await expect(cluster.rebuild("replica-1")).rejects.toThrow(/is the primary/);
    for (const node of ["primary", "replica-2", "replica-3"]) await cluster.rebuild(node);
    await cluster.settled(20_000);
    for (const node of ["primary", "replica-2", "replica-3"]) {
      const rows = await cluster.sql(node, "SELECT one, pg_is_in_recovery() AS replica FROM after_promotion");
      expect(rows).toEqual([{ one: 1, replica: true }]);
    }
  });

  test("can be rebuilt under while it takes writes", async () => {
    await cluster.sql("replica-1", "CREATE TABLE ticks (id serial PRIMARY KEY, filler text)");
    const done = new AbortController();
    const writing = (async () => {
      await using connection = await cluster.connect("replica-1");
      while (!done.signal.aborted)
        await connection.query("INSERT INTO ticks (filler) VALUES (repeat('x', 1000))");
    })();
    await cluster.rebuild("replica-2");
    done.abort();
    await writing;
    await cluster.settled(20_000);
    const count = "SELECT count(*)::int AS n, max(id) AS last FROM ticks";
    const [truth] = await cluster.sql<{ n: number }>("replica-1", count);
    expect(truth?.n).toBeGreaterThan(10);
    expect(await cluster.sql("replica-2", count)).toEqual([truth]);
  });
});

describe("other ways to run one", () => {
  test("replicas stream through the address that upstreamOf gives", async () => {
    const proxies: TcpServer[] = [];
    const through: string[] = [];
    const upstreamOf = async (replica: string, primary: { port: number }) => {
      const proxy = createServer((downstream) => {
        through.push(replica);
        const upstream = connect(primary.port, "127.0.0.1");
        downstream.pipe(upstream).pipe(downstream);
        for (const socket of [downstream, upstream]) {
          socket.on("error", () => {
            upstream.destroy();
            downstream.destroy();
          });
        }
      });
      proxies.push(proxy);
      await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
      return { host: "127.0.0.1", port: (proxy.address() as { port: number }).port };
    };
    try {
      await using proxied = await startEmbeddedCluster({ replicas: 2, upstreamOf });
      await proxied.settled(5_000);
      expect(new Set(through)).toEqual(new Set(["replica-1", "replica-2"]));
    } finally {
      for (const proxy of proxies) proxy.close();
    }
  });

  const systemBin = ((): string | undefined => {
    try {
      return execFileSync("pg_config", ["--bindir"], { encoding: "utf8" }).trim();
    } catch {
      return undefined;
    }
  })();
  const hasSystemServer = systemBin !== undefined && existsSync(join(systemBin, "initdb"));

  test.skipIf(!hasSystemServer)("with the PostgreSQL that pg_config knows", async () => {
    await using system = await startEmbeddedCluster({ pgBin: systemBin ?? "" });
    const [row] = await system.sql<{ version: string }>(
      "primary",
      "SELECT split_part(version(), ' ', 2) AS version",
    );
    expect(row?.version).toBe(system.serverVersion);
    await system.rebuild("replica-1");
    await system.settled(10_000);
  });

  const program = fileURLToPath(new URL("fixtures/cluster-runner.ts", import.meta.url));
  const owner = isRoot ? unprivilegedOwner() : undefined;
  const canRunAsOwner =
    owner !== undefined &&
    canReach(owner, dirname(program)) &&
    canReach(owner, dirname(process.execPath)) &&
    Number.parseInt(process.versions.node, 10) >= 24;

  test.skipIf(!canRunAsOwner)("as a plain user, who has nobody to step down to", async () => {
    const directory = join(tmpdir(), `plain-${process.pid}`);
    const child = spawn(process.execPath, [program, directory, "end"], {
      ...owner,
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (output += text.toString()));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(JSON.parse(output)).toMatchObject({ uid: owner?.uid });
    expect(existsSync(directory)).toBe(false);
  });
});
