import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { DecisionMessage } from "../src/channels.ts";
import { createRouter } from "../src/router.ts";
import type { Router, RouterOptions } from "../src/router.ts";
import type { Logger } from "../src/runtime/logger.ts";
import { silentLogger } from "../src/runtime/logger.ts";
import { FakeClock } from "./fakes/fake-clock.ts";
import { FakeDriver, FakeServer, pgError } from "./fakes/fake-servers.ts";
import { makeConfig, makeNode } from "./routing/view-builder.ts";
import type { ConfigOptions } from "./routing/view-builder.ts";

class Rig {
  readonly clock = new FakeClock();
  readonly servers = new Map<string, FakeServer>();
  readonly driver = new FakeDriver(this.servers, this.clock);

  constructor(names: readonly string[] = ["primary", "r1", "r2", "r3"]) {
    for (const name of names) {
      this.servers.set(name, new FakeServer(name, name === "primary" ? "primary" : "replica", this.clock));
    }
  }

  server(name: string): FakeServer {
    return this.driver.server(name);
  }

  async router(config: ConfigOptions = {}, options: RouterOptions = {}): Promise<Router> {
    const { clock, driver } = this;
    return this.clock.finishReal(
      createRouter(makeConfig(config), { clock, driver, seed: 1, logger: silentLogger, ...options }),
    );
  }

  finish<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish(promise);
  }
}

