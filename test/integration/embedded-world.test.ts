import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Fault, LinkName } from "../../chaos/faults/fault.ts";
import { createTables, DROP_TABLES, lasting, NAMED_READ } from "../../chaos/workload/statements.ts";
import type { Endpoint } from "../../chaos/world.ts";
import { processesWorkingIn } from "../../sim/embedded/processes.ts";
import { type EmbeddedWorld, startEmbeddedWorld } from "../../sim/embedded/world.ts";
import { startBuiltinToxiproxy } from "../../sim/toxiproxy/start.ts";

const seed = 1;
let world: EmbeddedWorld;
const clients: Client[] = [];

beforeAll(async () => {
  world = await startEmbeddedWorld({ seed });
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
});

/** A client of the test's own, as an application would be: through the link, over TLS, as the application's role. */
async function throughLink(node: string, within = world): Promise<Client> {
  const { rig } = within;
  const end = [rig.primary, ...rig.replicas].find((each) => each.node === node) as Endpoint;
  return open({
    host: end.host,
    port: end.port,
    user: rig.user,
    password: rig.password,
    database: rig.database,
    ssl: { ca: readFileSync(rig.sslRootCert, "utf8") },
  });
}

/** Past the link, as superuser. */
function straightTo(node: string): Promise<Client> {
  const { superuser, database } = world.cluster.credentials;
  const { host, port } = world.cluster.endpoint(node);
  return open({ host, port, ...superuser, database });
}

async function open(options: ConstructorParameters<typeof Client>[0] & object): Promise<Client> {
  const client = new Client({ connectionTimeoutMillis: 5_000, ...options });
  client.on("error", () => {});
  clients.push(client);
  await client.connect();
  return client;
}

async function valueOf(client: Client, expression: string): Promise<unknown> {
  const { rows } = await client.query<{ value: unknown }>(`SELECT ${expression} AS value`);
  return rows[0]?.value;
}

function connectionTo(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => socket.end(() => resolve("accepted")));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
}

async function isAnswered(client: Client, withinMs: number): Promise<boolean> {
  const answer = client.query("SELECT 1").then(
    () => true,
    () => false,
  );
  return await Promise.race([answer, sleep(withinMs).then(() => false)]);
}

async function timeOf(task: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await task();
  return performance.now() - startedAt;
}

/** Whether the replica gets what is written on the primary now, within that time. */
async function receivesWal(replica: string, withinMs: number): Promise<boolean> {
  const [primary, standby] = [await straightTo("primary"), await straightTo(replica)];
  const mark = await valueOf(primary, "pg_logical_emit_message(true, 'test', 'x')::text");
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if ((await valueOf(standby, `pg_last_wal_receive_lsn() >= '${String(mark)}'`)) === true) return true;
    await sleep(5);
  }
  return false;
}

