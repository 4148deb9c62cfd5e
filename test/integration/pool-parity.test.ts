/** `router.pool` is a `pg.Pool`: one table of what applications rely on, run against both. */
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { RouterError } from "../../src/errors.ts";
import type { Router } from "../../src/router.ts";
import { anonymous, behaviours, outcome } from "./fixtures/pool-behaviours.ts";
import { plainPool, routerOver } from "./fixtures/router-over.ts";

describe("the router's pool does as pg.Pool does", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let plain: Pool;

  beforeAll(async () => {
    cluster = await startEmbeddedCluster();
    const { user } = cluster.credentials.application;
    await cluster.sql("primary", "create table people (id int primary key, name text, born int)");
    await cluster.sql("primary", `grant all on people to ${user}`);
    await cluster.sql(
      "primary",
      "insert into people values (1, 'ada', 1815), (2, 'grace', 1906), (3, 'edsger', 1930)",
    );
    await cluster.settled(10_000);
    router = await routerOver(cluster);
    plain = plainPool(cluster);
  });

  afterAll(async () => {
    await router?.end();
    await plain?.end();
    await cluster?.[Symbol.asyncDispose]();
  });

  it("the table has at least sixty rows of different names", () => {
    expect(new Set(behaviours.map(({ name }) => name)).size).toBe(behaviours.length);
    expect(behaviours.length).toBeGreaterThanOrEqual(60);
  });

  it.each(behaviours)("$name", { timeout: 20_000 }, async ({ run }) => {
    const expected = await outcome(run(plain, async () => plainPool(cluster)));
    // One session, so that a row reads what it wrote; a plain pool on the primary needs none.
    const actual = await router.session().run(() =>
      outcome(
        run(router.pool, async () => {
          const other = await routerOver(cluster);
          return other.pool;
        }),
      ),
    );
    expect(normal(actual)).toEqual(normal(expected));
    // After an error the server says a moment later that it is ready: only then is the connection given back.
    await expect
      .poll(() => Object.values(router.status().pools).map(({ inFlight }) => inFlight))
      .toEqual([0, 0, 0, 0]);
  });
});

/** Leaves out what two runs, or two pools, may differ in. */
function normal(value: unknown): unknown {
  if (value instanceof RouterError && value.code === "POOL_EXHAUSTED") return normal(value.cause);
  if (value instanceof Error) return normalError(value);
  if (typeof value === "string") return anonymous(value);
  if (Array.isArray(value)) return value.map(normal);
  if (value === null || typeof value !== "object" || value instanceof Date || Buffer.isBuffer(value))
    return value;
  if ("command" in value && "fields" in value) return normalResult(value as never);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, normal(part)]));
}

function normalError(error: Error): unknown {
  const { stack: _stack, ...fields } = error as Error & Record<string, unknown>;
  return normal({ ...fields, name: error.name, message: error.message, class: error.constructor.name });
}

function normalResult({
  command,
  rowCount,
  rows,
  fields,
  oid,
}: {
  command: unknown;
  rowCount: unknown;
  rows: unknown;
  oid: unknown;
  fields: { name: string; dataTypeID: number; format: string }[];
}): unknown {
  const columns = fields.map(({ name, dataTypeID, format }) => ({ name, dataTypeID, format }));
  return { command, rowCount, oid, rows: normal(rows), columns };
}
