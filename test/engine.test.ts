import { describe, expect, test } from "vitest";
import { RouterError } from "../src/errors.ts";
import { EngineRig } from "./fakes/engine-rig.ts";
import { pgError } from "./fakes/fake-servers.ts";
import type { Answer, FakeServer } from "./fakes/fake-servers.ts";

/** Answers so to the first `times` statements, and well to the others. */
function fails(server: FakeServer, answer: Answer, times = Number.POSITIVE_INFINITY): void {
  let left = times;
  server.answer = () => (left-- > 0 ? answer : undefined);
}

function asked(rig: EngineRig): Record<string, number> {
  return Object.fromEntries([...rig.servers].map(([name, server]) => [name, server.asked.length]));
}

describe("a write", () => {
  test("that was sent is never sent again, and its outcome is unknown when the connection is lost", async () => {
    const rig = await EngineRig.started();
    fails(rig.server("primary"), "break");
    const outcome = await rig.finish(rig.write());
    expect(outcome).toMatchObject({ kind: "error", code: "UNKNOWN_OUTCOME" });
    expect(asked(rig)).toEqual({ primary: 1, r1: 0, r2: 0 });
    expect(outcome).toHaveProperty("error.node", "primary");
  });

  test("whose server was shut down under it has an unknown outcome, too: FATAL proves nothing", async () => {
    const rig = await EngineRig.started();
    fails(rig.server("primary"), { error: pgError("57P01", { severity: "FATAL" }) });
    expect(await rig.finish(rig.write())).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(asked(rig)["primary"]).toBe(1);
  });

  test("that never left has not happened: the error says that the primary cannot be reached", async () => {
    const rig = await EngineRig.started();
    rig.server("primary").state = "refusing";
    expect(await rig.finish(rig.write())).toMatchObject({ code: "NO_PRIMARY" });
    expect(asked(rig)["primary"]).toBe(0);
  });

  test("passes a server's own error through unchanged, and keeps the connection", async () => {
    const rig = await EngineRig.started();
    const error = pgError("23505");
    fails(rig.server("primary"), { error }, 1);
    const outcome = await rig.finish(rig.write());
    expect(outcome).toHaveProperty("error", error);
    await rig.finish(rig.write());
    const [first, second] = rig.server("primary").asked;
    expect(first?.connection).toBe(second?.connection);
  });

  test("marks its caller's context when its outcome is unknown, so that reads go where it may have happened", async () => {
    const rig = await EngineRig.started();
    fails(rig.server("primary"), "break", 1);
    const context = { writtenAt: undefined };
    await rig.finish(rig.write("insert", { context }));
    expect(await rig.readNow("select 1", { context })).toMatchObject({ node: "primary" });
  });
});

describe("what its caller calls a read but is not proven to be one", () => {
  test("is not sent again to a primary that may have done it", async () => {
    const rig = await EngineRig.started({ replicas: {} });
    fails(rig.server("primary"), "break");
    expect(await rig.readNow("select f()", { mayWrite: true })).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(asked(rig)["primary"]).toBe(1);
  });

  test("is sent again when a replica was lost, which cannot have done it", async () => {
    const rig = await EngineRig.started();
    fails(rig.server("r1"), "break");
    fails(rig.server("r2"), "break");
    expect(await rig.readNow("select f()", { mayWrite: true })).toMatchObject({
      kind: "ok",
      node: "primary",
    });
  });

  test("has an unknown outcome where a standby refused it and the primary was lost with it", async () => {
    const rig = await EngineRig.started();
    for (const name of ["r1", "r2"]) fails(rig.server(name), { error: pgError("25006") });
    fails(rig.server("primary"), "break");
    expect(await rig.readNow("select f()")).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(asked(rig)["primary"]).toBe(1);
  });
});

