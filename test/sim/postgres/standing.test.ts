import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import { type RunSql, waitUntilSettled } from "../../../sim/postgres/standing.ts";

interface Standing {
  readonly in_recovery: boolean;
  readonly lsn: string | null;
  readonly replayed: boolean | null;
  readonly status: string | null;
}

const caughtUp: Standing = { in_recovery: true, lsn: "0/200", replayed: true, status: "streaming" };

/** A cluster of answers: the primary's mark, and what each replica says, each time it is asked. */
function answering(replicas: Record<string, () => Standing | Promise<Standing>>): RunSql {
  return (async (node: string) =>
    node === "primary" ? [{ lsn: "0/100" }] : [await replicas[node]?.()]) as RunSql;
}

const down: RunSql = () => Promise.reject(new Error("connection refused"));

function settle(sql: RunSql, replicas: readonly string[]): Promise<void> {
  return waitUntilSettled({ sql, clock: systemClock, primary: "primary", replicas, timeoutMs: 150 });
}

describe("settling", () => {
  test("ends when every replica streams and has replayed the mark, not before", async () => {
    let asked = 0;
    const late = (): Standing => ({ ...caughtUp, replayed: ++asked >= 3 });
    await settle(answering({ a: () => caughtUp, b: late }), ["a", "b"]);
    expect(asked).toBe(3);
  });

  test.each([
    [{ ...caughtUp, replayed: false }, "b: has replayed 0/200 of 0/100"],
    [{ ...caughtUp, status: null }, "b: does not stream (WAL receiver: none)"],
    [{ ...caughtUp, in_recovery: false, replayed: null, lsn: null }, "b: is not a replica any more"],
  ])("fails at the deadline with the replica's own reason", async (standing, reason) => {
    const settling = settle(answering({ a: () => caughtUp, b: () => standing }), ["a", "b"]);
    await expect(settling).rejects.toThrow(`within 150 ms: ${reason}`);
  });

  test("fails in time although a replica never answers", async () => {
    const settling = settle(answering({ a: () => new Promise<never>(() => {}) }), ["a"]);
    await expect(settling).rejects.toThrow("a: gives no answer");
  });

  test("fails with the primary's reason when that cannot be asked", async () => {
    await expect(settle(down, ["a"])).rejects.toThrow("a: primary cannot be asked (connection refused)");
  });
});