function recorder(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (message: string): void => {
      lines.push(`${level}: ${message}`);
    };
  return { lines, debug: at("DEBUG"), info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("what the log says", () => {
  test("is one line a transition, the fallback's word for word", async () => {
    const rig = new Rig();
    const log = recorder();
    const router = await rig.router({}, { logger: log });
    rig.server("r1").kill();
    await rig.clock.advance(3000);
    rig.server("r2").kill();
    await rig.clock.advance(5000);
    for (let i = 0; i < 20; i++) await rig.finish(router.query("select 1"));
    for (const name of ["r1", "r2"]) rig.server(name).start();
    await rig.clock.advance(10_000);
    const lines = log.lines.filter((line) => !line.startsWith("DEBUG"));
    expect(lines).toEqual([
      "INFO: primary up",
      "INFO: replica joined",
      "INFO: replica joined",
      "WARN: replica evicted: unreachable",
      "WARN: replica evicted: unreachable",
      "WARN: no healthy read replicas available, falling back to primary",
      "INFO: replica readmitted",
      "INFO: read replicas are available again, fallback to primary has ended",
      "INFO: replica readmitted",
    ]);
    await rig.finish(router.end());
  });

  test("goes to stderr by default, as the checklist's line", async () => {
    const written: string[] = [];
    vi.spyOn(console, "error").mockImplementation((line: string) => void written.push(line));
    const rig = new Rig();
    const { clock, driver } = rig;
    const router = await rig.clock.finishReal(createRouter(makeConfig(), { clock, driver }));
    for (const name of ["r1", "r2"]) rig.server(name).kill();
    await rig.clock.advance(5000);
    expect(written.filter((line) => line.includes("falling back"))).toEqual([
      "WARN: no healthy read replicas available, falling back to primary",
    ]);
    expect(written[0]).toBe(
      "WARN: replica evicted: unreachable node=r1 basis=2 probes in a row failed (fall 2) cause=connect ECONNREFUSED",
    );
    await rig.finish(router.end());
  });

  test("asks once for the right that a nudge needs, however often it is refused", async () => {
    const { tellLogger } = await import("../src/telling.ts");
    const log = recorder();
    const tell = tellLogger(log);
    for (let i = 0; i < 5; i++) tell({ kind: "nudge-failed", message: "permission denied" });
    expect(log.lines).toHaveLength(1);
  });

  test("names the grant that would let the role see what it may not see", async () => {
    const { tellLogger } = await import("../src/telling.ts");
    const log = recorder();
    tellLogger(log)({ kind: "receiver-hidden", user: "Web-App" });
    expect(log.lines.join()).toContain('grant pg_monitor to "Web-App"');
  });
});

test("events tell every transition by its name, and all of them as change", async () => {
  const rig = new Rig();
  const router = await rig.router();
  const evicted: unknown[] = [];
  const changes: string[] = [];
  router.on("evicted", (event) => evicted.push(event));
  router.on("change", (change) => changes.push(change.kind));
  router.on("fallback-started", () => changes.push("(fallback-started)"));
  for (const name of ["r1", "r2"]) rig.server(name).kill();
  await rig.clock.advance(2000);
  expect(evicted).toEqual([
    { node: "r1", reason: "unreachable", basis: "2 probes in a row failed (fall 2)" },
    { node: "r2", reason: "unreachable", basis: "2 probes in a row failed (fall 2)" },
  ]);
  expect(changes.filter((kind) => kind !== "epoch")).toEqual([
    "evicted",
    "evicted",
    "(fallback-started)",
    "fallback-started",
  ]);
  await rig.finish(router.end());
});

test("the diagnostics channel carries every decision with its reason", async () => {
  const rig = new Rig();
  const router = await rig.router();
  const messages: DecisionMessage[] = [];
  const listen = (message: unknown): void => void messages.push(message as DecisionMessage);
  subscribe("fairlead:decision", listen);
  await rig.finish(router.query("select 1"));
  await rig.finish(router.write("insert into t values (1)"));
  unsubscribe("fairlead:decision", listen);
  await rig.finish(router.query("select 1"));
  expect(messages).toMatchObject([
    {
      decision: { kind: "route", role: "replica", reason: "weighted" },
      classification: { reason: "select" },
    },
    { decision: { kind: "route", node: "primary", reason: "write" }, classification: { reason: "insert" } },
  ]);
  await rig.finish(router.end());
});

describe("a reload under load", () => {
  test.each([
    ["adds a node", { r1: 1, r2: 1, r3: 1 }],
    ["removes a node", { r1: 1 }],
    ["changes weights", { r1: 5, r2: 1 }],
    ["removes all", {}],
  ] as const)("%s without losing a query", async (_what, replicas) => {
    const rig = new Rig();
    for (const server of rig.servers.values()) server.latencyMs = 20;
    const router = await rig.router();
    const failed: unknown[] = [];
    let done = 0;
    const load = { stop: false };
    const running = Array.from({ length: 8 }, async () => {
      while (!load.stop) {
        try {
          await router.query("select 1");
          done++;
        } catch (error) {
          failed.push(error);
        }
      }
    });
    await rig.clock.advance(500);
    const before = done;
    const kept = rig.server("r1").connectsAsked;
    await rig.finish(router.reload(makeConfig({ replicas })));
    await rig.clock.advance(3000);
    load.stop = true;
    await rig.finish(Promise.all(running));
    expect(failed).toEqual([]);
    expect(done).toBeGreaterThan(before + 50);
    // A node that stays keeps its connections.
    const made = rig.server("r1").connectsAsked - kept;
    expect("r1" in replicas ? made : 0).toBeLessThanOrEqual(8);
    const idle = [...rig.servers.keys()].filter((name) => name !== "primary" && !(name in replicas));
    for (const name of idle) expect(rig.server(name).connections.size).toBe(0);
    await rig.finish(router.end());
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test("to another address of a replica uses new connections, and lets the old ones finish", async () => {
    const rig = new Rig();
    const router = await rig.router({ replicas: { r1: 1 } });
    rig.server("r1").latencyMs = 300;
    const running = router.query<{ node: string }>("select 1");
    await rig.clock.advance(310);
    const config = makeConfig({ replicas: { r1: 1 } });
    const reloaded = router.reload({ ...config, replicas: [makeNode("r1", 1, "elsewhere.test")] });
    expect((await rig.finish(running)).rows[0]?.node).toBe("r1");
    await rig.finish(reloaded);
    await rig.finish(router.end());
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  });

  test("ends with the router when what runs on a removed node does not", async () => {
    const rig = new Rig();
    const router = await rig.router();
    for (const name of ["r1", "r2"]) rig.server(name).answer = () => "silence";
    const stuck = router.query("select 1").catch((error: unknown) => error);
    await rig.clock.advance(10);
    const reloaded = router.reload(makeConfig({ replicas: {} }));
    await rig.clock.advance(10);
    await rig.finish(router.end());
    expect(await stuck).toMatchObject({ code: "CLOSED" });
    await rig.finish(reloaded);
    expect(rig.clock.pendingTimers).toBe(0);
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  });
});

describe("read()", () => {
  test("takes its caller's word, and learns when a standby refused it", async () => {
    const rig = new Rig();
    const router = await rig.router();
    for (const name of ["r1", "r2"]) rig.server(name).answer = () => ({ error: pgError("25006") });
    const text = "select unknown_to_everybody()";
    const first = await rig.finish(router.read<{ node: string }>(text));
    expect(first.rows[0]?.node).toBe("primary");
    const refused = rig.server("r1").asked.length + rig.server("r2").asked.length;
    expect(refused).toBe(1);
    // The second one does not ask a standby again.
    await rig.finish(router.read(text));
    expect(rig.server("r1").asked.length + rig.server("r2").asked.length).toBe(refused);
    await rig.finish(router.end());
  });

  test("still sends to the primary what provably needs it", async () => {
    const rig = new Rig();
    const router = await rig.router();
    expect((await rig.finish(router.read<{ node: string }>("insert into t values (1)"))).rows[0]?.node).toBe(
      "primary",
    );
    await rig.finish(router.end());
  });
});

test("BEGIN on the router is refused with what to use instead", async () => {
  const rig = new Rig();
  const router = await rig.router();
  await expect(router.query("begin")).rejects.toMatchObject({ code: "TRANSACTION_NEEDS_CLIENT" });
  await rig.finish(router.end());
});

describe("end", () => {
  test("leaves no connection and no timer, also of a catalogue that is being read", async () => {
    const rig = new Rig();
    const router = await rig.router();
    // Unknown to the catalogue: it is read anew.
    await rig.clock.advance(1500);
    rig.server("primary").latencyMs = 300;
    void router.query("select * from nobody_knows").catch(() => {});
    await rig.clock.advance(5);
    await rig.finish(router.end());
    expect(rig.clock.pendingTimers).toBe(0);
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  });

  test("is what `await using` does", async () => {
    const rig = new Rig();
    let router: Router | undefined;
    await rig.clock.finishReal(
      (async () => {
        await using scoped = await createRouter(makeConfig(), {
          clock: rig.clock,
          driver: rig.driver,
          logger: silentLogger,
        });
        router = scoped;
      })(),
    );
    await expect(router?.query("select 1")).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("a session", () => {
  test("reads its own write on the primary until a replica is proved past it", async () => {
    const rig = new Rig();
    const router = await rig.router();
    const session = router.session();
    await rig.finish(session.write("insert into t values (1)"));
    for (const server of rig.servers.values()) if (server.role === "primary") server.position += 5000;
    const where = async (): Promise<string | undefined> =>
      (await rig.finish(session.query<{ node: string }>("select 1"))).rows[0]?.node;
    expect(await where()).toBe("primary");
    await rig.clock.advance(1500);
    // Sampled since, but the replicas have not replayed it.
    expect(await where()).toBe("primary");
    for (const name of ["r1", "r2"]) rig.server(name).position = rig.server("primary").position;
    await rig.clock.advance(1100);
    expect(await where()).toMatch(/^r/);
    // Others were never bound by it.
    expect((await rig.finish(router.query<{ node: string }>("select 1"))).rows[0]?.node).toMatch(/^r/);
    await rig.finish(router.end());
  });
});
