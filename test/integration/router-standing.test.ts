import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DecisionMessage } from "../../src/channels.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { Load, SLACK_MS, observedRouter, pause, prepare, settingsOf, until } from "./fixtures/routed.ts";

let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startEmbeddedCluster();
  await prepare(cluster);
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

async function setOn(nodes: readonly string[], name: string, value: string | undefined): Promise<void> {
  for (const node of nodes) {
    await cluster.sql(
      node,
      value === undefined ? `alter system reset ${name}` : `alter system set ${name} = '${value}'`,
    );
    await cluster.sql(node, "select pg_reload_conf()");
  }
}

/** An otherwise idle primary on which a transaction has written and not ended. */
async function withOpenTransaction(work: () => Promise<void>): Promise<void> {
  const connection = await cluster.connect("primary");
  try {
    await connection.query("begin");
    await connection.query("insert into beats default values");
    await work();
    await connection.query("rollback");
  } finally {
    await connection.close();
  }
}

describe("a role without any privilege", () => {
  test("is enough: who streams from where is hidden, lag is bounded all the same", async () => {
    await using observed = await observedRouter(cluster);
    for (const replica of observed.router.status().replicas) {
      expect(replica).toMatchObject({ standing: "eligible", walReceiver: "hidden" });
      expect(replica.lagBoundMs).toBeLessThan(1000);
    }
  });

  test("keeps its replicas while a transaction stays open on an idle primary for longer than the threshold", async () => {
    await using observed = await observedRouter(cluster);
    await withOpenTransaction(() => pause(3500));
    expect(observed.of("evicted")).toEqual([]);
    expect(observed.of("fallback-started")).toEqual([]);
  });

  test("loses them then without lagNudge, which is what the nudge is for", async () => {
    // Below what the flush position proves by itself: 3 × wal_writer_delay, which is 600 ms.
    await using observed = await observedRouter(cluster, { lagNudge: false, replicaLagThreshold: "650ms" });
    await withOpenTransaction(async () => {
      await until(() => observed.of("evicted").length > 0, "a false eviction");
    });
    expect(observed.of("evicted")[0]).toMatchObject({ reason: "lagging" });
  });

  test("nudges without waiting for a synchronous standby that is not there", async () => {
    await using observed = await observedRouter(cluster);
    await setOn(["primary"], "synchronous_standby_names", "nobody");
    try {
      await withOpenTransaction(() => pause(3000));
      expect(observed.of("primary-down")).toEqual([]);
      expect(observed.of("evicted")).toEqual([]);
      const waiting = await cluster.sql<{ n: number }>(
        "primary",
        "select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'",
      );
      expect(waiting).toEqual([{ n: 0 }]);
    } finally {
      await setOn(["primary"], "synchronous_standby_names", undefined);
    }
  });
});

test("with pg_monitor the WAL receiver is seen, and an idle primary evicts nobody either", async () => {
  await cluster.grantMonitor();
  await cluster.settled(10_000);
  try {
    await using observed = await observedRouter(cluster);
    for (const replica of observed.router.status().replicas) expect(replica.walReceiver).toBe("streaming");
    await withOpenTransaction(() => pause(2500));
    expect(observed.of("evicted")).toEqual([]);
  } finally {
    await cluster.sql("primary", `revoke pg_monitor from "${cluster.credentials.application.user}"`);
  }
});

test("a read that recovery cancels on a replica is run again, unseen by its caller", async () => {
  const decisions: DecisionMessage[] = [];
  const listen = (message: unknown): void => void decisions.push(message as DecisionMessage);
  await cluster.sql("primary", "insert into beats select from generate_series(1, 1000)");
  await setOn(cluster.replicas, "max_standby_streaming_delay", "100ms");
  await cluster.settled(10_000);
  subscribe("fairlead:decision", listen);
  try {
    await using observed = await observedRouter(cluster, { replicaLagThreshold: "10s" });
    const running = Array.from({ length: 3 }, () =>
      observed.router.read("select count(*), (select pg_sleep(1.5)) from beats where id > 0"),
    );
    await pause(300);
    await cluster.sql("primary", "delete from beats");
    await cluster.sql("primary", "vacuum beats");
    await Promise.all(running);
    const logs = await Promise.all(cluster.replicas.map((node) => cluster.node(node).logTail(1000)));
    expect(logs.join("\n")).toMatch(/canceling statement due to conflict with recovery/);
    expect(decisions.some(({ decision }) => decision.kind === "route" && decision.reason === "retry")).toBe(
      true,
    );
    expect(observed.of("evicted")).toEqual([]);
  } finally {
    unsubscribe("fairlead:decision", listen);
    await setOn(cluster.replicas, "max_standby_streaming_delay", undefined);
  }
});

