/** TypeORM builds its own pool: from `router.asPgModule()`, which it takes as its `driver`. */
import { DataSource, EntitySchema } from "typeorm";
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

interface Author {
  id: number;
  name: string;
  books?: Book[];
}
interface Book {
  id: number;
  title: string;
  author?: Author;
}
interface Tick {
  id?: number;
  batch: number;
  half: number;
}
interface Counter {
  id: number;
  value: number;
}

const Author = new EntitySchema<Author>({
  name: "author",
  columns: { id: { type: Number, primary: true }, name: { type: String } },
  relations: { books: { type: "one-to-many", target: "book", inverseSide: "author" } },
});
const Book = new EntitySchema<Book>({
  name: "book",
  columns: { id: { type: Number, primary: true }, title: { type: String } },
  relations: {
    author: {
      type: "many-to-one",
      target: "author",
      joinColumn: { name: "author_id" },
      inverseSide: "books",
    },
  },
});
const Tick = new EntitySchema<Tick>({
  name: "tick",
  columns: {
    id: { type: Number, primary: true, generated: true },
    batch: { type: Number },
    half: { type: Number },
  },
});
const Counter = new EntitySchema<Counter>({
  name: "counter",
  columns: { id: { type: Number, primary: true }, value: { type: Number } },
});

describe("TypeORM over the router", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let source: DataSource;

  beforeAll(async () => {
    cluster = await startEmbeddedCluster();
    await createSchema(cluster);
    router = await routerOver(cluster);
    source = await new DataSource({
      type: "postgres",
      driver: router.asPgModule(),
      // Where the nodes are is the router's business.
      host: "nowhere.invalid",
      entities: [Author, Book, Tick, Counter],
    }).initialize();
  });

  afterAll(async () => {
    if (source?.isInitialized) await source.destroy();
    await router?.end();
    await cluster?.[Symbol.asyncDispose]();
  });

  it("reads relations", async () => {
    const found = await source
      .getRepository(Author)
      .find({ relations: { books: true }, order: { id: "ASC", books: { id: "ASC" } } });
    expect(found).toEqual([
      { id: 1, name: "ada", books: [{ id: 1, title: "notes" }] },
      {
        id: 2,
        name: "grace",
        books: [
          { id: 2, title: "compilers" },
          { id: 3, title: "bugs" },
        ],
      },
    ]);
  });

  it("rolls a transaction back when its callback throws", async () => {
    const run = source.transaction(async (manager) => {
      await manager.insert(Author, { id: 50, name: "nobody" });
      rollBack();
    });
    await expect(run).rejects.toThrow("on purpose");
    expect(await cluster.sql("primary", "select * from author where id = 50")).toEqual([]);
  });

  it("goes on after a statement failed in a nested transaction", async () => {
    await source.transaction(async (manager) => {
      await manager.insert(Tick, { batch: 900, half: 1 });
      await expect(
        manager.transaction((inner) => inner.insert(Author, { id: 1, name: "ada" })),
      ).rejects.toThrow();
      await manager.insert(Tick, { batch: 900, half: 2 });
    });
    const halves = await cluster.sql("primary", "select half from tick where batch = 900 order by half");
    expect(halves).toEqual([{ half: 1 }, { half: 2 }]);
  });

  it("rolls everything back when a statement failed and nobody cared", async () => {
    const run = source.transaction(async (manager) => {
      await manager.insert(Tick, { batch: 901, half: 1 });
      await manager.insert(Author, { id: 1, name: "ada" });
    });
    await expect(run).rejects.toMatchObject({ driverError: { code: "23505", constraint: "author_pkey" } });
    expect(await cluster.sql("primary", "select * from tick where batch = 901")).toEqual([]);
  });

  it("takes an isolation level", async () => {
    const rows = await source.transaction("SERIALIZABLE", (manager) =>
      manager.query<{ transaction_isolation: string }[]>("show transaction_isolation"),
    );
    expect(rows).toEqual([{ transaction_isolation: "serializable" }]);
  });

  it("streams", async () => {
    const runner = source.createQueryRunner();
    const stream = await runner.stream("select generate_series(1, 500) n");
    let sum = 0;
    for await (const row of stream) sum += (row as { n: number }).n;
    await runner.release();
    expect(sum).toBe(125_250);
  });

  it("tears none of 40 transactions at once", async () => {
    await expectNoneTorn(cluster, (batch, fails) =>
      source.transaction(async (manager) => {
        await manager.insert(Tick, { batch, half: 1 });
        await manager.insert(Tick, { batch, half: 2 });
        if (fails) rollBack();
      }),
    );
  });

  it("reads one query runner's own writes while replication is late", async () => {
    await withReplicationDelayed(cluster, 500, async () => {
      const runner = source.createQueryRunner();
      const { manager } = runner;
      const stale = await countStale(
        (value) => manager.update(Counter, { id: 1 }, { value }),
        async () => (await manager.findOneBy(Counter, { id: 1 }))?.value,
      );
      await runner.release();
      expect(stale).toBe(0);
      // The proof that the delay was there to be seen.
      const repository = source.getRepository(Counter);
      const behind = await countStale(
        (value) => repository.update({ id: 1 }, { value }),
        async () => (await repository.findOneBy({ id: 1 }))?.value,
      );
      expect(behind).toBeGreaterThan(0);
    });
  });

  it("shares reads among the replicas", async () => {
    const books = source.getRepository(Book);
    expectSpread(
      await decisionsDuring(async () => {
        for (let i = 0; i < 30; i++) await books.find();
      }),
      cluster,
    );
  });

  it("ends its own pool, and leaves the router be", async () => {
    await source.destroy();
    expect((await router.query("select 1 as x")).rows).toEqual([{ x: 1 }]);
  });
});
