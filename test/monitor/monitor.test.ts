import { describe, expect, test } from "vitest";
import { NUDGE_SQL } from "../../src/driver/probe-sql.ts";
import { Monitor } from "../../src/monitor/monitor.ts";
import type { MonitorListener } from "../../src/monitor/monitor.ts";
import type { NodeSample } from "../../src/routing/sample.ts";
import { FakeClock } from "../fakes/fake-clock.ts";
import { FakeDriver, FakeServer, pgError } from "../fakes/fake-servers.ts";
import { makeNode } from "../routing/view-builder.ts";

const HEALTH_CHECK = { intervalMs: 100, timeoutMs: 100, fall: 2, rise: 2 };
const NAMES = ["primary", "r1", "r2"];

class Rig implements MonitorListener {
  readonly clock = new FakeClock();
  readonly servers = new Map(
    NAMES.map((name) => [name, new FakeServer(name, name === "primary" ? "primary" : "replica", this.clock)]),
  );
  readonly driver = new FakeDriver(this.servers, this.clock);
  readonly nodes = NAMES.map((name) => makeNode(name, 1));
  readonly monitor: Monitor;
  readonly startedAt = this.clock.now();
  readonly events: { at: number; kind: string; node?: string; error?: unknown }[] = [];

  constructor(healthCheck = HEALTH_CHECK) {
    this.monitor = new Monitor(healthCheck, { clock: this.clock, driver: this.driver, listener: this });
    this.monitor.watch(this.nodes, healthCheck);
  }

  server(name: string): FakeServer {
    return this.driver.server(name);
  }

  probes(name: string): number[] {
    return this.server(name).probedAt.map((at) => at - this.startedAt);
  }

  of(kind: string): { at: number; node?: string }[] {
    return this.events.filter((event) => event.kind === kind);
  }

  #note(kind: string, more: { node?: string; error?: unknown } = {}): void {
    this.events.push({ at: this.clock.now() - this.startedAt, kind, ...more });
  }

  sampled(node: string, _sample: NodeSample, _sentAt: number): void {
    this.#note("sampled", { node });
  }
  failed(node: string, error: unknown): void {
    this.#note("failed", { node, error });
  }
  stalled(): void {
    this.#note("stalled");
  }
  timeJumped(): void {
    this.#note("time-jumped");
  }
  poolerFound(node: string): void {
    this.#note("pooler", { node });
  }
  nudgeFailed(error: unknown): void {
    this.#note("nudge-failed", { error });
  }
}

describe("the schedule", () => {
  test("is from start to start, however long an answer takes", async () => {
    const rig = new Rig();
    rig.server("r1").latencyMs = 30;
    await rig.clock.advance(450);
    // The first one waits for its connection.
    expect(rig.probes("r1")).toEqual([1, 100, 200, 300, 400]);
  });

  test("has an immediate second probe after the first failure, and none beside the interval afterwards", async () => {
    const rig = new Rig();
    await rig.clock.advance(50);
    rig.server("r1").kill();
    await rig.clock.advance(1000);
    const failures = rig.of("failed").map((event) => event.at);
    // Refused after 1 ms each: the probe of 100, the one at once after it, then one an interval.
    expect(failures).toEqual([101, 102, 202, 302, 402, 502, 602, 702, 802, 902, 1002]);
  });

  test("finds a node that stopped answering within fall × (interval + timeout)", async () => {
    const rig = new Rig();
    // Just after it was probed: the worst case.
    await rig.clock.advance(102);
    rig.server("r1").freeze();
    await rig.clock.advance(400);
    const [, second] = rig.of("failed");
    expect(second?.at).toBeLessThanOrEqual(102 + 2 * (100 + 100));
  });

  test("probes back to back, not faster, when the timeout is longer than the interval", async () => {
    const rig = new Rig({ ...HEALTH_CHECK, timeoutMs: 1000 });
    await rig.clock.advance(50);
    rig.server("r1").freeze();
    await rig.clock.advance(5000);
    expect(rig.of("failed").map((event) => event.at)).toEqual([1100, 2100, 3100, 4100]);
  });
});

