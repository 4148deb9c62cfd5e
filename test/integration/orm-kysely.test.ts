/** Kysely's PostgresDialect over `router.pool`: it checks a client out for every query. */
import Cursor from "pg-cursor";
import { Kysely, PostgresDialect, sql } from "kysely";
import type { Generated } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { Router } from "../../src/router.ts";
import {
  countStale,
  createSchema,
  decisionsDuring,
  expectNoneTorn,
  expectSpread,
  rollBack,
  withReplicationDelayed,
} from "./fixtures/orm-suite.ts";
import { routerOver } from "./fixtures/router-over.ts";

interface Database {
  author: { id: number; name: string };
  book: { id: number; title: string; author_id: number };
  tick: { id: Generated<number>; batch: number; half: number };
  counter: { id: number; value: number };
}

describe("Kysely over the router", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let db: Kysely<Database>;

  beforeAll(async () => {
    cluster = await startEmbeddedCluster();
    await createSchema(cluster);
    router = await routerOver(cluster);
    db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: router.pool, cursor: Cursor }) });
  });

  afterAll(async () => {
    await router?.end();
    await cluster?.[Symbol.asyncDispose]();
  });

  it("reads relations", async () => {
    const found = await db
      .selectFrom("author")
      .select((eb) => [
        "name",
        jsonArrayFrom(
          eb.selectFrom("book").select("title").whereRef("author_id", "=", "author.id").orderBy("id"),
        ).as("books"),
      ])
      .orderBy("id")
      .execute();
    expect(found).toEqual([
      { name: "ada", books: [{ title: "notes" }] },
      { name: "grace", books: [{ title: "compilers" }, { title: "bugs" }] },
    ]);
  });

  it("rolls a transaction back when its callback throws", async () => {
    const run = db.transaction().execute(async (tx) => {
      await tx.insertInto("author").values({ id: 50, name: "nobody" }).execute();
      rollBack();
    });
    await expect(run).rejects.toThrow("on purpose");
    expect(await cluster.sql("primary", "select * from author where id = 50")).toEqual([]);
  });

  it("rolls everything back when a statement in a transaction failed", async () => {
    const run = db.transaction().execute(async (tx) => {
      await tx.insertInto("tick").values({ batch: 901, half: 1 }).execute();
      await tx.insertInto("author").values({ id: 1, name: "ada" }).execute();
    });
    await expect(run).rejects.toMatchObject({ code: "23505", constraint: "author_pkey" });
    expect(await cluster.sql("primary", "select * from tick where batch = 901")).toEqual([]);
  });

  it("returns to a savepoint of a controlled transaction", async () => {
    const tx = await db.startTransaction().execute();
    await tx.insertInto("tick").values({ batch: 900, half: 1 }).execute();
    const saved = await tx.savepoint("before").execute();
    await expect(saved.insertInto("author").values({ id: 1, name: "ada" }).execute()).rejects.toThrow();
    await saved.rollbackToSavepoint("before").execute();
    await tx.commit().execute();
    expect(await cluster.sql("primary", "select half from tick where batch = 900")).toEqual([{ half: 1 }]);
  });

  it("says so when a failed transaction is committed", async () => {
    const tx = await db.startTransaction().execute();
    await sql`select 1/0`.execute(tx).catch(() => {});
    await expect(tx.commit().execute()).rejects.toThrow();
    await tx
      .rollback()
      .execute()
      .catch(() => {});
  });

  it("streams through a cursor, and stops early", async () => {
    const titles: string[] = [];
    for await (const { title } of db.selectFrom("book").selectAll().orderBy("id").stream(2))
      titles.push(title);
    expect(titles).toEqual(["notes", "compilers", "bugs"]);
    for await (const { id } of db.selectFrom("book").selectAll().orderBy("id").stream(1)) if (id === 1) break;
    expect(router.status().pools).toMatchObject({
      "replica-1": { inFlight: 0 },
      "replica-2": { inFlight: 0 },
      "replica-3": { inFlight: 0 },
    });
  });

  it("tears none of 40 transactions at once", async () => {
    await expectNoneTorn(cluster, (batch, fails) =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto("tick").values({ batch, half: 1 }).execute();
        await tx.insertInto("tick").values({ batch, half: 2 }).execute();
        if (fails) rollBack();
      }),
    );
  });

  it("reads one connection's own writes while replication is late", async () => {
    const write = (on: Kysely<Database>, value: number): Promise<unknown> =>
      on.updateTable("counter").set({ value }).where("id", "=", 1).execute();
    const read = async (on: Kysely<Database>): Promise<number | undefined> =>
      (await on.selectFrom("counter").select("value").where("id", "=", 1).executeTakeFirst())?.value;
    await withReplicationDelayed(cluster, 500, async () => {
      const stale = await db.connection().execute((one) =>
        countStale(
          (value) => write(one, value),
          () => read(one),
        ),
      );
      expect(stale).toBe(0);
      // The proof that the delay was there to be seen.
      expect(
        await countStale(
          (value) => write(db, value),
          () => read(db),
        ),
      ).toBeGreaterThan(0);
    });
  });

  it("shares reads among the replicas", async () => {
    expectSpread(
      await decisionsDuring(async () => {
        for (let i = 0; i < 30; i++) await db.selectFrom("book").selectAll().execute();
      }),
      cluster,
    );
  });
});