describe("a read whose node is lost", () => {
  test("is run again on another replica, and at last on the primary", async () => {
    const rig = await EngineRig.started();
    fails(rig.server("r1"), "break");
    fails(rig.server("r2"), "break");
    expect(await rig.readNow()).toMatchObject({ kind: "ok", node: "primary" });
    expect(asked(rig)).toEqual({ primary: 1, r1: 1, r2: 1 });
  });

  test.each([0, 1, 2, 3])("is run again %i times at most, as retries.max says", async (max) => {
    const rig = await EngineRig.started({
      replicas: { r1: 1, r2: 1, r3: 1, r4: 1, r5: 1 },
      retries: { max },
    });
    for (const server of rig.servers.values()) fails(server, "break");
    const outcome = await rig.readNow();
    expect(outcome).toMatchObject({ code: "NODE_LOST" });
    const sum = Object.values(asked(rig)).reduce((a, b) => a + b, 0);
    expect(sum).toBe(1 + max);
    expect(asked(rig)["primary"]).toBe(max === 0 ? 0 : 1);
  });

  test("tells what it failed of where nobody else may serve it", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1 }, fallback: { to: "error" } });
    fails(rig.server("r1"), "break");
    const outcome = await rig.readNow();
    expect(outcome).toMatchObject({ code: "NO_ELIGIBLE_NODE" });
    expect(outcome).toHaveProperty("error.cause.message", "Connection terminated unexpectedly");
  });

  test("makes the node suspect: it is probed at once, and others serve meanwhile", async () => {
    const rig = await EngineRig.started({ healthCheck: { intervalMs: 10_000, timeoutMs: 1000 } });
    for (let i = 0; i < 2; i++) await rig.readNow();
    await rig.clock.advance(5000);
    fails(rig.server("r1"), "break", 1);
    rig.server("r1").latencyMs = 100;
    const probes = rig.server("r1").probedAt.length;
    for (let i = 0; i < 6; i++) expect(await rig.readNow()).toMatchObject({ kind: "ok", node: "r2" });
    expect(rig.engine.view.replicas[0]?.suspect).toBe(true);
    expect(rig.server("r1").probedAt).toHaveLength(probes + 1);
    await rig.clock.advance(200);
    expect(rig.engine.view.replicas[0]?.suspect).toBe(false);
  });
});

describe("a recovery conflict", () => {
  test.each(["40001", "40P01"])(
    "%s on a replica is run again elsewhere, on the same good connection later",
    async (code) => {
      const rig = await EngineRig.started();
      fails(rig.server("r1"), { error: pgError(code) }, 1);
      fails(rig.server("r2"), { error: pgError(code) }, 1);
      expect(await rig.readNow()).toMatchObject({ kind: "ok", node: "primary" });
      await rig.readNow();
      await rig.readNow();
      const [first, second] = rig.server("r1").asked;
      expect(first?.connection).toBe(second?.connection);
      expect(rig.engine.view.replicas.some((replica) => replica.suspect)).toBe(false);
    },
  );

  test("that was FATAL leaves a connection that is not used again", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1 } });
    fails(rig.server("r1"), { error: pgError("40001", { severity: "FATAL" }) }, 1);
    await rig.readNow();
    await rig.readNow();
    const [first, second] = rig.server("r1").asked;
    expect(first?.connection).not.toBe(second?.connection);
  });

  test.each(["40001", "40P01"])("%s of the primary is the statement's own error", async (code) => {
    const rig = await EngineRig.started({ replicas: {} });
    const error = pgError(code);
    fails(rig.server("primary"), { error });
    expect(await rig.readNow()).toHaveProperty("error", error);
    expect(asked(rig)).toEqual({ primary: 1 });
  });
});