describe("a probe that recovery cancelled", () => {
  test("is asked again at once, and says nothing against the server", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    let cancelled = 0;
    rig.server("r1").answerToProbe = () => (cancelled++ === 0 ? { error: pgError("40001") } : undefined);
    await rig.clock.advance(100);
    expect(rig.of("failed")).toEqual([]);
    expect(rig.of("sampled").filter(({ node }) => node === "r1")).toHaveLength(3);
  });

  test("has failed when it is cancelled again", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    rig.server("r1").answerToProbe = () => ({ error: pgError("40001") });
    await rig.clock.advance(60);
    // The probe that was due and the immediate one after the first failure, each asked twice.
    expect(rig.of("failed")).toHaveLength(2);
    expect(rig.probes("r1").filter((at) => at > 150)).toHaveLength(4);
  });
});

describe("probeNow", () => {
  test("probes at once, and makes one probe of many demands", async () => {
    const rig = new Rig({ ...HEALTH_CHECK, intervalMs: 1000 });
    await rig.clock.advance(500);
    for (let i = 0; i < 50; i++) rig.monitor.probeNow("r1");
    await rig.clock.advance(100);
    expect(rig.probes("r1")).toEqual([1, 500]);
  });

  test("asked for while a probe runs is done right after it", async () => {
    const rig = new Rig({ ...HEALTH_CHECK, intervalMs: 1000, timeoutMs: 1000 });
    rig.server("r1").latencyMs = 150;
    await rig.clock.advance(310);
    rig.monitor.probeNow("r1");
    await rig.clock.advance(10);
    for (let i = 0; i < 50; i++) rig.monitor.probeNow("r1");
    await rig.clock.advance(400);
    // The answer to that of 310 comes at 460; no more than five an interval make it 510.
    expect(rig.probes("r1")).toEqual([1, 310, 510]);
  });

  test("is no storm when traffic fails all the time on a node whose probes pass", async () => {
    const rig = new Rig({ ...HEALTH_CHECK, intervalMs: 1000 });
    for (let i = 0; i < 2000; i++) {
      rig.monitor.probeNow("r1");
      await rig.clock.advance(1);
    }
    expect(rig.probes("r1").length).toBeLessThanOrEqual(11);
  });

  test("of an unknown node does nothing", async () => {
    const rig = new Rig();
    rig.monitor.probeNow("r9");
    await rig.clock.advance(10);
    expect(rig.of("failed")).toEqual([]);
  });
});

describe("stop", () => {
  test.each(["up", "silent", "refusing"] as const)(
    "leaves no timer and no connection when nodes are %s",
    async (state) => {
      const rig = new Rig();
      await rig.clock.advance(50);
      for (const server of rig.servers.values()) {
        if (state === "refusing") server.kill();
        else server.state = state;
      }
      await rig.clock.advance(75);
      let stopped = false;
      void rig.monitor.stop().then(() => (stopped = true));
      await rig.clock.settle();
      expect(stopped).toBe(true);
      expect(rig.clock.pendingTimers).toBe(0);
      expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
      const told = rig.events.length;
      await rig.clock.advance(2000);
      expect(rig.events.slice(told)).toEqual([]);
    },
  );

  test("closes a connection that comes when nobody waits for it any more", async () => {
    const rig = new Rig();
    await rig.clock.advance(10);
    rig.driver.ignoresSignals = true;
    for (const server of rig.servers.values()) {
      server.kill();
      server.start();
      server.latencyMs = 50;
    }
    await rig.clock.advance(100);
    const stopped = rig.monitor.stop();
    await rig.clock.advance(200);
    await stopped;
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  });
});

