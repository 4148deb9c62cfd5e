import { describe, expect, test } from "vitest";
import { runTransaction } from "../src/transaction.ts";
import type { Transaction, TransactionOptions } from "../src/transaction.ts";
import type { CausalContext } from "../src/session.ts";
import { EngineRig } from "./fakes/engine-rig.ts";
import { pgError } from "./fakes/fake-servers.ts";

const texts = (rig: EngineRig, node: string): string[] => rig.server(node).asked.map(({ text }) => text);

function begin<T>(
  rig: EngineRig,
  work: (transaction: Transaction) => Promise<T>,
  options: TransactionOptions = {},
  context?: CausalContext,
): Promise<T> {
  const leavesState = (text: string): boolean => text.startsWith("set ");
  return rig.finish(runTransaction(rig.engine, work, options, { context, leavesState }));
}

test("a transaction commits on one connection of the primary, and its caller reads it there", async () => {
  const rig = await EngineRig.started();
  const context = { writtenAt: undefined };
  const result = await begin(rig, async (tx) => (await tx.query("insert")).rows[0]?.["node"], {}, context);
  expect(result).toBe("primary");
  expect(texts(rig, "primary")).toEqual(["begin", "insert", "commit"]);
  expect(new Set(rig.server("primary").asked.map(({ connection }) => connection)).size).toBe(1);
  expect(context.writtenAt).toBeDefined();
  expect(rig.checkedOut).toBe(0);
});

test("what its work throws rolls it back, and is what the caller gets", async () => {
  const rig = await EngineRig.started();
  const error = new Error("changed my mind");
  await expect(
    begin(rig, async (tx) => {
      await tx.query("insert");
      throw error;
    }),
  ).rejects.toBe(error);
  expect(texts(rig, "primary")).toEqual(["begin", "insert", "rollback"]);
  expect(rig.checkedOut).toBe(0);
});

test("COMMIT that PostgreSQL answers with ROLLBACK is an error", async () => {
  const rig = await EngineRig.started();
  rig.server("primary").answer = ({ text }) => (text === "commit" ? { command: "ROLLBACK" } : undefined);
  await expect(begin(rig, async () => {})).rejects.toThrow(/rolled back at COMMIT/);
});

describe("readOnly", () => {
  test("runs on a replica", async () => {
    const rig = await EngineRig.started();
    const node = await begin(rig, async (tx) => tx.node, { readOnly: true, isolation: "repeatable read" });
    expect(node).toMatch(/^r/);
    expect(texts(rig, node)).toEqual(["begin isolation level repeatable read read only", "commit"]);
  });

  test("and serializable runs on the primary, because a standby refuses it", async () => {
    const rig = await EngineRig.started();
    expect(await begin(rig, async (tx) => tx.node, { readOnly: true, isolation: "serializable" })).toBe(
      "primary",
    );
  });
});

describe("a connection lost", () => {
  test("at BEGIN costs nothing: the transaction begins elsewhere", async () => {
    const rig = await EngineRig.started();
    const first: string[] = [];
    for (const name of ["r1", "r2"]) {
      rig.server(name).answer = ({ text }) => {
        if (!text.startsWith("begin") || first.length > 0) return undefined;
        first.push(name);
        return "break";
      };
    }
    const node = await begin(rig, async (tx) => tx.node, { readOnly: true });
    expect(first).toHaveLength(1);
    expect(first).not.toContain(node);
    expect(rig.checkedOut).toBe(0);
  });

  test("at every BEGIN is told after the retries that are allowed", async () => {
    const rig = await EngineRig.started();
    for (const name of ["r1", "r2", "primary"]) {
      rig.server(name).answer = ({ text }) => (text.startsWith("begin") ? "break" : undefined);
    }
    await expect(begin(rig, async (tx) => tx.node, { readOnly: true })).rejects.toMatchObject({
      code: "NODE_LOST",
    });
    expect(rig.checkedOut).toBe(0);
  });

  test("before COMMIT means that nothing happened", async () => {
    const rig = await EngineRig.started();
    rig.server("primary").answer = ({ text }) => (text === "insert" ? "break" : undefined);
    await expect(begin(rig, (tx) => tx.query("insert"))).rejects.toMatchObject({ code: "NODE_LOST" });
    expect(rig.checkedOut).toBe(0);
  });

  test("during COMMIT leaves the outcome unknown, and marks the caller's context", async () => {
    const rig = await EngineRig.started();
    rig.server("primary").answer = ({ text }) => (text === "commit" ? "break" : undefined);
    const context = { writtenAt: undefined };
    await expect(begin(rig, (tx) => tx.query("insert"), {}, context)).rejects.toMatchObject({
      code: "UNKNOWN_OUTCOME",
    });
    expect(context.writtenAt).toBeDefined();
  });

  test("during COMMIT because the primary was declared down leaves it unknown, too", async () => {
    const rig = await EngineRig.started();
    rig.server("primary").answer = ({ text }) => (text === "commit" ? "silence" : undefined);
    rig.clock.schedule(20, () => rig.server("primary").freeze());
    await expect(begin(rig, (tx) => tx.query("insert"))).rejects.toMatchObject({ code: "UNKNOWN_OUTCOME" });
    expect(rig.checkedOut).toBe(0);
  });

  test("during a read-only COMMIT is a lost node: there was nothing to happen", async () => {
    const rig = await EngineRig.started();
    for (const name of ["r1", "r2"])
      rig.server(name).answer = ({ text }) => (text === "commit" ? "break" : undefined);
    await expect(begin(rig, async () => {}, { readOnly: true })).rejects.toMatchObject({ code: "NODE_LOST" });
  });
});

test("a connection on which something was left in the session is closed, not handed to the next caller", async () => {
  const rig = await EngineRig.started();
  await begin(rig, (tx) => tx.query("set search_path = private"));
  await begin(rig, (tx) => tx.query("insert"));
  const [first] = rig.server("primary").asked;
  expect(first?.connection.isOpen).toBe(false);
  expect(new Set(rig.server("primary").asked.map(({ connection }) => connection)).size).toBe(2);
});

test("an error in a statement that the work swallows is rolled back by PostgreSQL, and the connection kept", async () => {
  const rig = await EngineRig.started();
  rig.server("primary").answer = ({ text }) => {
    if (text === "insert") return { error: pgError("23505") };
    return text === "commit" ? { command: "ROLLBACK" } : undefined;
  };
  await expect(begin(rig, (tx) => tx.query("insert").catch(() => {}))).rejects.toThrow(/rolled back/);
  expect(rig.server("primary").asked[0]?.connection.isOpen).toBe(true);
});