describe("a standby's refusal", () => {
  test.each(["25006", "0A000", "55000"])(
    "%s sends the statement to the primary and is remembered",
    async (code) => {
      const rig = await EngineRig.started();
      for (const name of ["r1", "r2"]) fails(rig.server(name), { error: pgError(code) });
      expect(await rig.readNow("select f()", { fingerprint: "f()" })).toMatchObject({ node: "primary" });
      expect(asked(rig)["primary"]).toBe(1);
      expect(rig.engine.refusals.has("f()", rig.clock.now())).toBe(true);
    },
  );

  test("for a plan that no longer fits leads to a new connection of a replica, unnamed, and is not remembered", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1 } });
    fails(rig.server("r1"), { error: pgError("0A000", { routine: "RevalidateCachedQuery" }) }, 1);
    expect(await rig.readNow({ name: "n", text: "select 1" })).toMatchObject({ node: "r1" });
    const [first, second] = rig.server("r1").asked;
    expect(first?.name).toBe("n");
    expect(second?.name).toBeUndefined();
    expect(first?.connection).not.toBe(second?.connection);
    expect(rig.engine.refusals.size).toBe(0);
  });

  test.each(["42P01", "42703", "42883", "42704", "3F000"])(
    "%s may be an object that has not been replayed: once on the primary, never remembered",
    async (code) => {
      const rig = await EngineRig.started();
      for (const name of ["r1", "r2"]) fails(rig.server(name), { error: pgError(code) });
      const error = pgError(code);
      fails(rig.server("primary"), { error }, 1);
      expect(await rig.readNow()).toHaveProperty("error", error);
      expect(asked(rig)["primary"]).toBe(1);
      expect(await rig.readNow()).toMatchObject({ node: "primary" });
      expect(rig.engine.refusals.size).toBe(0);
    },
  );

  test("a statement's own error on a replica passes through unchanged, and is run once", async () => {
    const rig = await EngineRig.started();
    const error = pgError("22012");
    for (const name of ["r1", "r2"]) fails(rig.server(name), { error });
    expect(await rig.readNow()).toHaveProperty("error", error);
    expect(asked(rig)).toEqual({ primary: 0, r1: 1, r2: 0 });
  });
});

describe("a full pool", () => {
  test("is no failed node: the read goes elsewhere, nobody becomes suspect", async () => {
    const rig = await EngineRig.started();
    const r1 = rig.server("r1");
    r1.answer = () => "silence";
    const held = Array.from({ length: 22 }, () => rig.read());
    await rig.clock.advance(1100);
    // 11 went to r1, whose pool has 10; the last waited in vain and went elsewhere.
    expect(rig.told("evicted")).toEqual([]);
    expect(rig.engine.view.replicas.map((replica) => replica.suspect)).toEqual([false, false]);
    expect(r1.asked).toHaveLength(10);
    void Promise.all(held);
    await rig.finish(rig.engine.end());
  });

  test("of the primary fails a write by name", async () => {
    const rig = await EngineRig.started();
    rig.server("primary").answer = () => "silence";
    const held = Array.from({ length: 10 }, () => rig.write());
    await rig.clock.advance(10);
    expect(await rig.finish(rig.write())).toMatchObject({ code: "POOL_EXHAUSTED" });
    expect(rig.engine.view.primary.suspect).toBe(false);
    void Promise.all(held);
    await rig.finish(rig.engine.end());
  });
});

describe("the retry budget", () => {
  test("ends retry storms: a hundred in ten seconds, and a fifth of the requests", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1 }, retries: { max: 1 } });
    fails(rig.server("r1"), { error: pgError("40001") });
    let again = 0;
    for (let i = 0; i < 200; i++) if ((await rig.readNow()).kind === "ok") again++;
    // 200 requests within the window: 100 + 0.2 × 200 at the end; the last one allowed saw all that came before it.
    expect(again).toBeGreaterThanOrEqual(120);
    expect(again).toBeLessThanOrEqual(140);
  });

  test("does not count the first retry of a read that we ended ourselves", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1, r2: 1 }, retries: { max: 2 } });
    for (let i = 0; i < 2; i++) await rig.readNow();
    // Nothing is left of the budget.
    while (rig.engine.retryBudget.tryRetry(rig.clock.now())) {
      // Until it is refused.
    }
    rig.server("r1").freeze();
    const reads = [rig.read(), rig.read()];
    const outcomes = await rig.finish(Promise.all(reads));
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["ok", "ok"]);
    expect(rig.told("evicted")).toMatchObject([{ node: "r1", reason: "unreachable" }]);
  });

  test("does not count the first retry of a read that no server has got", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1, r2: 1 }, retries: { max: 2 } });
    rig.server("r1").answer = () => "silence";
    while (rig.engine.retryBudget.tryRetry(rig.clock.now())) {
      // Until nothing is left of the budget.
    }
    const reads = Array.from({ length: 60 }, () => rig.read());
    await rig.clock.advance(1100);
    // Thirty went to r1, whose pool has ten connections: the others were answered by r2.
    const ended = await Promise.all(reads.map((read) => Promise.race([read, Promise.resolve(undefined)])));
    expect(ended.filter((outcome) => outcome?.kind === "ok")).toHaveLength(50);
    expect(ended.filter((outcome) => outcome?.kind === "error")).toEqual([]);
    await rig.finish(rig.engine.end());
  });
});