describe("our own pause", () => {
  test("fails nobody whose answer had come meanwhile", async () => {
    const rig = new Rig();
    await rig.clock.advance(100);
    for (let i = 0; i < 20; i++) {
      await rig.clock.block(150 + i * 12);
      await rig.clock.advance(3);
    }
    expect(rig.of("failed")).toEqual([]);
  });

  test("fails nobody when every node's deadline passed in one late turn", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    for (const server of rig.servers.values()) server.latencyMs = 180;
    await rig.clock.advance(51);
    await rig.clock.block(160);
    expect(rig.of("failed")).toEqual([]);
    expect(rig.of("stalled")).toHaveLength(1);
  });

  test("is not what a single dead node is taken for", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    rig.server("r1").freeze();
    await rig.clock.advance(55);
    await rig.clock.block(160);
    expect(rig.of("failed")).toMatchObject([{ node: "r1" }]);
    expect(rig.of("stalled")).toEqual([]);
  });

  test("is not believed for ever: nodes that are dead are found by a loop that is always late", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    for (const server of rig.servers.values()) server.freeze();
    await rig.clock.advance(51);
    for (let i = 0; i < 12; i++) {
      await rig.clock.block(160);
      await rig.clock.settle();
    }
    expect(new Set(rig.of("failed").map((event) => event.node))).toEqual(new Set(NAMES));
  });

  test("of more than two intervals voids what was measured, and probes everybody at once", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    await rig.clock.block(400);
    expect(rig.of("time-jumped")).toHaveLength(1);
    await rig.clock.advance(5);
    for (const name of NAMES) expect(rig.probes(name).at(-1)).toBeGreaterThanOrEqual(550);
  });

  test("of less is no jump of time", async () => {
    const rig = new Rig();
    await rig.clock.advance(150);
    await rig.clock.block(240);
    expect(rig.of("time-jumped")).toEqual([]);
  });
});

describe("watch", () => {
  test("keeps the connection of a node that stays, and closes that of one that goes", async () => {
    const rig = new Rig();
    await rig.clock.advance(250);
    const [, r1, r2] = rig.nodes as [never, (typeof rig.nodes)[0], (typeof rig.nodes)[0]];
    const kept = [...rig.server("r1").connections];
    rig.monitor.watch([r1, { ...r2, port: 6000 }], HEALTH_CHECK);
    await rig.clock.advance(250);
    expect([...rig.server("r1").connections]).toEqual(kept);
    expect(rig.server("r1").connectsAsked).toBe(1);
    expect(rig.server("r2").connectsAsked).toBe(2);
    expect(rig.server("r2").connections.size).toBe(1);
    expect(rig.server("primary").connections.size).toBe(0);
  });

  test("takes a shorter interval at once, without taking it for a jump of time", async () => {
    const rig = new Rig({ ...HEALTH_CHECK, intervalMs: 60_000 });
    await rig.clock.advance(30_000);
    rig.monitor.watch(rig.nodes, HEALTH_CHECK);
    await rig.clock.advance(205);
    expect(rig.probes("r1").length).toBeGreaterThanOrEqual(3);
    expect(rig.of("time-jumped")).toEqual([]);
    // A jump is one by the new interval.
    await rig.clock.block(400);
    await rig.clock.advance(60_000);
    expect(rig.of("time-jumped")).toHaveLength(1);
  });

  test("leaves nothing of a node that goes right before the end", async () => {
    const rig = new Rig();
    await rig.clock.advance(50);
    rig.server("r2").freeze();
    await rig.clock.advance(75);
    rig.monitor.watch(rig.nodes.slice(0, 2), HEALTH_CHECK);
    await rig.clock.settle();
    await rig.monitor.stop();
    expect(rig.clock.pendingTimers).toBe(0);
    expect(rig.server("r2").connections.size).toBe(0);
  });
});

test("a pooler before a node is found once", async () => {
  const rig = new Rig();
  rig.server("r1").behindPooler = true;
  await rig.clock.advance(1000);
  expect(rig.of("pooler")).toMatchObject([{ node: "r1" }]);
});

describe("a nudge", () => {
  test("that is refused for want of a right is told", async () => {
    const rig = new Rig();
    await rig.clock.advance(50);
    const [connection] = rig.server("primary").connections;
    if (connection === undefined) throw new Error("no connection");
    const query = connection.query.bind(connection);
    connection.query = (input, values, callback) => {
      if (input === NUDGE_SQL) callback(pgError("42501"), undefined as never);
      else query(input, values, callback);
    };
    rig.monitor.nudge("primary");
    await rig.clock.advance(5);
    expect(rig.of("nudge-failed")).toHaveLength(1);
  });

  test("that is cut off by the loss of its connection says nothing about rights", async () => {
    const rig = new Rig();
    await rig.clock.advance(50);
    rig.monitor.nudge("primary");
    rig.server("primary").kill();
    await rig.clock.advance(200);
    expect(rig.of("nudge-failed")).toEqual([]);
    expect(rig.of("failed").length).toBeGreaterThan(0);
  });
});