test("own writes are read back while every replica is half a second behind; others read the past", async () => {
  await setOn(cluster.replicas, "recovery_min_apply_delay", "500ms");
  try {
    await using observed = await observedRouter(cluster, { replicaLagThreshold: "5s" });
    const { router } = observed;
    const newest = async (from: { query: typeof router.query }): Promise<number> => {
      const { rows } = await from.query<{ id: number }>("select coalesce(max(id), 0) as id from beats");
      return rows[0]?.id ?? 0;
    };
    let othersPast = 0;
    for (let i = 0; i < 30; i++) {
      const session = router.session();
      const { rows } = await session.write<{ id: number }>("insert into beats default values returning id");
      const id = rows[0]?.id ?? 0;
      expect(await newest(session)).toBeGreaterThanOrEqual(id);
      if ((await newest(router)) < id) othersPast++;
      // Inside run(), through whatever layers.
      expect(await session.run(() => newest(router))).toBeGreaterThanOrEqual(id);
    }
    expect(othersPast).toBeGreaterThan(0);
    // Proved past it, the session's reads go to replicas again.
    const session = router.session();
    await session.write("insert into beats default values");
    await until(async () => {
      const { rows } = await session.query<{ node: string }>(
        "select current_setting('cluster_name') as node",
      );
      return rows[0]?.node !== "primary";
    }, "a read on a replica");
  } finally {
    await setOn(cluster.replicas, "recovery_min_apply_delay", undefined);
    await cluster.settled(10_000);
  }
});

describe("router.transaction", () => {
  const count = async (): Promise<number> => {
    const [row] = await cluster.sql<{ n: number }>("primary", "select count(*)::int as n from beats");
    return row?.n ?? 0;
  };

  test("commits what its work did, and rolls back what it did not finish", async () => {
    await using observed = await observedRouter(cluster);
    const before = await count();
    await observed.router.transaction(async (tx) => {
      await tx.query("insert into beats default values");
      await tx.query("insert into beats default values");
    });
    expect(await count()).toBe(before + 2);
    await expect(
      observed.router.transaction(async (tx) => {
        await tx.query("insert into beats default values");
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    await expect(
      observed.router.transaction(async (tx) => {
        await tx.query("insert into beats default values");
        await tx.query("select 1/0").catch(() => {});
      }),
    ).rejects.toThrow(/rolled back at COMMIT/);
    expect(await count()).toBe(before + 2);
  });

  test("reads on a standby with readOnly, and on the primary when it has to be serializable", async () => {
    await using observed = await observedRouter(cluster);
    const standby = async (options: object): Promise<unknown> =>
      observed.router.transaction(
        async (tx) => (await tx.query("select pg_is_in_recovery() as standby")).rows[0]?.["standby"],
        options,
      );
    expect(await standby({ readOnly: true })).toBe(true);
    expect(await standby({ readOnly: true, isolation: "repeatable read" })).toBe(true);
    expect(await standby({ readOnly: true, isolation: "serializable" })).toBe(false);
    expect(await standby({ isolation: "serializable" })).toBe(false);
  });

  test("leaves nothing of a committed SET to whoever gets the connection next", async () => {
    await using observed = await observedRouter(cluster, { maxConnections: 1 });
    await observed.router.transaction((tx) => tx.query("set statement_timeout = 4711"));
    const { rows } = await observed.router.write<{ now: string }>(
      "select current_setting('statement_timeout') as now",
    );
    expect(rows[0]?.now).toBe("0");
  });
});

test("more idle connections than maxIdleConns are not kept after a burst", async () => {
  await using observed = await observedRouter(cluster, { maxConnections: 10, maxIdleConns: 2 });
  await Promise.all(Array.from({ length: 60 }, () => observed.router.read("select pg_sleep(0.05)")));
  await pause(100);
  for (const { idle } of Object.values(observed.router.status().pools)) expect(idle).toBeLessThanOrEqual(2);
});

test("a reload under load loses no query", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router, 8);
  const all = settingsOf(cluster);
  const replicas = all.db.readReplicas ?? [];
  for (const some of [replicas.slice(0, 1), replicas, replicas.slice(1), [], replicas]) {
    await pause(200);
    await observed.router.reload(resolveConfig({ db: { ...all.db, readReplicas: some } }));
  }
  await pause(300);
  await load.stop();
  expect(load.failures).toEqual([]);
});

test("a promoted replica serves no read any more, and leaves with its reason", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router);
  await pause(300);
  await cluster.promote("replica-3");
  const promotedAt = systemClock.now();
  await until(() => observed.of("evicted").length > 0, "the eviction");
  await pause(500);
  await load.stop();
  expect(observed.of("evicted")).toMatchObject([{ node: "replica-3", reason: "wrong-role" }]);
  expect((observed.of("evicted")[0]?.at ?? 0) - promotedAt).toBeLessThanOrEqual(
    observed.budgets.downMs + SLACK_MS,
  );
  expect(load.failures).toEqual([]);
  const after = load.reads.filter(({ at }) => at > promotedAt + 50);
  expect(after.length).toBeGreaterThan(0);
  expect(after.some(({ node }) => node === "replica-3")).toBe(false);
});
