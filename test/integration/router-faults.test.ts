import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import {
  Heartbeat,
  Load,
  SLACK_MS,
  block,
  observedRouter,
  pause,
  prepare,
  until,
} from "./fixtures/routed.ts";

let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startEmbeddedCluster();
  await prepare(cluster);
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  for (const node of cluster.nodes) {
    await cluster.node(node).thaw();
    await cluster.node(node).start();
  }
  await cluster.settled(30_000);
});

test("SIGKILL of a replica under load fails no read, and it returns through probation", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router);
  await pause(300);
  const killedAt = systemClock.now();
  await cluster.node("replica-1").kill();
  await until(() => observed.of("evicted").length > 0, "the eviction");
  expect((observed.of("evicted")[0]?.at ?? 0) - killedAt).toBeLessThanOrEqual(
    observed.budgets.downMs + SLACK_MS,
  );
  await cluster.node("replica-1").start();
  await until(() => observed.of("restored").length > 0, "the return");
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.longestMs).toBeLessThanOrEqual(observed.budgets.stallMs + SLACK_MS);
  expect(observed.of("evicted")).toMatchObject([{ node: "replica-1", reason: "unreachable" }]);
  expect(observed.of("readmitted")).toMatchObject([{ node: "replica-1", standing: "probation" }]);
});

test("a replica that is frozen with all its processes stalls a read no longer than the budget", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router);
  await pause(300);
  const frozenAt = systemClock.now();
  await cluster.node("replica-2").freeze();
  await until(() => observed.of("evicted").length > 0, "the eviction");
  await pause(300);
  await cluster.node("replica-2").thaw();
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.longestMs).toBeLessThanOrEqual(observed.budgets.stallMs + SLACK_MS);
  // It did stall: otherwise nothing has been seen.
  expect(load.longestMs).toBeGreaterThan(200);
  expect(observed.of("evicted")).toMatchObject([{ node: "replica-2", reason: "unreachable" }]);
  const evictedAt = observed.of("evicted")[0]?.at ?? 0;
  const after = load.reads.filter(({ at }) => at > evictedAt && at < evictedAt + 250);
  expect(after.some(({ node }) => node === "replica-2")).toBe(false);
  expect(evictedAt - frozenAt).toBeLessThanOrEqual(observed.budgets.downMs + SLACK_MS);
});

test("a postmaster that is frozen alone, whose connections still answer, fails no read", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router);
  await pause(200);
  await cluster.node("replica-2").freezePostmaster();
  await pause(1500);
  await cluster.node("replica-2").thaw();
  await load.stop();
  expect(load.failures).toEqual([]);
});

test("paused replay is seen, and no read is staler than its budget", async () => {
  await using observed = await observedRouter(cluster);
  await using heartbeat = new Heartbeat(observed.router);
  await using load = new Load(observed.router);
  await pause(500);
  const pausedAt = systemClock.now();
  await cluster.sql("replica-3", "select pg_wal_replay_pause()");
  try {
    await until(() => observed.of("evicted").length > 0, "the eviction");
    await pause(1500);
  } finally {
    await cluster.sql("replica-3", "select pg_wal_replay_resume()");
  }
  await until(() => observed.of("readmitted").length > 0, "the return");
  await load.stop();
  const [evicted] = observed.of("evicted");
  expect(evicted).toMatchObject({
    node: "replica-3",
    reason: expect.stringMatching(/^(replay-paused|lagging)$/),
  });
  const stale = observed.budgets.staleMs as number;
  expect((evicted?.at ?? 0) - pausedAt).toBeLessThanOrEqual(stale + SLACK_MS);
  expect(Math.max(...load.reads.map((read) => heartbeat.staleness(read)))).toBeLessThanOrEqual(stale);
  expect(load.failures).toEqual([]);
  expect(observed.of("evicted")).toHaveLength(1);
});

test("a lost primary does not take the reads with it; writes fail fast by name, and work again when it is back", async () => {
  await using observed = await observedRouter(cluster);
  await using load = new Load(observed.router);
  await pause(300);
  await cluster.node("primary").kill();
  await until(() => observed.of("primary-down").length > 0, "primary down");
  // More than twice the threshold of 1 s.
  const begunAt = systemClock.now();
  while (systemClock.now() - begunAt < 2500) {
    const at = systemClock.now();
    await expect(observed.router.write("insert into beats default values")).rejects.toMatchObject({
      code: "NO_PRIMARY",
    });
    expect(systemClock.now() - at).toBeLessThan(SLACK_MS);
    await pause(100);
  }
  expect(observed.of("evicted")).toEqual([]);
  expect(observed.of("fallback-started")).toEqual([]);
  expect(observed.router.status().primaryUnknown).toBe(true);
  expect(load.failures).toEqual([]);
  expect(new Set(load.reads.slice(-50).map(({ node }) => node)).has("primary")).toBe(false);
  await cluster.node("primary").start();
  await until(async () => {
    try {
      await observed.router.write("insert into beats default values");
      return true;
    } catch {
      return false;
    }
  }, "a write");
  await pause(2000);
  await load.stop();
  expect(load.failures).toEqual([]);
});

