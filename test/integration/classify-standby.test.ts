import { assert, asyncProperty, property } from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DirectConnection } from "../../chaos/world.ts";
import { CATALOGUE_SQL, loadCatalogue } from "../../src/driver/catalogue-sql.ts";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import type { CatalogueRow, CatalogueSnapshot } from "../../src/routing/catalogue.ts";
import { createClassifier } from "../../src/routing/classify.ts";
import type { Classifier } from "../../src/routing/classify.ts";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import type { EmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { openConnection } from "../../sim/postgres/direct-connection.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { READING_EXPRESSIONS, WRITING_EXPRESSIONS, statementsAround } from "../routing/sql/combinations.ts";
import { FIXTURE_PATH, OBJECTS_SQL, normalised } from "../routing/sql/fixture.ts";
import { STATEMENTS } from "../routing/sql/statements.ts";

// Another version's programs may be named, to run the same checks on PostgreSQL 14 to 17.
const pgBin = process.env["FAIRLEAD_TEST_PG_BIN"];

let cluster: EmbeddedCluster;
let standby: DirectConnection;
let catalogue: CatalogueSnapshot;
let classifier: Classifier;

beforeAll(async () => {
  cluster = await startEmbeddedCluster({ replicas: 1, ...(pgBin !== undefined && { pgBin }) });
  await cluster.sql("primary", OBJECTS_SQL);
  await cluster.settled(20_000);
  standby = await cluster.connect("replica-1");
  catalogue = await loadCatalogue((text) => standby.query<Record<string, unknown>>(text));
  const parser = await createSqlParser();
  classifier = createClassifier({ parser, catalogue: () => catalogue });
});

afterAll(async () => {
  await standby?.close();
  await cluster?.[Symbol.asyncDispose]();
});

/** Runs a statement on the standby in a transaction of its own; gives the SQLSTATE that refused it. */
async function refusal(text: string): Promise<string | undefined> {
  try {
    await standby.query(text);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("the catalogue", () => {
  test("reads the same for a role that may only connect, on the primary and on the standby", async () => {
    const { port } = cluster.endpoint("primary");
    await using plain = await openConnection(
      {
        node: "primary",
        host: "127.0.0.1",
        port,
        user: "plain",
        password: "plain",
        database: cluster.credentials.database,
      },
      { clock: systemClock },
    );
    const seen = await plain.query<{ object: string }>(CATALOGUE_SQL);
    const here = await standby.query<{ object: string }>(CATALOGUE_SQL);
    expect(seen.map((row) => row.object).sort()).toEqual(here.map((row) => row.object).sort());
  });

  test.runIf(pgBin === undefined)("is the one that the unit tests were given", async () => {
    const rows = await standby.query<{ object: string }>(CATALOGUE_SQL);
    const captured = normalised(rows.map((row) => JSON.parse(row.object) as CatalogueRow));
    await expect(`${captured.map((row) => JSON.stringify(row)).join("\n")}\n`).toMatchFileSnapshot(
      FIXTURE_PATH,
    );
  });

  test("is read anew only when an object has changed", async () => {
    const run = (text: string): Promise<Record<string, unknown>[]> => cluster.sql("primary", text);
    const first = await loadCatalogue(run);
    await run("INSERT INTO t VALUES (1000, 'a')");
    await using somebody = await cluster.connect("primary");
    await somebody.query("CREATE TEMP TABLE passing (id int DEFAULT 1, m mood)");
    await somebody.query("CREATE TEMP VIEW passing_view AS SELECT * FROM passing");
    expect(await loadCatalogue(run, first)).toBe(first);
    await run("CREATE TABLE fresh (id int)");
    const second = await loadCatalogue(run, first);
    expect(second).not.toBe(first);
    expect(first.relation("fresh")).toBeUndefined();
    expect(second.relation("fresh")).toEqual({ rank: 0 });
    await run("ALTER FUNCTION rfn(int) VOLATILE");
    expect((await loadCatalogue(run, second)).relation("rview")).toMatchObject({ reason: "writing-view" });
    await run("ALTER FUNCTION rfn(int) STABLE; DROP TABLE fresh");
    await cluster.settled(20_000);
  });
});

describe("on a standby", () => {
  test("every listed statement that is said to read does", async () => {
    const wrong: string[] = [];
    let ran = 0;
    for (const [text, expected] of STATEMENTS) {
      const { reason, target } = classifier.classify(text);
      if (reason !== expected) wrong.push(`${text}: ${reason} instead of ${expected}`);
      if (target !== "replica") continue;
      ran++;
      const state = await refusal(text);
      if (state !== undefined) wrong.push(`${text}: refused with ${state}`);
    }
    expect(wrong).toEqual([]);
    expect(ran).toBeGreaterThan(80);
  });

  test("what is said to need the primary is refused, or takes a lock that nobody else sees", async () => {
    // The check above can fail: these statements would make it.
    expect(await refusal("SELECT nextval('s')")).toBe("25006");
    expect(await refusal("SELECT * FROM wview2")).toBe("25006");
    expect(await refusal("SELECT a ### b FROM t a, t b")).toBe("25006");
    expect(await refusal("SELECT 1::wdomain")).toBe("25006");
    expect(await refusal("SELECT 'ok'::mood::pair")).toBe("25006");
    expect(await refusal("SELECT * FROM arrayview")).toBe("25006");
    expect(await refusal("SELECT wagg(id) FROM t")).toBe("25006");
    expect(await refusal("SELECT t.total FROM t")).toBe("25006");
    expect(await refusal("SELECT * FROM defaultview")).toBe("25006");
    expect(await refusal("SELECT * FROM lockview")).toBe("25006");
    expect(await refusal("SELECT atomic()")).toBe("25006");
    expect(await refusal("SELECT * FROM dirty")).toBe("0A000");
    expect(await refusal("SELECT currval('s')")).toBe("55000");
    expect(await refusal("SELECT pg_advisory_lock(77)")).toBeUndefined();
    const locks = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'";
    expect(await standby.query(locks)).toEqual([{ n: 1 }]);
    expect(await cluster.sql("primary", locks)).toEqual([{ n: 0 }]);
    await standby.query("SELECT pg_advisory_unlock_all()");
  });

  test("a sequence reads ahead there, so that reading it belongs to one node", async () => {
    await cluster.sql("primary", "SELECT nextval('s')");
    await cluster.settled(20_000);
    const read = "SELECT last_value::int AS n FROM s";
    const [ahead] = await standby.query<{ n: number }>(read);
    const [truth] = await cluster.sql<{ n: number }>("primary", read);
    expect(ahead?.n).toBeGreaterThan(truth?.n ?? Infinity);
    expect(classifier.classify(read).reason).toBe("node-local");
  });

  test("whatever is built of reading parts reads", async () => {
    await assert(
      asyncProperty(statementsAround(READING_EXPRESSIONS), async (text) => {
        const { target } = classifier.classify(text);
        expect({ text, target, refusal: await refusal(text) }).toEqual({ text, target: "replica" });
      }),
      { numRuns: 300 },
    );
  });

  test("whatever holds a writing part goes to the primary, and no replica is asked", () => {
    assert(
      property(statementsAround(WRITING_EXPRESSIONS), (text) => {
        const { target } = classifier.classify(text);
        expect({ text, target }).toEqual({ text, target: "primary" });
      }),
      { numRuns: 500 },
    );
  });

  test("nothing that ran there wrote anything, or left a lock", async () => {
    expect(await standby.query("SELECT count(*)::int AS n FROM written")).toEqual(
      await cluster.sql("primary", "SELECT count(*)::int AS n FROM written"),
    );
    expect(
      await standby.query("SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'"),
    ).toEqual([{ n: 0 }]);
  });
});
