/** Drizzle over `router.pool`, as `drizzle-orm/node-postgres` uses a `pg.Pool`. */
import { eq, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
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

const author = pgTable("author", { id: integer("id").primaryKey(), name: text("name").notNull() });
const book = pgTable("book", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  authorId: integer("author_id").notNull(),
});
const tick = pgTable("tick", {
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  batch: integer("batch").notNull(),
  half: integer("half").notNull(),
});
const counter = pgTable("counter", { id: integer("id").primaryKey(), value: integer("value").notNull() });
const schema = {
  author,
  book,
  authorRelations: relations(author, ({ many }) => ({ books: many(book) })),
  bookRelations: relations(book, ({ one }) => ({
    author: one(author, { fields: [book.authorId], references: [author.id] }),
  })),
};

describe("Drizzle over the router", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let db: ReturnType<typeof open>;
  const open = () => drizzle(router.pool, { schema });

  beforeAll(async () => {
    cluster = await startEmbeddedCluster();
    await createSchema(cluster);
    router = await routerOver(cluster);
    db = open();
  });

  afterAll(async () => {
    await router?.end();
    await cluster?.[Symbol.asyncDispose]();
  });

  it("reads relations", async () => {
    const found = await db.query.author.findMany({ with: { books: true }, orderBy: author.id });
    expect(found).toEqual([
      { id: 1, name: "ada", books: [{ id: 1, title: "notes", authorId: 1 }] },
      {
        id: 2,
        name: "grace",
        books: [
          { id: 2, title: "compilers", authorId: 2 },
          { id: 3, title: "bugs", authorId: 2 },
        ],
      },
    ]);
  });

  it("rolls a transaction back when its callback throws", async () => {
    await expect(
      db.transaction(async (tx) => {
        await tx.insert(author).values({ id: 50, name: "nobody" });
        rollBack();
      }),
    ).rejects.toThrow("on purpose");
    expect(await cluster.sql("primary", "select * from author where id = 50")).toEqual([]);
  });

  it("goes on after a statement failed in a nested transaction", async () => {
    await db.transaction(async (tx) => {
      await tx.insert(tick).values({ batch: 900, half: 1 });
      await expect(
        tx.transaction((inner) => inner.insert(author).values({ id: 1, name: "ada" })),
      ).rejects.toThrow();
      await tx.insert(tick).values({ batch: 900, half: 2 });
    });
    expect(await cluster.sql("primary", "select half from tick where batch = 900 order by half")).toEqual([
      { half: 1 },
      { half: 2 },
    ]);
  });

  it("rolls everything back when a statement failed and nobody cared", async () => {
    const run = db.transaction(async (tx) => {
      await tx.insert(tick).values({ batch: 901, half: 1 });
      await tx.insert(author).values({ id: 1, name: "ada" });
    });
    await expect(run).rejects.toMatchObject({ cause: { code: "23505", constraint: "author_pkey" } });
    expect(await cluster.sql("primary", "select * from tick where batch = 901")).toEqual([]);
  });

  it("tears none of 40 transactions at once", async () => {
    await expectNoneTorn(cluster, (batch, fails) =>
      db.transaction(async (tx) => {
        await tx.insert(tick).values({ batch, half: 1 });
        await tx.insert(tick).values({ batch, half: 2 });
        if (fails) rollBack();
      }),
    );
  });

  it("reads a session's own writes while replication is late, and stale ones without a session", async () => {
    const write = (value: number): Promise<unknown> =>
      db.update(counter).set({ value }).where(eq(counter.id, 1));
    const read = async (): Promise<number | undefined> =>
      (await db.select().from(counter).where(eq(counter.id, 1)))[0]?.value;
    await withReplicationDelayed(cluster, 500, async () => {
      expect(await router.session().run(() => countStale(write, read))).toBe(0);
      // The proof that the delay was there to be seen.
      expect(await countStale(write, read)).toBeGreaterThan(0);
    });
  });

  it("shares reads among the replicas, prepared ones and read-only transactions too", async () => {
    const byName = db
      .select()
      .from(author)
      .where(eq(author.id, sql.placeholder("id")))
      .prepare("author_by_id");
    expectSpread(
      await decisionsDuring(async () => {
        for (let i = 0; i < 10; i++) {
          await db.select().from(book);
          await byName.execute({ id: 1 });
          await db.transaction((tx) => tx.select().from(author), { accessMode: "read only" });
        }
      }),
      cluster,
    );
  });

  it("keeps a locking read and everything in a plain transaction on the primary", async () => {
    const counts = await decisionsDuring(async () => {
      await db.select().from(author).for("update");
      await db.transaction((tx) => tx.select().from(author));
    });
    expect(counts).toEqual({ primary: 2 });
  });
});