/** A Toxiproxy that answers changes as it should, and once it has started lying does nothing of the kind. */
async function startLiar(url: string): Promise<AsyncDisposable & { url: string; startLying: () => void }> {
  let isLying = false;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    if (isLying && request.method === "POST") {
      response.end(JSON.stringify({ name: request.url?.split("/")[2], ...(JSON.parse(body) as object) }));
      return;
    }
    const { method = "GET" } = request;
    const answer = await fetch(`${url}${request.url ?? ""}`, { method, ...(body === "" ? {} : { body }) });
    response.writeHead(answer.status).end(await answer.text());
  };
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    startLying: () => (isLying = true),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe("a fresh world", () => {
  test("has a link to every node and one from the primary to every replica, all on the loopback", () => {
    expect(world.links).toEqual([
      "app:primary",
      "app:replica-1",
      "app:replica-2",
      "app:replica-3",
      "replication:replica-1",
      "replication:replica-2",
      "replication:replica-3",
    ]);
    for (const end of [world.rig.primary, ...world.rig.replicas]) expect(end.host).toBe("127.0.0.1");
  });

  test("leads an application to each node, over verified TLS", async () => {
    for (const { node } of [world.rig.primary, ...world.rig.replicas]) {
      const client = await throughLink(node);
      expect(await valueOf(client, "current_setting('cluster_name')")).toBe(node);
      expect(client.port).not.toBe(world.cluster.endpoint(node).port);
    }
  });

  test("has replicas that stream through Toxiproxy", async () => {
    const replica = await straightTo("replica-1");
    const port = await valueOf(replica, "(SELECT sender_port FROM pg_stat_wal_receiver)");
    const answer = await fetch(`${world.toxiproxyUrl}/proxies`);
    const proxies = (await answer.json()) as Record<string, { listen: string; upstream: string }>;
    const proxy = proxies["replication:replica-1"];
    expect(proxy?.listen).toBe(`127.0.0.1:${String(port)}`);
    expect(proxy?.upstream).toBe(`127.0.0.1:${world.cluster.endpoint("primary").port}`);
  });

  test("says what ran", () => {
    expect(world.describe()).toEqual({
      postgresql: world.cluster.serverVersion,
      toxiproxy: "2.12.0",
      toxiproxyOrigin: "built-in",
      node: process.versions.node,
      replicas: 3,
      seed,
      startupMs: expect.any(Number),
    });
  });

  test("shows nothing of the harness's own table to the application", async () => {
    const client = await throughLink("primary");
    const look = client.query("SELECT * FROM fairlead_harness.open_transactions");
    await expect(look).rejects.toMatchObject({ code: "42501" });
  });

  test("collects each node's log", async () => {
    const folder = mkdtempSync(join(tmpdir(), "world-logs-"));
    try {
      await world.collectLogs(folder);
      expect(readdirSync(folder).sort()).toEqual(world.cluster.nodes.map((node) => `${node}.log`).sort());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("faults of an application's link", () => {
  test("down: connections are cut and refused, and come back with the heal", async () => {
    const before = await throughLink("replica-1");
    const cut = new Promise((resolve) => before.once("end", resolve));
    const fault = await world.nemesis.inject({ kind: "link-down", link: "app:replica-1" });
    await cut;
    expect(await connectionTo(before.port)).toBe("ECONNREFUSED");
    await expect(straightTo("replica-1")).resolves.toBeDefined();
    await fault.heal();
    expect(await valueOf(await throughLink("replica-1"), "1")).toBe(1);
  });

  test("black hole: connections stay open and nothing is answered until the heal", async () => {
    const before = await throughLink("primary");
    let hasEnded = false;
    before.once("end", () => (hasEnded = true));
    const fault = await world.nemesis.inject({ kind: "link-black-hole", link: "app:primary" });
    expect(await isAnswered(before, 300)).toBe(false);
    expect(hasEnded).toBe(false);
    expect(await isAnswered(await straightTo("primary"), 1_000)).toBe(true);
    await fault.heal();
    expect(await isAnswered(await throughLink("primary"), 1_000)).toBe(true);
  });

  test.each([
    ["upstream", 150],
    ["downstream", 150],
    ["both", 300],
  ] as const)("latency %s: a round trip takes %i ms longer until the heal", async (direction, moreMs) => {
    const client = await throughLink("replica-2");
    const fault = await world.nemesis.inject({
      kind: "link-latency",
      link: "app:replica-2",
      latencyMs: 150,
      direction,
    });
    expect(await timeOf(() => client.query("SELECT 1"))).toBeGreaterThanOrEqual(0.9 * moreMs);
    await fault.heal();
    const afterMs = Math.min(
      await timeOf(() => client.query("SELECT 1")),
      await timeOf(() => client.query("SELECT 1")),
    );
    expect(afterMs).toBeLessThan(0.7 * moreMs);
  });

  test("reset: whoever uses a connection, old or new, is reset, until the heal", async () => {
    const before = await throughLink("replica-1");
    const fault = await world.nemesis.inject({ kind: "link-reset", link: "app:replica-1" });
    await expect(before.query("SELECT 1")).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await connectionTo(before.port)).toBe("accepted");
    await expect(throughLink("replica-1")).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await isAnswered(await straightTo("replica-1"), 1_000)).toBe(true);
    await fault.heal();
    expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
  });

  test("reset: a connection that nobody uses meanwhile outlives it", async () => {
    const idle = await throughLink("replica-1");
    const fault = await world.nemesis.inject({ kind: "link-reset", link: "app:replica-1" });
    await fault.heal();
    expect(await isAnswered(idle, 1_000)).toBe(true);
  });

  test("bandwidth: what is large takes as long as it must, until the heal", async () => {
    const client = await throughLink("replica-1");
    const large = (): Promise<unknown> => client.query("SELECT repeat('x', 10_000)");
    const fault = await world.nemesis.inject({
      kind: "link-bandwidth",
      link: "app:replica-1",
      bytesPerSecond: 20_000,
    });
    expect(await timeOf(large)).toBeGreaterThanOrEqual(450);
    await fault.heal();
    expect(Math.min(await timeOf(large), await timeOf(large))).toBeLessThan(400);
  });

  test("SYN black hole: old connections are closed, new ones neither taken nor refused until the heal", async () => {
    const before = await throughLink("replica-1");
    const cut = new Promise((resolve) => before.once("end", resolve));
    const fault = await world.nemesis.inject({ kind: "link-syn-black-hole", link: "app:replica-1" });
    await cut;
    const connecting = connectionTo(before.port);
    expect(await Promise.race([connecting, sleep(500).then(() => "hangs")])).toBe("hangs");
    expect(await isAnswered(await straightTo("replica-1"), 1_000)).toBe(true);
    await fault.heal();
    expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
    await connecting;
  });

  test("one after the other on the same link, each with toxics of its own", async () => {
    const link: LinkName = "app:replica-2";
    const latency = { kind: "link-latency", link, latencyMs: 60, direction: "both" } as const;
    const first = await world.nemesis.inject(latency);
    const second = await world.nemesis.inject(latency);
    const client = await throughLink("replica-2");
    expect(await timeOf(() => client.query("SELECT 1"))).toBeGreaterThanOrEqual(0.9 * 240);
    await second.heal();
    expect(await timeOf(() => client.query("SELECT 1"))).toBeGreaterThanOrEqual(0.9 * 120);
    await first.heal();
  });
});

describe("faults of a replication link", () => {
  test.each(["link-down", "link-black-hole"] as const)(
    "%s: WAL no longer arrives, queries do; it arrives after the heal",
    async (kind) => {
      const fault = await world.nemesis.inject({ kind, link: "replication:replica-1" });
      expect(await receivesWal("replica-1", 300)).toBe(false);
      expect(await receivesWal("replica-2", 5_000)).toBe(true);
      expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
      await fault.heal();
      expect(await receivesWal("replica-1", 5_000)).toBe(true);
    },
  );

  test.each<Fault>([
    { kind: "link-reset", link: "replication:replica-1" },
    { kind: "link-syn-black-hole", link: "replication:replica-1" },
  ])("$kind: WAL no longer arrives, and does again after the heal", async (broken) => {
    const fault = await world.nemesis.inject(broken);
    expect(await receivesWal("replica-1", 300)).toBe(false);
    expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
    await fault.heal();
    expect(await receivesWal("replica-1", 5_000)).toBe(true);
  });

  test("bandwidth: WAL trickles in, and has all arrived soon after the heal", async () => {
    const fault = await world.nemesis.inject({
      kind: "link-bandwidth",
      link: "replication:replica-1",
      bytesPerSecond: 1_000,
    });
    const primary = await straightTo("primary");
    await primary.query("SELECT pg_logical_emit_message(true, 'test', repeat('x', 5000))");
    expect(await receivesWal("replica-1", 1_000)).toBe(false);
    await fault.heal();
    expect(await receivesWal("replica-1", 5_000)).toBe(true);
  });

  test("black hole: the receiver goes on saying that it streams", async () => {
    await using _fault = await world.nemesis.inject({
      kind: "link-black-hole",
      link: "replication:replica-1",
    });
    const replica = await straightTo("replica-1");
    expect(await valueOf(replica, "(SELECT status FROM pg_stat_wal_receiver)")).toBe("streaming");
  });

  test("latency downstream: WAL arrives that much later until the heal", async () => {
    const link = "replication:replica-1";
    const fault = await world.nemesis.inject({
      kind: "link-latency",
      link,
      latencyMs: 400,
      direction: "downstream",
    });
    expect(await receivesWal("replica-1", 250)).toBe(false);
    await fault.heal();
    expect(await receivesWal("replica-1", 5_000)).toBe(true);
  });

  test("latency upstream: no WAL is late, only the primary's idea of it", async () => {
    await using _fault = await world.nemesis.inject({
      kind: "link-latency",
      link: "replication:replica-1",
      latencyMs: 1_000,
      direction: "upstream",
    });
    expect(await receivesWal("replica-1", 700)).toBe(true);
    const behind = await valueOf(
      await straightTo("primary"),
      "(SELECT flush_lsn < pg_current_wal_flush_lsn() FROM pg_stat_replication WHERE application_name = 'replica-1')",
    );
    expect(behind).toBe(true);
  });
});

describe("faults of a node", () => {
  test.each(["replica-1", "primary"])("killed: %s is gone, and back with the heal", async (node) => {
    const { pid } = world.cluster.node(node);
    const before = await throughLink(node);
    const cut = new Promise((resolve) => before.once("end", resolve));
    const fault = await world.nemesis.inject({ kind: "node-killed", node });
    await cut;
    expect(() => process.kill(pid as number, 0)).toThrow("ESRCH");
    expect(await connectionTo(world.cluster.endpoint(node).port)).toBe("ECONNREFUSED");
    await fault.heal();
    expect(await isAnswered(await throughLink(node), 1_000)).toBe(true);
    await world.cluster.settled(10_000);
  });

  test("killed: a replica that is back has replayed what was written meanwhile", async () => {
    const primary = await straightTo("primary");
    await primary.query("CREATE TABLE IF NOT EXISTS seen (id int)");
    const fault = await world.nemesis.inject({ kind: "node-killed", node: "replica-3" });
    await primary.query("INSERT INTO seen SELECT generate_series(1, 1000)");
    await fault.heal();
    expect(await valueOf(await straightTo("replica-3"), "(SELECT count(*)::int FROM seen)")).toBe(1_000);
  });

  test.each(["replica-2", "primary"])(
    "frozen: %s takes connections and answers nobody until the heal",
    async (node) => {
      const before = await throughLink(node);
      const fault = await world.nemesis.inject({ kind: "node-frozen", node });
      const answer = before.query("SELECT 1");
      expect(await Promise.race([answer, sleep(300).then(() => "silence")])).toBe("silence");
      expect(await connectionTo(world.cluster.endpoint(node).port)).toBe("accepted");
      await fault.heal();
      await expect(answer).resolves.toBeDefined();
      expect(await isAnswered(await throughLink(node), 1_000)).toBe(true);
      await world.cluster.settled(10_000);
    },
  );

  test.each(["replica-2", "primary"])(
    "postmaster frozen: %s answers on old connections and not on new ones until the heal",
    async (node) => {
      const before = await throughLink(node);
      const fault = await world.nemesis.inject({ kind: "postmaster-frozen", node });
      expect(await isAnswered(before, 1_000)).toBe(true);
      const fresh = throughLink(node);
      expect(await Promise.race([fresh, sleep(300).then(() => "hangs")])).toBe("hangs");
      expect(await isAnswered(before, 1_000)).toBe(true);
      await fault.heal();
      await expect(fresh).resolves.toBeDefined();
    },
  );

  test("replay paused: WAL arrives and is not replayed until the heal", async () => {
    const fault = await world.nemesis.inject({ kind: "replay-paused", node: "replica-3" });
    expect(await receivesWal("replica-3", 5_000)).toBe(true);
    const replica = await straightTo("replica-3");
    expect(await valueOf(replica, "pg_get_wal_replay_pause_state()")).toBe("paused");
    expect(await valueOf(replica, "pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn()")).toBe(true);
    await fault.heal();
    await world.cluster.settled(5_000);
  });

  test("a write transaction is open on the primary until the heal, and leaves nothing", async () => {
    const primary = await straightTo("primary");
    const open = "(SELECT count(*)::int FROM pg_stat_activity WHERE backend_xid IS NOT NULL)";
    const fault = await world.nemesis.inject({ kind: "write-transaction-open", node: "primary" });
    expect(await valueOf(primary, open)).toBe(1);
    await fault.heal();
    expect(await valueOf(primary, open)).toBe(0);
    expect(await valueOf(primary, "(SELECT count(*)::int FROM fairlead_harness.open_transactions)")).toBe(0);
  });

  test("the insert position stands behind a page header, where replay never gets while nobody writes", async () => {
    const primary = await straightTo("primary");
    const replica = await straightTo("replica-1");
    await world.nemesis.inject({ kind: "wal-at-page-boundary", node: "primary" });
    const insert = String(await valueOf(primary, "pg_current_wal_insert_lsn()"));
    const offset = `(SELECT file_offset % 8192 FROM pg_walfile_name_offset('${insert}'))`;
    expect(await valueOf(primary, offset)).toBe(24);
    await sleep(300);
    expect(await valueOf(replica, `'${insert}'::pg_lsn - pg_last_wal_replay_lsn()`)).toBe("24");
  });

  test("the insert position is caught behind a page header although others write", async () => {
    const writer = await straightTo("primary");
    await writer.query("CREATE TABLE IF NOT EXISTS ticks (id int)");
    const done = new AbortController();
    const writing = (async () => {
      while (!done.signal.aborted) {
        await writer.query("INSERT INTO ticks VALUES (1)");
        await sleep(10);
      }
    })();
    const injecting = world.nemesis.inject({ kind: "wal-at-page-boundary", node: "primary" });
    await expect(injecting).resolves.toBeDefined();
    done.abort();
    await writing;
  });

  test("WAL is switched: the position is in another segment", async () => {
    const primary = await straightTo("primary");
    const segment = "pg_walfile_name(pg_current_wal_insert_lsn())";
    const before = await valueOf(primary, segment);
    await world.nemesis.inject({ kind: "wal-switched", node: "primary" });
    expect(await valueOf(primary, segment)).not.toBe(before);
    await world.cluster.settled(5_000);
  });

  test("a checkpoint is taken", async () => {
    const primary = await straightTo("primary");
    const last = "(SELECT checkpoint_lsn::text FROM pg_control_checkpoint())";
    const before = await valueOf(primary, last);
    await world.nemesis.inject({ kind: "checkpointed", node: "primary" });
    expect(await valueOf(primary, last)).not.toBe(before);
  });
});

describe("a server that is there and does not serve as it should", () => {
  const slowRead = lasting({ text: "SELECT 1 AS one", values: [] }, 0).text;

  test("recovery conflict: what runs on the replica is cancelled, and is not after the heal", async () => {
    const replica = await throughLink("replica-1");
    const fault = await world.nemesis.inject({ kind: "recovery-conflict", node: "replica-1" });
    await expect(replica.query("SELECT pg_sleep(2)")).rejects.toMatchObject({
      code: "40001",
      severity: "ERROR",
    });
    const other = await throughLink("replica-2");
    await other.query("SELECT pg_sleep(0.3)");
    const idle = await throughLink("replica-1");
    const ended = new Promise<Error>((resolve) => idle.once("error", resolve));
    await idle.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await idle.query("SELECT 1");
    expect(await ended).toMatchObject({ code: "40001", severity: "FATAL" });
    await fault.heal();
    await replica.query("SELECT pg_sleep(0.3)");
  });

  test("recovery conflict: a primary recovers nothing", async () => {
    const injecting = world.nemesis.inject({ kind: "recovery-conflict", node: "primary" });
    await expect(injecting).rejects.toThrow(/primary is no standby/);
  });

  test("replica promoted: it takes writes of its own, and is a replica again after the heal", async () => {
    const fault = await world.nemesis.inject({ kind: "replica-promoted", node: "replica-2" });
    const promoted = await throughLink("replica-2");
    await promoted.query("CREATE TABLE astray (id int)");
    await fault.heal();
    const rebuilt = await throughLink("replica-2");
    expect(await valueOf(rebuilt, "pg_is_in_recovery()")).toBe(true);
    expect(await valueOf(rebuilt, "to_regclass('astray')")).toBeNull();
    expect(await receivesWal("replica-2", 5_000)).toBe(true);
    await fault.heal();
  });

  test("server full: free slots are taken, and who has a connection keeps it", async () => {
    const before = await throughLink("replica-1");
    const fault = await world.nemesis.inject({ kind: "server-full", node: "replica-1", slots: "free" });
    expect(await isAnswered(before, 1_000)).toBe(true);
    await expect(throughLink("replica-1")).rejects.toMatchObject({ code: "53300" });
    expect(await isAnswered(await straightTo("replica-1"), 1_000)).toBe(true);
    await fault.heal();
    expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
  });

  test("server full: all slots are taken, those of clients as well", async () => {
    const before = await throughLink("replica-1");
    await using _fault = await world.nemesis.inject({ kind: "server-full", node: "replica-1", slots: "all" });
    expect(await isAnswered(before, 1_000)).toBe(false);
    await expect(throughLink("replica-1")).rejects.toMatchObject({ code: "53300" });
  });

  test.each([
    ["replica", 1],
    ["archive", 0],
  ] as const)(
    "replica fed by another %s: WAL arrives all the same, until the heal and after",
    async (by, receivers) => {
      const fault = await world.nemesis.inject({ kind: "replica-fed", node: "replica-3", by });
      const replica = await straightTo("replica-3");
      expect(await valueOf(replica, "(SELECT count(*)::int FROM pg_stat_wal_receiver)")).toBe(receivers);
      const follower = "(SELECT count(*)::int FROM pg_stat_replication WHERE application_name = 'replica-3')";
      expect(await valueOf(await straightTo("primary"), follower)).toBe(0);
      await (await straightTo("primary")).query("CREATE TABLE IF NOT EXISTS fed (id int)");
      await expect.poll(() => valueOf(replica, "to_regclass('fed')::text"), { timeout: 5_000 }).toBe("fed");
      await fault.heal();
      expect(await valueOf(await straightTo("primary"), follower)).toBe(1);
      expect(await receivesWal("replica-3", 5_000)).toBe(true);
    },
  );

  test("table altered: plans made before do not fit after, on replicas too, and last after the heal", async () => {
    const { cluster, rig } = world;
    for (const statement of createTables(rig.user)) await cluster.sql(cluster.primary, statement);
    await cluster.settled(5_000);
    const fault = await world.nemesis.inject({ kind: "table-altered", node: "primary" });
    const stale = async (): Promise<unknown> => {
      const replica = await throughLink("replica-2");
      for (let i = 0; i < 20; i++) {
        const told = await replica
          .query(NAMED_READ as { name: string; text: string })
          .catch((error: unknown) => error);
        if (told instanceof Error) return told;
        await sleep(50);
      }
      return undefined;
    };
    expect(await stale()).toMatchObject({ code: "0A000", routine: "RevalidateCachedQuery" });
    await fault.heal();
    expect(await stale()).toBeUndefined();
    await cluster.sql(cluster.primary, DROP_TABLES);
  });

  test("statements slow: reads that look take long on that node, others and probes do not", async () => {
    const [slow, fast] = [await throughLink("replica-1"), await throughLink("replica-2")];
    const fault = await world.nemesis.inject({ kind: "statements-slow", node: "replica-1", takeMs: 600 });
    expect(await timeOf(() => slow.query(slowRead))).toBeGreaterThan(590);
    expect(await timeOf(() => fast.query(slowRead))).toBeLessThan(500);
    expect(await timeOf(() => slow.query("SELECT 1"))).toBeLessThan(500);
    await fault.heal();
    expect(await timeOf(() => slow.query(slowRead))).toBeLessThan(500);
  });
});

describe("a fault that cannot be", () => {
  test.each<Fault>([
    { kind: "replay-paused", node: "primary" },
    { kind: "write-transaction-open", node: "replica-1" },
    { kind: "wal-at-page-boundary", node: "replica-1" },
    { kind: "wal-switched", node: "replica-1" },
  ])("$kind on $node is told as not observed, and nothing stays behind", async (fault) => {
    await expect(world.nemesis.inject(fault)).rejects.toMatchObject({
      name: "FaultNotObserved",
      phase: "inject",
      fault,
    });
    const node = "node" in fault ? fault.node : "primary";
    const harness = "application_name = 'fairlead-harness' AND pid <> pg_backend_pid()";
    const client = await straightTo(node);
    const left = `(SELECT count(*)::int FROM pg_stat_activity WHERE ${harness})`;
    await expect.poll(() => valueOf(client, left)).toBe(0);
  });

  test("a link that nothing gets through any more cannot be slowed down", async () => {
    await using _down = await world.nemesis.inject({ kind: "link-down", link: "app:replica-1" });
    const slow = world.nemesis.inject({
      kind: "link-latency",
      link: "app:replica-1",
      latencyMs: 50,
      direction: "both",
    });
    await expect(slow).rejects.toThrow(/link-latency was not observed: app:replica-1: .*ECONNREFUSED/);
  });

  test("is not believed, whatever Toxiproxy and the signals say they have done", async () => {
    await using toxiproxy = await startBuiltinToxiproxy();
    await using liar = await startLiar(toxiproxy.url);
    await using own = await startEmbeddedWorld({ seed, replicas: 2, toxiproxy: liar.url });
    liar.startLying();
    vi.spyOn(own.cluster.node("replica-2"), "kill").mockResolvedValue();
    vi.spyOn(own.cluster.node("replica-1"), "freeze").mockResolvedValue();
    vi.spyOn(own.cluster.node("replica-1"), "freezePostmaster").mockResolvedValue();
    const latency = { kind: "link-latency", latencyMs: 100 } as const;
    const faults: readonly Fault[] = [
      { kind: "link-down", link: "app:primary" },
      { kind: "link-black-hole", link: "app:replica-1" },
      { ...latency, link: "app:replica-2", direction: "upstream" },
      { kind: "link-down", link: "replication:replica-1" },
      { kind: "link-black-hole", link: "replication:replica-1" },
      { ...latency, link: "replication:replica-2", direction: "downstream" },
      { ...latency, link: "replication:replica-2", direction: "upstream" },
      { kind: "node-killed", node: "replica-2" },
    ];
    const others: readonly Fault[] = [
      { kind: "link-reset", link: "app:replica-1" },
      { kind: "link-bandwidth", link: "app:replica-2", bytesPerSecond: 1_000 },
      { kind: "link-bandwidth", link: "replication:replica-2", bytesPerSecond: 1_000 },
      { kind: "link-reset", link: "replication:replica-1" },
      { kind: "link-syn-black-hole", link: "app:primary" },
      { kind: "node-frozen", node: "replica-1" },
      { kind: "postmaster-frozen", node: "replica-1" },
    ];
    const attempt = (all: readonly Fault[]): Promise<PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(all.map((fault) => own.nemesis.inject(fault)));
    // In two goes: who is too busy sees delays that are nobody's doing.
    const outcomes = [...(await attempt(faults)), ...(await attempt(others))];
    const saw = [
      "a new connection is accepted",
      "a query through the link was answered",
      /\d ms, below \d/,
      "a new connection is accepted",
      "WAL still arrives at the replica",
      /\d ms, below \d/,
      /\d ms, below \d/,
      "its process is there",
      "a connection from before the fault is still open",
      /400 bytes took \d/,
      /400 bytes took \d/,
      "WAL still arrives at the replica",
      "is the port taken",
      "a new connection is answered",
      "a new connection is answered",
    ];
    expect(outcomes).toEqual(
      saw.map((text) => ({
        status: "rejected",
        reason: expect.objectContaining({
          name: "FaultNotObserved",
          phase: "inject",
          message: expect.stringMatching(text),
        }),
      })),
    );
  });

  test("a link or a node that is not there is told by name", async () => {
    const link = world.nemesis.inject({ kind: "link-down", link: "app:replica-9" });
    await expect(link).rejects.toThrow(/no link app:replica-9: app:primary/);
    const node = world.nemesis.inject({ kind: "node-killed", node: "replica-9" });
    await expect(node).rejects.toThrow(/no node replica-9: primary/);
  });

  test("an injection that is aborted is undone before it is told", async () => {
    const link: LinkName = "app:replica-1";
    const slow: Fault = { kind: "link-latency", link, latencyMs: 2_000, direction: "both" };
    const enough = new Error("enough");
    const aborter = new AbortController();
    const injecting = world.nemesis.inject(slow, aborter.signal);
    await sleep(300);
    aborter.abort(enough);
    await expect(injecting).rejects.toBe(enough);
    expect(await timeOf(async () => valueOf(await throughLink("replica-1"), "1"))).toBeLessThan(1_500);
  });
});

describe("healAll", () => {
  test("heals whatever is on, in whatever combination, and again without anything to do", async () => {
    const faults: readonly Fault[] = [
      { kind: "link-black-hole", link: "app:replica-1" },
      { kind: "link-down", link: "app:replica-1" },
      { kind: "node-killed", node: "replica-1" },
      { kind: "link-latency", link: "replication:replica-2", latencyMs: 100, direction: "both" },
      { kind: "link-down", link: "replication:replica-2" },
      { kind: "replay-paused", node: "replica-3" },
      { kind: "write-transaction-open", node: "primary" },
      { kind: "link-syn-black-hole", link: "app:replica-2" },
      { kind: "link-bandwidth", link: "app:replica-3", bytesPerSecond: 4_000 },
      { kind: "node-frozen", node: "replica-3" },
      { kind: "postmaster-frozen", node: "primary" },
    ];
    for (const fault of faults) await world.nemesis.inject(fault);
    await world.nemesis.healAll();
    await world.nemesis.healAll();
    for (const { node } of [world.rig.primary, ...world.rig.replicas]) {
      expect(await isAnswered(await throughLink(node), 1_000)).toBe(true);
    }
    for (const replica of world.cluster.replicas) expect(await receivesWal(replica, 5_000)).toBe(true);
    await world.cluster.settled(10_000);
  });

  test("sets right what was broken behind its back", async () => {
    await world.cluster.node("replica-1").freeze();
    await world.cluster.node("replica-2").kill();
    await world.cluster.sql("replica-3", "SELECT pg_wal_replay_pause()");
    const toxic = { name: "mine", type: "timeout", stream: "upstream", attributes: { timeout: 0 } };
    const url = `${world.toxiproxyUrl}/proxies/app:primary/toxics`;
    await fetch(url, { method: "POST", body: JSON.stringify(toxic) });
    await world.nemesis.healAll();
    await world.cluster.settled(10_000);
    expect(await isAnswered(await throughLink("primary"), 1_000)).toBe(true);
  });

  test("ends an injection that is under way", async () => {
    const link: LinkName = "app:replica-1";
    const injecting = world.nemesis.inject({
      kind: "link-latency",
      link,
      latencyMs: 3_000,
      direction: "both",
    });
    const outcome = injecting.catch((error: unknown) => error);
    await sleep(300);
    await world.nemesis.healAll();
    expect(await outcome).toMatchObject({ message: expect.stringContaining("given up") });
    expect(await isAnswered(await throughLink("replica-1"), 1_000)).toBe(true);
  });
});

describe("another primary", () => {
  test("is followed through the same links, the old primary through one of its own", async () => {
    await using own = await startEmbeddedWorld({ seed, replicas: 2 });
    await own.cluster.promote("replica-1");
    for (const node of ["primary", "replica-2"]) await own.cluster.rebuild(node);
    expect(own.links).toContain("replication:primary");
    await using _fault = await own.nemesis.inject({
      kind: "link-black-hole",
      link: "replication:primary",
    });
    const fault = await own.nemesis.inject({ kind: "node-killed", node: "replica-2" });
    await fault.heal();
  });
});

describe("Toxiproxy", () => {
  test("can be one that runs already, which keeps others' proxies and loses the world's", async () => {
    await using toxiproxy = await startBuiltinToxiproxy();
    const theirs = { name: "theirs", listen: "127.0.0.1:0", upstream: "127.0.0.1:1", enabled: false };
    await fetch(`${toxiproxy.url}/proxies`, { method: "POST", body: JSON.stringify(theirs) });
    const names = async (): Promise<string[]> =>
      Object.keys((await (await fetch(`${toxiproxy.url}/proxies`)).json()) as object);
    {
      await using own = await startEmbeddedWorld({ seed, replicas: 1, toxiproxy: `${toxiproxy.url}/` });
      expect(own.describe()).toMatchObject({ toxiproxyOrigin: "given" });
      expect(await names()).toHaveLength(4);
      await using _down = await own.nemesis.inject({ kind: "link-down", link: "app:replica-1" });
      await own.nemesis.healAll();
      expect(await valueOf(await throughLink("replica-1", own), "1")).toBe(1);
    }
    expect(await names()).toEqual(["theirs"]);
  });

  test("that goes away in the middle is named by everything that needs it, at once", async () => {
    const toxiproxy = await startBuiltinToxiproxy();
    await using own = await startEmbeddedWorld({ seed, replicas: 1, toxiproxy: toxiproxy.url });
    const down = await own.nemesis.inject({ kind: "link-down", link: "app:replica-1" });
    const killed = await own.nemesis.inject({ kind: "node-killed", node: "primary" });
    await toxiproxy.close();
    const gone = { name: "ToxiproxyUnavailable", message: expect.stringContaining(toxiproxy.url) };
    const slow: Fault = { kind: "link-down", link: "replication:replica-1" };
    const elapsedMs = await timeOf(async () => {
      await expect(own.nemesis.inject(slow)).rejects.toMatchObject(gone);
      await expect(down.heal()).rejects.toMatchObject(gone);
      await expect(killed.heal()).rejects.toMatchObject(gone);
      await expect(own.nemesis.healAll()).rejects.toMatchObject(gone);
    });
    expect(elapsedMs).toBeLessThan(10_000);
  });

  test("that is not there is named before PostgreSQL is started", async () => {
    const elapsedMs = await timeOf(async () => {
      const starting = startEmbeddedWorld({ seed, toxiproxy: "http://127.0.0.1:1" });
      await expect(starting).rejects.toThrow(/Toxiproxy at http:\/\/127\.0\.0\.1:1 does not answer/);
    });
    expect(elapsedMs).toBeLessThan(1_000);
  });

  test("can be the program on the PATH, and its log is collected", async () => {
    const folder = mkdtempSync(join(tmpdir(), "path-"));
    const fixture = fileURLToPath(new URL("fixtures/toxiproxy-server.ts", import.meta.url));
    const program = join(folder, "toxiproxy-server");
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${fixture}" "$@"\n`);
    chmodSync(program, 0o755);
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    try {
      let url = "";
      {
        await using own = await startEmbeddedWorld({ seed, replicas: 1, toxiproxy: "path" });
        url = own.toxiproxyUrl;
        expect(own.describe()).toMatchObject({ toxiproxyOrigin: program });
        await own.collectLogs(folder);
      }
      expect(readFileSync(join(folder, "toxiproxy.log"), "utf8")).toContain(url);
      await expect(fetch(`${url}/version`)).rejects.toThrow("fetch failed");
    } finally {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }
  });

  test("that is not on the PATH is told with what to do", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    const starting = startEmbeddedWorld({ seed, toxiproxy: "path" });
    await expect(starting).rejects.toThrow(/no toxiproxy-server on the PATH: install/);
    vi.unstubAllEnvs();
  });
});

describe("the end of a world", () => {
  test("leaves no process, port or folder, whatever was broken", async () => {
    const own = await startEmbeddedWorld({ seed, replicas: 2 });
    const { directory } = own.cluster;
    const ports = [own.rig.primary, ...own.rig.replicas].map((end) => end.port);
    ports.push(...own.cluster.nodes.map((node) => own.cluster.endpoint(node).port));
    ports.push(Number(new URL(own.toxiproxyUrl).port));
    await own.nemesis.inject({ kind: "link-black-hole", link: "app:replica-1" });
    await own.nemesis.inject({ kind: "link-syn-black-hole", link: "app:replica-2" });
    await own.nemesis.inject({ kind: "node-killed", node: "replica-2" });
    await own.nemesis.inject({ kind: "write-transaction-open", node: "primary" });
    await own.cluster.node("primary").freeze();
    await own[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
    expect(existsSync(directory)).toBe(false);
    expect(processesWorkingIn(directory)).toEqual([]);
    for (const port of ports) expect(await connectionTo(port)).toBe("ECONNREFUSED");
  });

  test("comes before its beginning when that is aborted", async () => {
    const directory = join(tmpdir(), `aborted-world-${process.pid}`);
    const aborter = new AbortController();
    const enough = new Error("enough");
    const starting = startEmbeddedWorld({ seed, directory, signal: aborter.signal });
    const outcome = starting.catch((error: unknown) => error);
    await sleep(700);
    aborter.abort(enough);
    expect(await outcome).toBe(enough);
    expect(existsSync(directory)).toBe(false);
    expect(processesWorkingIn(directory)).toEqual([]);
  });
});