describe("queryTimeout", () => {
  test("ends a call at its deadline, closes the connection and asks the server to stop", async () => {
    const rig = await EngineRig.started({ queryTimeoutMs: 300 });
    rig.server("r1").answer = () => "silence";
    const outcome = await rig.readNow();
    expect(outcome).toMatchObject({ code: "DEADLINE_EXCEEDED", afterMs: 300 });
    const [only] = rig.server("r1").asked;
    expect(rig.server("r1").cancelled).toEqual([only?.connection]);
    expect(only?.connection.isOpen).toBe(false);
    expect(rig.checkedOut).toBe(0);
    expect(rig.engine.view.replicas[0]?.suspect).toBe(false);
  });

  test("counts from the call, not from a retry", async () => {
    const rig = await EngineRig.started({ queryTimeoutMs: 300, retries: { max: 5 } });
    for (const server of rig.servers.values()) {
      server.latencyMs = 120;
      fails(server, { error: pgError("40001") });
    }
    const outcome = await rig.readNow();
    expect(outcome.kind).toBe("error");
    expect(outcome.afterMs).toBeLessThanOrEqual(300);
    for (const server of rig.servers.values()) server.answer = () => "silence";
    expect(await rig.readNow()).toMatchObject({ code: "DEADLINE_EXCEEDED", afterMs: 300 });
  });

  test("of a write says that it may have happened", async () => {
    const rig = await EngineRig.started({ queryTimeoutMs: 300 });
    rig.server("primary").answer = () => "silence";
    const outcome = await rig.finish(rig.write());
    expect(outcome).toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(outcome).toHaveProperty("error.message", expect.stringMatching(/may or may not have happened/));
  });

  test("leaves no timer behind a call that was answered in time", async () => {
    const rig = await EngineRig.started({ queryTimeoutMs: 3000 });
    const before = rig.clock.pendingTimers;
    for (let i = 0; i < 10; i++) await rig.readNow();
    expect(rig.clock.pendingTimers).toBeLessThanOrEqual(before + 1);
  });
});