test("a standby that opens behind where it has been is not readmitted before it has caught up with itself", async () => {
  await using observed = await observedRouter(cluster, { replicaLagThreshold: "off" });
  await using _heartbeat = new Heartbeat(observed.router);
  // From its next start on it replays late, so that it is open for a while before it is where it was.
  await cluster.sql("replica-1", "alter system set recovery_min_apply_delay = '4s'");
  try {
    await pause(1500);
    const position = async (): Promise<number> => {
      const [row] = await cluster.sql<{ at: string }>(
        "replica-1",
        "select pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') as at",
      );
      return Number(row?.at);
    };
    const furthest = await position();
    // The router has seen that position, too.
    await pause(300);
    await cluster.node("replica-1").kill();
    await until(() => observed.of("evicted").length > 0, "the eviction");
    await cluster.node("replica-1").start();
    const opened = await position();
    expect(opened).toBeLessThan(furthest);
    await until(() => observed.of("readmitted").length > 0, "the return");
    expect(await position()).toBeGreaterThanOrEqual(furthest);
    expect(observed.router.status().replicas[0]?.standing).not.toBe("evicted");
  } finally {
    await cluster.sql("replica-1", "alter system reset recovery_min_apply_delay");
    await cluster.sql("replica-1", "select pg_reload_conf()");
  }
});

test("an event loop that stands still again and again evicts nobody", async () => {
  await using observed = await observedRouter(cluster, {
    healthCheck: { interval: "100ms", timeout: "100ms" },
  });
  for (let i = 0; i < 20; i++) {
    block(150 + (i % 6) * 50);
    await observed.router.query("select 1");
    await pause(40);
  }
  expect(observed.of("evicted")).toEqual([]);
  expect(observed.of("primary-down")).toEqual([]);
  expect(observed.of("fallback-started")).toEqual([]);
});

describe("the end of a router", () => {
  async function backends(applicationName: string): Promise<number> {
    let sum = 0;
    for (const node of cluster.nodes) {
      const [row] = await cluster.sql<{ n: number }>(
        node,
        "select count(*)::int as n from pg_stat_activity where application_name = $1",
        [applicationName],
      );
      sum += row?.n ?? 0;
    }
    return sum;
  }

  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap" || name === "Timeout").length;

  test("leaves no server connection, socket or timer", async () => {
    const before = sockets();
    const { router } = await observedRouter(cluster, { applicationName: "to-be-ended" });
    await Promise.all(Array.from({ length: 40 }, () => router.query("select 1")));
    expect(await backends("to-be-ended")).toBeGreaterThan(4);
    await router.end();
    await router.end();
    await until(async () => (await backends("to-be-ended")) === 0, "no backend", 5000);
    await until(() => sockets() <= before, "no socket", 2000);
    await expect(router.query("select 1")).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("comes although a server is frozen that holds idle connections, and leaves none of its sockets", async () => {
    const before = sockets();
    const { router } = await observedRouter(cluster);
    await Promise.all(Array.from({ length: 40 }, () => router.query("select 1")));
    await cluster.node("replica-1").freeze();
    const at = systemClock.now();
    await router.end();
    expect(systemClock.now() - at).toBeLessThanOrEqual(1000 + SLACK_MS);
    await until(() => sockets() <= before, "no socket", 2000);
  });

  test("waits for what runs", async () => {
    const { router } = await observedRouter(cluster);
    const running = router.write("select pg_sleep(0.5)");
    await pause(50);
    await router.end();
    await expect(running).resolves.toMatchObject({ rowCount: 1 });
  });

  test("waits 5 s at most for what does not end, and the server is asked to stop it", async () => {
    const { router } = await observedRouter(cluster, { applicationName: "stuck" });
    const running = router.write("select pg_sleep(60)").catch((error: unknown) => error);
    await pause(100);
    const at = systemClock.now();
    await router.end();
    expect(systemClock.now() - at).toBeLessThanOrEqual(5000 + SLACK_MS);
    expect(await running).toMatchObject({ code: expect.stringMatching(/^(UNKNOWN_OUTCOME|CLOSED)$/) });
    await until(async () => (await backends("stuck")) === 0, "the backend's end", 5000);
  });
});
