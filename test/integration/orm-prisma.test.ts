/** Prisma's client over `@prisma/adapter-pg`, which keeps a pool only if it is an instance of `pg.Pool`. */
import { PrismaPg } from "@prisma/adapter-pg";
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
import { generatePrisma } from "./fixtures/prisma-client.ts";
import type { GeneratedPrisma, Prisma } from "./fixtures/prisma-client.ts";
import { routerOver } from "./fixtures/router-over.ts";

describe("Prisma over the router", () => {
  let cluster: EmbeddedCluster;
  let router: Router;
  let generated: GeneratedPrisma;
  let prisma: Prisma;

  beforeAll(async () => {
    [cluster, generated] = await Promise.all([startEmbeddedCluster(), generatePrisma()]);
    await createSchema(cluster);
    router = await routerOver(cluster);
    prisma = generated.create(new PrismaPg(router.pool));
  });

  afterAll(async () => {
    await prisma?.$disconnect();
    await router?.end();
    await generated?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  it("uses the router's pool, and opens none of its own", async () => {
    const adapter = await new PrismaPg(router.pool).connect();
    expect(adapter.underlyingDriver()).toBe(router.pool);
    await adapter.dispose();
  });

  it("reads relations", async () => {
    expect(
      await prisma.author.findMany({
        include: { books: { orderBy: { id: "asc" } } },
        orderBy: { id: "asc" },
      }),
    ).toEqual([
      { id: 1, name: "ada", books: [{ id: 1, title: "notes", author_id: 1 }] },
      {
        id: 2,
        name: "grace",
        books: [
          { id: 2, title: "compilers", author_id: 2 },
          { id: 3, title: "bugs", author_id: 2 },
        ],
      },
    ]);
  });

  it("rolls a transaction back when its callback throws", async () => {
    const run = prisma.$transaction(async (tx) => {
      await tx.author.create({ data: { id: 50, name: "nobody" } });
      rollBack();
    });
    await expect(run).rejects.toThrow("on purpose");
    expect(await cluster.sql("primary", "select * from author where id = 50")).toEqual([]);
  });

  it("rolls a batch back when one of it fails", async () => {
    const run = prisma.$transaction([
      prisma.tick.create({ data: { batch: 901, half: 1 } }),
      prisma.author.create({ data: { id: 1, name: "ada" } }),
    ]);
    await expect(run).rejects.toMatchObject({ code: "P2002" });
    expect(await cluster.sql("primary", "select * from tick where batch = 901")).toEqual([]);
  });

  it("takes an isolation level", async () => {
    const rows = await prisma.$transaction(
      (tx) => tx.$queryRaw<{ transaction_isolation: string }[]>`show transaction_isolation`,
      { isolationLevel: "Serializable" },
    );
    expect(rows).toEqual([{ transaction_isolation: "serializable" }]);
  });

  it("tears none of 40 transactions at once", async () => {
    await expectNoneTorn(cluster, (batch, fails) =>
      prisma.$transaction(
        async (tx) => {
          await tx.tick.create({ data: { batch, half: 1 } });
          await tx.tick.create({ data: { batch, half: 2 } });
          if (fails) rollBack();
        },
        { maxWait: 20_000, timeout: 20_000 },
      ),
    );
  });

  it("reads a session's own writes while replication is late, and stale ones without a session", async () => {
    const write = (value: number): Promise<unknown> =>
      prisma.counter.update({ where: { id: 1 }, data: { value } });
    const read = async (): Promise<number | undefined> =>
      (await prisma.counter.findUnique({ where: { id: 1 } }))?.value;
    await withReplicationDelayed(cluster, 500, async () => {
      expect(await router.session().run(() => countStale(write, read))).toBe(0);
      // The proof that the delay was there to be seen.
      expect(await countStale(write, read)).toBeGreaterThan(0);
    });
  });

  it("shares reads among the replicas", async () => {
    expectSpread(
      await decisionsDuring(async () => {
        for (let i = 0; i < 15; i++) {
          await prisma.book.findMany();
          await prisma.$queryRaw`select count(*)::int n from book where id > ${1}`;
        }
      }),
      cluster,
    );
  });
});