describe("a node that stops answering", () => {
  test("gives up what runs on it and what waits for it within fall × (interval + timeout), to be run elsewhere", async () => {
    const rig = await EngineRig.started();
    rig.server("r1").answer = () => "silence";
    const reads = Array.from({ length: 40 }, () => rig.read());
    await rig.clock.advance(5);
    rig.server("r1").freeze();
    const outcomes = await rig.finish(Promise.all(reads));
    expect(outcomes.every((outcome) => outcome.kind === "ok" && outcome.node !== "r1")).toBe(true);
    // fall 2 × (interval 500 + timeout 500), and a retry.
    expect(Math.max(...outcomes.map((outcome) => outcome.afterMs))).toBeLessThanOrEqual(2010);
    expect(rig.server("r1").cancelled).toHaveLength(10);
    expect(rig.checkedOut).toBe(0);
  });

  test("gives them up also when it had been evicted for its lag before", async () => {
    // The least threshold, below fall × (interval + timeout): it is lagging before it is unreachable.
    const rig = await EngineRig.started({
      replicaLagThresholdMs: 1500,
      readmitLagThresholdMs: 1500,
      healthCheck: { fall: 4 },
    });
    for (let i = 0; i < 2; i++) await rig.readNow();
    rig.server("r1").answer = () => "silence";
    const stuck = [rig.read(), rig.read()];
    await rig.clock.advance(5);
    rig.server("r1").freeze();
    // The primary writes on, so that nothing covers what r1 has not shown.
    for (const name of ["primary", "r2"]) {
      const server = rig.server(name);
      for (let i = 1; i <= 50; i++) rig.clock.schedule(i * 100, () => (server.position += 1000));
    }
    const outcomes = await rig.finish(Promise.all(stuck));
    expect(rig.told("evicted")).toMatchObject([{ node: "r1", reason: "lagging" }]);
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["ok", "ok"]);
    expect(Math.max(...outcomes.map((outcome) => outcome.afterMs))).toBeLessThanOrEqual(4010);
  });

  test("gives them up also while it is drained, so that the drain ends", async () => {
    const rig = await EngineRig.started();
    for (let i = 0; i < 2; i++) await rig.readNow();
    rig.server("r1").answer = () => "silence";
    const stuck = [rig.read(), rig.read()];
    await rig.clock.advance(5);
    let drained = false;
    void rig.engine.drain("r1").then(() => (drained = true));
    rig.server("r1").freeze();
    await rig.finish(Promise.all(stuck));
    await rig.clock.advance(1);
    expect(drained).toBe(true);
  });

  test("takes held connections with it: their owner is told, and gives them back once", async () => {
    const rig = await EngineRig.started();
    const lease = await rig.finish(rig.engine.lease({ kind: "write", context: undefined }));
    rig.server("primary").freeze();
    await rig.clock.advance(2100);
    expect(rig.told("primary-down")).toHaveLength(1);
    expect(lease.lost).toMatchObject({ code: "NODE_LOST" });
    await expect(rig.finish(lease.query("select 1"))).rejects.toThrow(/not queryable/);
    lease.release();
    lease.release();
    await rig.clock.advance(1);
    expect(rig.checkedOut).toBe(0);
  });

  test("is served by a new pool when it is back", async () => {
    const rig = await EngineRig.started();
    rig.server("r1").freeze();
    void rig.read();
    void rig.read();
    await rig.clock.advance(2500);
    rig.server("r1").start();
    await rig.clock.advance(3000);
    const nodes = new Set<string>();
    for (let i = 0; i < 4; i++) nodes.add(((await rig.readNow()) as { node: string }).node);
    expect(nodes).toEqual(new Set(["r1", "r2"]));
  });
});

test("what waits for a connection of a replica that has been evicted for its lag goes elsewhere", async () => {
  const rig = await EngineRig.started({ replicas: { r1: 1 } });
  rig.server("r1").answer = () => "silence";
  const running = Array.from({ length: 10 }, () => rig.read());
  await rig.clock.advance(10);
  const waiting = rig.read();
  rig.server("r1").paused = true;
  const outcome = await rig.finish(waiting);
  expect(outcome).toMatchObject({ kind: "ok", node: "primary" });
  expect(outcome.afterMs).toBeLessThanOrEqual(510);
  expect(rig.told("evicted")).toMatchObject([{ reason: "replay-paused" }]);
  void Promise.all(running);
  await rig.finish(rig.engine.end());
});

