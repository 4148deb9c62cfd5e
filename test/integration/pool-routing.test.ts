/** What `router.pool` does beyond a `pg.Pool`: where statements go, what pins a client, what a lost connection means. */
import { once } from "node:events";
import pg from "pg";
import type { PoolClient } from "pg";
import Cursor from "pg-cursor";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { Driver } from "../../src/driver/driver.ts";
import { createPgDriver } from "../../src/driver/pg-driver.ts";
import { createRouter } from "../../src/router.ts";
import type { Router } from "../../src/router.ts";
import { sleep, systemClock } from "../../src/runtime/clock.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createSchema, decisionsDuring, withReplicationDelayed } from "./fixtures/orm-suite.ts";
import { configOver, routerOver } from "./fixtures/router-over.ts";

/** What the router's clients have beyond `pg`'s. */
type RoutedClient = PoolClient & { readonly node: string | undefined; readonly processID: number | null };

describe("the router's pool", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let client: RoutedClient;

  beforeAll(async () => {
    cluster = await startEmbeddedCluster();
    await createSchema(cluster);
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    router = await routerOver(cluster);
    client = (await router.pool.connect()) as RoutedClient;
  });

  afterEach(async () => {
    await router.end();
  });

  const terminate = (pid: number | null): Promise<unknown> =>
    cluster.sql("primary", "select pg_terminate_backend($1)", [pid]);

  const inFlight = (): number =>
    Object.values(router.status().pools).reduce((sum, pool) => sum + pool.inFlight, 0);

  describe("a client that is free", () => {
    it("holds no connection, before and after a statement", async () => {
      expect([client.node, client.processID, inFlight(), router.pool.totalCount]).toEqual([
        undefined,
        null,
        0,
        0,
      ]);
      await client.query("select name from author");
      expect([client.node, inFlight()]).toEqual([undefined, 0]);
    });

    it("reads from the replicas in turn, and writes to the primary", async () => {
      const counts = await decisionsDuring(async () => {
        for (let i = 0; i < 9; i++) await client.query("select name from author");
        await client.query("update counter set value = value where id = 1");
      });
      expect(counts).toEqual({ primary: 1, "replica-1": 3, "replica-2": 3, "replica-3": 3 });
    });

    it("never holds two connections, however much is queued", async () => {
      let most = 0;
      router.pool.on("acquire", () => (most = Math.max(most, inFlight())));
      await Promise.all(
        [
          "select 1",
          "begin",
          "select 2",
          "commit",
          "select 3",
          "update counter set value = 1",
          "select 4",
        ].map((text) => client.query(text)),
      );
      expect(most).toBe(1);
    });

    it("runs a cursor on a replica, and gives the connection back when it is closed", async () => {
      const cursor = client.query(new Cursor("select id from book order by id"));
      expect(await cursor.read(1)).toEqual([{ id: 1 }]);
      expect(client.node).toMatch(/^replica-/);
      await cursor.close();
      expect([client.node, inFlight()]).toEqual([undefined, 0]);
    });

    it("refuses statements after it was released", async () => {
      client.release();
      await expect(client.query("select 1")).rejects.toMatchObject({ code: "CLOSED" });
    });
  });

  describe("transactions", () => {
    it("are refused on the pool itself", async () => {
      for (const text of [
        "begin",
        "start transaction",
        "commit",
        "/* x */ rollback",
        "begin; select 1; commit",
      ]) {
        await expect(router.pool.query(text)).rejects.toMatchObject({ code: "TRANSACTION_NEEDS_CLIENT" });
      }
    });

    it.each([
      ["begin", "primary"],
      ["start transaction isolation level repeatable read", "primary"],
      ["begin read only", "replica"],
      ["begin isolation level repeatable read, read only", "replica"],
      ["begin isolation level serializable read only", "primary"],
    ])("%s runs on a %s until it is over", async (begin, role) => {
      await client.query(begin);
      const { rows } = await client.query<{ standby: boolean }>("select pg_is_in_recovery() as standby");
      expect(rows[0]?.standby).toBe(role === "replica");
      expect(client.node).toMatch(role === "replica" ? /^replica-/ : /^primary$/);
      await client.query("commit");
      expect([client.node, inFlight()]).toEqual([undefined, 0]);
    });

    it("are over when the server says so, not when the text does", async () => {
      await client.query("begin");
      await client.query("select 1/0").catch(() => {});
      await expect(client.query("select 1")).rejects.toMatchObject({ code: "25P02" });
      expect(client.node).toBe("primary");
      await client.query("rollback");
      expect(client.node).toBeUndefined();
      await client.query("do $$ begin null; end $$; begin");
      expect([client.getTransactionStatus(), client.node]).toEqual(["T", "primary"]);
      await client.query("/* not the end */ select 'commit'");
      expect(client.node).toBe("primary");
      await client.query("end");
      expect(client.node).toBeUndefined();
    });

    it("left open at the release take their connection with them", async () => {
      await client.query("begin");
      await client.query("update counter set value = 77 where id = 1");
      const { processID } = client;
      client.release();
      await expect
        .poll(() => cluster.sql("primary", "select 1 from pg_stat_activity where pid = $1", [processID]))
        .toEqual([]);
      expect(await cluster.sql("primary", "select value from counter where value = 77")).toEqual([]);
    });

    it("take no advisory lock on a replica, where it would exclude nobody", async () => {
      await client.query("begin read only");
      await expect(client.query("select pg_advisory_xact_lock(1)")).rejects.toMatchObject({
        code: "NO_ELIGIBLE_NODE",
        node: client.node,
      });
      await client.query("rollback");
    });
  });

  describe("session state", () => {
    it.each([
      ["SET", "set work_mem = '5MB'"],
      ["set_config", "select set_config('work_mem', '5MB', false)"],
      ["PREPARE", "prepare p as select 1"],
      ["a temporary table", "create temp table t (id int)"],
      ["an advisory lock", "select pg_advisory_lock(12)"],
      ["LISTEN", "listen news"],
    ])("%s pins the client to the primary, and ends the connection with it", async (_what, text) => {
      await client.query(text);
      const { processID } = client;
      expect(client.node).toBe("primary");
      await client.query("select name from author");
      await client.query("begin; commit");
      expect([client.node, client.processID]).toEqual(["primary", processID]);
      client.release();
      await expect
        .poll(() => cluster.sql("primary", "select 1 from pg_stat_activity where pid = $1", [processID]))
        .toEqual([]);
    });

    it("SET LOCAL pins nothing beyond its transaction", async () => {
      await client.query("begin");
      await client.query("set local work_mem = '5MB'");
      await client.query("commit");
      expect(client.node).toBeUndefined();
    });

    it("who asks for the backend's id keeps that backend, unharmed", async () => {
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      expect(client.processID).toBe(rows[0]?.pid);
      client.release();
      expect(router.status().pools["primary"]).toMatchObject({ total: 1, idle: 1 });
    });

    it("SET in on('connect') reaches each server connection, on every node, and pins nobody", async () => {
      router.pool.on("connect", (physical) => void physical.query("set application_name = 'greeted'"));
      const seen = new Set<string>();
      for (const text of ["select", "insert into tick (batch, half) values (0, 0) returning"]) {
        for (let i = 0; i < 3; i++) {
          const { rows } = await client.query<{ node: string; name: string }>(
            `${text} current_setting('cluster_name') as node, current_setting('application_name') as name`,
          );
          seen.add(`${rows[0]?.node} ${rows[0]?.name}`);
        }
      }
      expect([...seen].sort()).toEqual(cluster.nodes.map((node) => `${node} greeted`).sort());
      expect(client.node).toBeUndefined();
    });

    it("LISTEN hears until the release", async () => {
      await client.query("listen news");
      const heard = once(client, "notification");
      await router.pool.query("notify news, 'hello'");
      expect(await heard).toMatchObject([{ channel: "news", payload: "hello" }]);
    });
  });

  describe("own writes", () => {
    it("of one client are read back, whoever else reads stale", async () => {
      await withReplicationDelayed(cluster, 400, async () => {
        const other = await router.pool.connect();
        await client.query("update counter set value = 4242 where id = 1");
        const own = await client.query("select value from counter where id = 1");
        const others = await other.query("select value from counter where id = 1");
        expect(own.rows).toEqual([{ value: 4242 }]);
        expect(others.rows).not.toEqual([{ value: 4242 }]);
      });
    });

    it("in a transaction count from its end", async () => {
      await withReplicationDelayed(cluster, 400, async () => {
        await client.query("begin");
        await client.query("update counter set value = 4343 where id = 1");
        await client.query("commit");
        expect((await client.query("select value from counter where id = 1")).rows).toEqual([
          { value: 4343 },
        ]);
      });
    });

    it("within a session count for the session and the client", async () => {
      await withReplicationDelayed(cluster, 400, async () => {
        const session = router.session();
        await session.run(() => client.query("update counter set value = 4444 where id = 1"));
        const inSession = await session.run(() =>
          router.pool.query("select value from counter where id = 1"),
        );
        const onClient = await client.query("select value from counter where id = 1");
        expect([inSession.rows, onClient.rows]).toEqual([[{ value: 4444 }], [{ value: 4444 }]]);
      });
    });

    it("go back to the replicas once one is proved to have them", async () => {
      await client.query("update counter set value = 1 where id = 1");
      await expect
        .poll(
          async () =>
            (await client.query<{ node: string }>("select current_setting('cluster_name') as node")).rows[0]
              ?.node,
          { timeout: 5_000 },
        )
        .toMatch(/^replica-/);
    });

    it("are not looked after with readYourWrites off", async () => {
      const careless = await routerOver(cluster, { readYourWrites: "off" });
      const one = await careless.pool.connect();
      const counts = await decisionsDuring(async () => {
        await one.query("update counter set value = 1 where id = 1");
        await one.query("select value from counter");
      });
      await careless.end();
      expect(counts["primary"]).toBe(1);
    });
  });

  describe("a lost connection", () => {
    it("in a transaction is told by name, and nothing runs as if it had not been", async () => {
      await client.query("begin");
      await client.query("insert into tick (batch, half) values (500, 1)");
      const ended = once(client, "error");
      await terminate(client.processID);
      expect(await ended).toMatchObject([{ code: "NODE_LOST", node: "primary" }]);
      const insert = client.query("insert into tick (batch, half) values (500, 2)");
      await expect(insert).rejects.toMatchObject({ code: "NODE_LOST", node: "primary" });
      await expect(client.query("commit")).rejects.toMatchObject({ code: "NODE_LOST" });
      client.release();
      expect(await cluster.sql("primary", "select * from tick where batch = 500")).toEqual([]);
    });

    it("crashes nobody who does not listen", async () => {
      await router.pool.query("update counter set value = 1 where id = 1");
      await client.query("begin");
      await cluster.sql(
        "primary",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fairlead'",
      );
      await sleep(systemClock, 100);
      client.release();
      expect(
        (await router.pool.query("update counter set value = 2 where id = 1 returning value")).rows,
      ).toEqual([{ value: 2 }]);
    });

    it("while a statement of a transaction runs says that the node was lost", async () => {
      await client.query("begin");
      const { processID } = client;
      const [told] = await Promise.all([
        failureOf(client.query("select pg_sleep(10)")),
        terminate(processID),
      ]);
      expect(told).toMatchObject({ code: "NODE_LOST", cause: { code: "57P01" } });
    });

    it("during COMMIT leaves the outcome unknown", async () => {
      await cluster.sql(
        "primary",
        `create function wait_a_while() returns trigger language plpgsql as 'begin perform pg_sleep(10); return null; end';
         create constraint trigger slow_commit after update on counter deferrable initially deferred
           for each row execute function wait_a_while()`,
      );
      try {
        await client.query("begin");
        await client.query("update counter set value = 99 where id = 1");
        const { processID } = client;
        const committing = failureOf(client.query("commit"));
        await sleep(systemClock, 100);
        await terminate(processID);
        expect(await committing).toMatchObject({ code: "UNKNOWN_OUTCOME", node: "primary" });
      } finally {
        await cluster.sql("primary", "drop function wait_a_while cascade");
      }
    });

    it("under BEGIN is replaced by another", async () => {
      await router.pool.query("update counter set value = 1 where id = 1");
      await cluster.node("primary").stop();
      await cluster.node("primary").start();
      await expect.poll(() => router.status().primary.standing, { timeout: 10_000 }).toBe("up");
      await client.query("begin");
      await client.query("rollback");
    });

    it("while the client holds none is no concern of it", async () => {
      await client.query("select name from author");
      for (const replica of cluster.replicas) {
        await cluster.sql(
          replica,
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fairlead' and pid <> pg_backend_pid()",
        );
      }
      expect((await client.query("select id from author where id = 1")).rows).toEqual([{ id: 1 }]);
    });
  });

  describe("limits", () => {
    it("are the sum of the nodes', and a wait for a client has an end", async () => {
      await using small = await routerOver(cluster, {
        maxConnections: 1,
        maxIdleConns: 1,
        connectTimeout: "200ms",
      });
      expect(small.pool.options.max).toBe(4);
      const out = await Promise.all([1, 2, 3, 4].map(() => small.pool.connect()));
      await expect(small.pool.connect()).rejects.toMatchObject({
        code: "POOL_EXHAUSTED",
        cause: { message: "timeout exceeded when trying to connect" },
      });
      for (const one of out) one.release();
    });

    it("of the call's time hold inside a transaction, too", async () => {
      await using hasty = await routerOver(cluster, { queryTimeout: "300ms" });
      const one = await hasty.pool.connect();
      await one.query("begin");
      await expect(one.query("select pg_sleep(10)")).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
      await expect(one.query("rollback")).rejects.toMatchObject({ code: "NODE_LOST" });
      one.release();
    });
  });

  it("a named statement survives ALTER TABLE, although every connection has its old plan", async () => {
    await cluster.sql("primary", "create table wide (id int); insert into wide values (1)");
    await cluster.sql("primary", `grant select on wide to ${cluster.credentials.application.user}`);
    await cluster.settled(10_000);
    const config = { name: "wide", text: "select * from wide" };
    await Promise.all(Array.from({ length: 15 }, () => router.pool.query(config)));
    await cluster.sql("primary", "alter table wide add column more int default 7");
    await cluster.settled(10_000);
    const results = await Promise.all(Array.from({ length: 15 }, () => router.pool.query(config)));
    for (const { rows } of results) expect(rows).toEqual([{ id: 1, more: 7 }]);
  });

  it("ends the router, and the router ends it", async () => {
    client.release();
    await router.pool.end();
    await expect(router.query("select 1")).rejects.toMatchObject({ code: "CLOSED" });
    const other = await routerOver(cluster);
    const { pool } = other;
    await other.end();
    expect(pool.ended).toBe(true);
    await expect(pool.query("select 1")).rejects.toThrow("Cannot use a pool after calling end on the pool");
  });

  describe("as a pg module", () => {
    it("gives pools that end without the router, and clients that connect nowhere by themselves", async () => {
      const { Pool, Client, types } = router.asPgModule();
      expect(types).toBe(pg.types);
      const facade = new Pool({ host: "nowhere.invalid", max: 2 });
      expect([facade instanceof pg.Pool, facade.options.max]).toEqual([true, 2]);
      expect((await facade.query("select 1 as x")).rows).toEqual([{ x: 1 }]);
      await facade.end();
      const single = new Client({ host: "nowhere.invalid" });
      await single.connect();
      await single.query("set work_mem = '6MB'");
      expect((await single.query("show work_mem")).rows).toEqual([{ work_mem: "6MB" }]);
      await single.end();
      expect((await router.pool.query("select 2 as x")).rows).toEqual([{ x: 2 }]);
      expect(inFlight()).toBe(0);
    });
  });

  it("behind a transaction pooler refuses by name what cannot work there", async () => {
    await using pooled = await createRouter(configOver(cluster), {
      logger: silentLogger,
      driver: withPoolerBefore("primary"),
    });
    await expect
      .poll(() => failureOf(pooled.pool.query("set work_mem = '5MB'")))
      .toMatchObject({
        code: "POOLER_UNSUPPORTED",
        node: "primary",
      });
    const one = await pooled.pool.connect();
    await expect(one.query("listen news")).rejects.toMatchObject({ code: "POOLER_UNSUPPORTED" });
    await one.query("begin");
    const named = one.query({ name: "mine", text: "select 1" });
    await expect(named).rejects.toThrow(/"mine".*"primary"|"primary".*"mine"/s);
    await one.query("set local work_mem = '5MB'");
    await one.query("commit");
    expect((one as RoutedClient).node).toBeUndefined();
    one.release();
    // Elsewhere it works.
    expect((await pooled.pool.query({ name: "yours", text: "select 3 as x" })).rows).toEqual([{ x: 3 }]);
  });
});

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error);
}

/** The real driver, on which one node's connections are other ones than they say: so a pooler gives itself away. */
function withPoolerBefore(name: string): Driver {
  const driver = createPgDriver(systemClock);
  return {
    ...driver,
    connect: async (node, options) => {
      const connection = await driver.connect(node, options);
      if (node.name === name) Object.assign(connection, { processID: 1 });
      return connection;
    },
  };
}
