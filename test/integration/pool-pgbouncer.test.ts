/**
 * A real PgBouncer in transaction mode before the primary. Runs where a `pgbouncer` is on the PATH, or where
 * `PGBOUNCER` names one.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { unprivilegedOwner } from "../../sim/embedded/unprivileged-user.ts";
import { RouterError } from "../../src/errors.ts";
import type { Router } from "../../src/router.ts";
import { plainPool, routerOver } from "./fixtures/router-over.ts";

const PROGRAM = process.env["PGBOUNCER"] ?? "pgbouncer";
const isHere = spawnSync(PROGRAM, ["--version"]).status === 0;

describe.skipIf(!isHere)("behind PgBouncer in transaction mode", () => {
  let cluster: EmbeddedCluster;
  let folder: string;
  let bouncer: ChildProcess;
  let router: Router;

  beforeAll(async () => {
    cluster = await startEmbeddedCluster({ replicas: 1 });
    folder = await mkdtemp(join(tmpdir(), "fairlead-pgbouncer-"));
    const port = await freePort();
    bouncer = await startBouncer(cluster, folder, port);
    await vi.waitFor(() => answers(cluster, port), { timeout: 10_000 });
    router = await routerOver(cluster, { port });
    // The first probe finds the pooler.
    await vi.waitFor(() => refused(router), { timeout: 5_000 });
  });

  afterAll(async () => {
    await router?.end();
    if (bouncer?.exitCode === null) {
      const exited = once(bouncer, "exit");
      bouncer.kill("SIGTERM");
      await exited;
    }
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    await cluster?.[Symbol.asyncDispose]();
  });

  it("session state and names are refused there, and the refusal says what to do", async () => {
    const client = await router.pool.connect();
    await expect(client.query("listen news")).rejects.toMatchObject({
      code: "POOLER_UNSUPPORTED",
      node: "primary",
    });
    const named = client.query({ name: "mine", text: "create table never (id int)" });
    await expect(named).rejects.toThrow('"mine"');
    client.release();
  });

  it("transactions are whole", async () => {
    await router.pool.query("create table whole (id int)");
    const client = await router.pool.connect();
    await client.query("begin");
    await client.query("set local work_mem = '5MB'");
    await client.query("insert into whole values (1)");
    await client.query("insert into whole values ($1)", [2]);
    await client.query("commit");
    await client.query("begin");
    await client.query("insert into whole values (3)");
    await client.query("rollback");
    client.release();
    expect(await cluster.sql("primary", "select id from whole order by id")).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it("reads go to the replica, which has no pooler before it", async () => {
    const { rows } = await router.pool.query({
      name: "who",
      text: "select current_setting('cluster_name') as node",
    });
    expect(rows).toEqual([{ node: "replica-1" }]);
  });
});

async function startBouncer(cluster: EmbeddedCluster, folder: string, port: number): Promise<ChildProcess> {
  const { host, port: upstream } = cluster.endpoint("primary");
  const { application, database } = cluster.credentials;
  const users = join(folder, "users.txt");
  const settings = join(folder, "pgbouncer.ini");
  await writeFile(users, `"${application.user}" "${application.password}"\n`, { mode: 0o600 });
  await writeFile(
    settings,
    [
      "[databases]",
      `${database} = host=${host} port=${upstream}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = scram-sha-256",
      `auth_file = ${users}`,
      "pool_mode = transaction",
      "default_pool_size = 4",
    ].join("\n"),
    { mode: 0o600 },
  );
  // It refuses to run as root.
  const owner = unprivilegedOwner();
  if (owner === undefined) return spawn(PROGRAM, [settings], { stdio: "ignore" });
  for (const path of [folder, users, settings]) await chown(path, owner.uid, owner.gid);
  return spawn(PROGRAM, [settings], { stdio: "ignore", uid: owner.uid, gid: owner.gid });
}

async function answers(cluster: EmbeddedCluster, port: number): Promise<void> {
  const pool = plainPool(cluster, { port });
  try {
    await pool.query("select 1");
  } finally {
    await pool.end();
  }
}

async function refused(router: Router): Promise<void> {
  const error = await router.pool.query("set work_mem = '5MB'").catch((error: unknown) => error);
  if (!(error instanceof RouterError)) throw new Error("the pooler has not been found yet");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