describe("a node in another role", () => {
  test("is found when a connection is handed out: the connection is closed, the node suspect, another one used", async () => {
    const rig = await EngineRig.started({ healthCheck: { intervalMs: 10_000, timeoutMs: 1000 } });
    for (let i = 0; i < 2; i++) await rig.readNow();
    await rig.clock.advance(5000);
    rig.server("r1").promote();
    const [first] = rig.server("r1").asked;
    const outcomes = [await rig.readNow(), await rig.readNow(), await rig.readNow()];
    expect(outcomes.every((outcome) => outcome.kind === "ok" && outcome.node !== "r1")).toBe(true);
    expect(first?.connection.isOpen).toBe(false);
    await rig.clock.advance(10);
    expect(rig.told("evicted")).toMatchObject([{ node: "r1", reason: "wrong-role" }]);
    expect(rig.checkedOut).toBe(0);
  });

  test("gets no write when the primary has become a standby", async () => {
    const rig = await EngineRig.started({ healthCheck: { intervalMs: 10_000, timeoutMs: 1000 } });
    await rig.finish(rig.write());
    await rig.clock.advance(5000);
    rig.server("primary").role = "replica";
    expect(await rig.finish(rig.write())).toMatchObject({ code: "NO_PRIMARY" });
    expect(asked(rig)["primary"]).toBe(1);
    await rig.clock.advance(10);
    expect(rig.told("primary-down")).toMatchObject([{ reason: "wrong-role" }]);
  });

  test("cannot be told behind a pooler that says nothing: the statement is run", async () => {
    const rig = await EngineRig.started();
    rig.server("r1").saysStandby = false;
    expect(await rig.readNow()).toMatchObject({ kind: "ok", node: "r1" });
  });
});

describe("start", () => {
  test("is not delayed by a replica that does not answer", async () => {
    const rig = new EngineRig({ healthCheck: { intervalMs: 500, timeoutMs: 5000 } });
    rig.server("r1").freeze();
    let started = false;
    void rig.engine.start().then(() => (started = true));
    await rig.clock.advance(40);
    expect(started).toBe(true);
    expect(await rig.readNow()).toMatchObject({ node: "r2" });
  });

  test("finds the replicas when the primary is dead: reads work, writes fail by name", async () => {
    const rig = new EngineRig();
    rig.server("primary").state = "refusing";
    await rig.finish(rig.engine.start());
    await rig.clock.advance(10);
    expect(await rig.readNow()).toMatchObject({ kind: "ok", node: expect.stringMatching(/^r/) });
    expect(await rig.finish(rig.write())).toMatchObject({ code: "NO_PRIMARY" });
  });

  test.each(["refusing", "silent"] as const)(
    "ends when all nodes are %s, and calls fail by name",
    async (state) => {
      const rig = new EngineRig();
      for (const server of rig.servers.values()) server.state = state;
      const before = rig.clock.now();
      await rig.finish(rig.engine.start());
      expect(rig.clock.now() - before).toBeLessThanOrEqual(510);
      const [read, write] = await rig.finish(Promise.all([rig.read(), rig.write()]));
      expect(read).toMatchObject({
        kind: "error",
        code: expect.stringMatching(/^(NO_ELIGIBLE_NODE|NO_PRIMARY)$/),
      });
      expect(write).toMatchObject({ kind: "error", code: "NO_PRIMARY" });
      expect(Math.max(read.afterMs, write.afterMs)).toBeLessThanOrEqual(2010);
      await rig.finish(rig.engine.end());
    },
  );

  test("gives way to an end", async () => {
    const rig = new EngineRig();
    for (const server of rig.servers.values()) server.freeze();
    const started = rig.engine.start();
    await rig.clock.advance(10);
    await rig.finish(Promise.all([started, rig.engine.end()]));
    expect(rig.clock.pendingTimers).toBe(0);
  });
});

describe("end", () => {
  test("waits for what runs, and for what waits for a connection", async () => {
    const rig = await EngineRig.started({ replicas: { r1: 1 } });
    rig.server("r1").latencyMs = 200;
    const reads = Array.from({ length: 25 }, () => rig.read());
    await rig.clock.advance(5);
    const ended = rig.engine.end();
    const outcomes = await rig.finish(Promise.all(reads));
    expect(outcomes.every((outcome) => outcome.kind === "ok")).toBe(true);
    await rig.finish(ended);
    expect(rig.clock.pendingTimers).toBe(0);
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  });

  test("lets a read that fails meanwhile be run again", async () => {
    const rig = await EngineRig.started();
    rig.server("r1").latencyMs = 100;
    rig.server("r1").answer = () => ({ error: pgError("40001") });
    const read = rig.read();
    await rig.clock.advance(120);
    const ended = rig.engine.end();
    expect(await rig.finish(read)).toMatchObject({ kind: "ok" });
    await rig.finish(ended);
  });

  test("waits no longer than 5 s, says what became of the rest, and leaves nothing", async () => {
    const rig = await EngineRig.started();
    for (const server of rig.servers.values()) server.answer = () => "silence";
    const read = rig.read();
    const write = rig.write();
    const held = await rig.finish(rig.engine.lease({ kind: "read", context: undefined }));
    const startedAt = rig.clock.now();
    await rig.finish(rig.engine.end());
    expect(rig.clock.now() - startedAt).toBeLessThanOrEqual(5010);
    expect(await read).toMatchObject({ code: "CLOSED" });
    expect(await write).toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(held.lost).toMatchObject({ code: "CLOSED" });
    held.release();
    await rig.clock.advance(1);
    expect(rig.clock.pendingTimers).toBe(0);
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
    expect(rig.checkedOut).toBe(0);
  });

  test("may be called twice, and every later call says CLOSED", async () => {
    const rig = await EngineRig.started();
    rig.server("r1").latencyMs = 100;
    const read = rig.read();
    const first = rig.engine.end();
    let secondDone = false;
    const second = rig.engine.end().then(() => (secondDone = true));
    await rig.clock.advance(50);
    expect(secondDone).toBe(false);
    await rig.finish(Promise.all([read, first, second]));
    expect(await rig.read()).toMatchObject({ code: "CLOSED" });
    expect(await rig.write()).toMatchObject({ code: "CLOSED" });
    await expect(rig.engine.lease({ kind: "read", context: undefined })).rejects.toMatchObject({
      code: "CLOSED",
    });
    await expect(rig.engine.reload(rig.engine.config)).rejects.toMatchObject({ code: "CLOSED" });
    expect(rig.clock.pendingTimers).toBe(0);
  });
});

describe("drain", () => {
  test("resolves when what runs has finished; undrain brings the replica back through probation", async () => {
    const rig = await EngineRig.started({ slowStartMs: 1000 });
    rig.server("r1").latencyMs = 100;
    const reads = [rig.read(), rig.read()];
    await rig.clock.advance(2);
    let drained = false;
    void rig.engine.drain("r1").then(() => (drained = true));
    await rig.clock.advance(2);
    expect(drained).toBe(false);
    for (let i = 0; i < 4; i++) expect(await rig.readNow()).toMatchObject({ node: "r2" });
    await rig.finish(Promise.all(reads));
    await rig.clock.advance(200);
    expect(drained).toBe(true);
    rig.engine.undrain("r1");
    await rig.clock.advance(600);
    expect(rig.engine.view.replicas[0]?.standing.kind).toBe("probation");
    await rig.clock.advance(2000);
    expect(rig.engine.view.replicas[0]?.standing.kind).toBe("eligible");
  });

  test("of a name that no replica has is refused with those there are", async () => {
    const rig = await EngineRig.started();
    await expect(rig.engine.drain("r9")).rejects.toThrow(/no replica is called "r9" \(replicas: r1, r2\)/);
    expect(() => rig.engine.undrain("primary")).toThrow(RouterError);
  });
});

test("a listener that throws does not keep the router from letting go of a dead node", async () => {
  const rig = new EngineRig();
  const thrown: unknown[] = [];
  const before = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => thrown.push(error));
  try {
    rig.notices.push = () => {
      throw new Error("a listener's own fault");
    };
    const started = rig.engine.start();
    await rig.clock.advance(20);
    await started;
    rig.server("r1").freeze();
    const outcomes = await rig.finish(Promise.all([rig.read(), rig.read()]));
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["ok", "ok"]);
    expect(thrown.length).toBeGreaterThan(0);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of before) process.on("uncaughtException", listener);
  }
});
