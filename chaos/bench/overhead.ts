/**
 * What `router.query` adds to a query: against a bare `pg.Pool` on the same node, and against a null router
 * (`pools[i++ % n]`) over the same replicas. Every comparison has a second, equal opponent as its noise floor.
 */
import { Pool } from "pg";
import { createRouter } from "../../src/index.ts";
import type { ConfigInput, Router } from "../../src/index.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { Rig } from "../world.ts";
import { measurePaired } from "./paired.ts";
import type { Measured, PairedResult, Variant } from "./paired.ts";

/** The table that is read: `id` 1 to {@link BENCH_ROWS}. */
export const BENCH_TABLE_SQL: readonly string[] = [
  "create table if not exists fairlead_bench (id integer primary key, v text not null)",
  "insert into fairlead_bench select i, 'value ' || i from generate_series(1, 1000) i on conflict do nothing",
  "grant select on fairlead_bench to public",
];
const BENCH_ROWS = 1000;
const CACHED_TEXT = "select v from fairlead_bench where id = $1";

export interface OverheadOptions {
  readonly rig: Rig;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Half the rounds, and only the asserted comparisons. */
  readonly quick: boolean;
  readonly onProgress: (step: string) => void;
}

/** p99 of the router minus p99 of bare `pg.Pool` on the same node, one call at a time. */
export interface Promise99 {
  readonly statement: "cached text" | "new text per query" | "largest parsed text";
  readonly bare: Measured;
  readonly router: Measured;
  readonly addedP99Ms: number;
  /** The same difference between two bare pools. */
  readonly noiseMs: number;
}

/** Ratios over one run: of the router to the null router, and of a second null router to the first. */
export interface NullRatio {
  readonly concurrency: number;
  readonly nullRouter: Measured;
  readonly router: Measured;
  readonly p50Ratio: number;
  readonly throughputRatio: number;
  readonly noiseP50Ratio: number;
  readonly noiseThroughputRatio: number;
}

export interface Overhead {
  readonly promises: readonly Promise99[];
  readonly ratios: readonly NullRatio[];
}

export const PROMISED_P99_MS = 1;

export async function measureOverhead(options: OverheadOptions): Promise<Overhead> {
  const promises: Promise99[] = [];
  for (const statement of ["cached text", "new text per query", "largest parsed text"] as const) {
    options.onProgress(`p99 against bare pg.Pool: ${statement}`);
    promises.push(await measurePromise(statement, options));
  }
  const ratios: NullRatio[] = [];
  for (const concurrency of options.quick ? [1] : [1, 8, 64]) {
    options.onProgress(`ratio to a null router at concurrency ${concurrency}`);
    ratios.push(await measureRatio(concurrency, options));
  }
  return { promises, ratios };
}

async function measurePromise(
  statement: Promise99["statement"],
  options: OverheadOptions,
): Promise<Promise99> {
  const { rig, clock, prng, quick } = options;
  const node = rig.replicas.slice(0, 1);
  await using opponents = await openOpponents({ ...rig, replicas: node }, 1);
  const result = await measurePaired(opponents.variants(textFor(statement)), {
    clock,
    prng: prng.stream(statement),
    concurrency: 1,
    rounds: quick ? 60 : 120,
    callsPerTurn: 50,
  });
  const { bare, bareAgain, router } = named(result);
  return {
    statement,
    bare,
    router,
    addedP99Ms: router.p99Ms - bare.p99Ms,
    noiseMs: bareAgain.p99Ms - bare.p99Ms,
  };
}

async function measureRatio(concurrency: number, options: OverheadOptions): Promise<NullRatio> {
  const { rig, clock, prng, quick } = options;
  await using opponents = await openOpponents(rig, concurrency);
  const result = await measurePaired(
    opponents.variants(() => CACHED_TEXT),
    {
      clock,
      prng: prng.stream(`ratio ${concurrency}`),
      concurrency,
      rounds: quick ? 60 : 120,
      callsPerTurn: Math.max(100, 4 * concurrency),
    },
  );
  const { bare, router } = named(result);
  const toNull = result.ratio("router", "bare");
  const noise = result.ratio("bare again", "bare");
  return {
    concurrency,
    nullRouter: bare,
    router,
    p50Ratio: toNull.p50,
    throughputRatio: toNull.throughput,
    noiseP50Ratio: noise.p50,
    noiseThroughputRatio: noise.throughput,
  };
}

function named({ measured }: PairedResult): { bare: Measured; bareAgain: Measured; router: Measured } {
  const [bare, bareAgain, router] = measured as readonly [Measured, Measured, Measured];
  return { bare, bareAgain, router };
}

/** A router and two equal null routers, each with connections of its own to the same replicas. */
interface Opponents extends AsyncDisposable {
  variants(text: (turn: number) => string): readonly Variant[];
}

async function openOpponents(rig: Rig, concurrency: number): Promise<Opponents> {
  const router = await createRouter(configFor(rig, concurrency), { logger: silentLogger });
  const bare = openPools(rig, concurrency);
  const bareAgain = openPools(rig, concurrency);
  let turns = 0;
  const valuesFor = (turn: number): unknown[] => [1 + (turn % BENCH_ROWS)];
  return {
    variants: (text) => [
      { name: "bare", call: (turn) => nextOf(bare).query(text(++turns), valuesFor(turn)) },
      { name: "bare again", call: (turn) => nextOf(bareAgain).query(text(++turns), valuesFor(turn)) },
      { name: "router", call: (turn) => router.query(text(++turns), valuesFor(turn)) },
    ],
    [Symbol.asyncDispose]: async () => {
      await Promise.all([
        endRouter(router),
        ...[...bare.pools, ...bareAgain.pools].map((pool) => pool.end()),
      ]);
    },
  };
}

interface Pools {
  readonly pools: readonly Pool[];
  next: number;
}

/** The null router: no health, no lag, no weights. */
function nextOf(pools: Pools): Pool {
  return pools.pools[pools.next++ % pools.pools.length] as Pool;
}

function openPools(rig: Rig, max: number): Pools {
  const pools = rig.replicas.map(({ host, port }) => {
    const pool = new Pool({
      host,
      port,
      user: rig.user,
      password: rig.password,
      database: rig.database,
      max,
    });
    pool.on("error", () => {});
    return pool;
  });
  return { pools, next: 0 };
}

async function endRouter(router: Router): Promise<void> {
  await router.end();
}

function configFor(rig: Rig, max: number): ConfigInput {
  return {
    db: {
      host: rig.primary.host,
      port: rig.primary.port,
      username: rig.user,
      password: rig.password,
      database: rig.database,
      maxConnections: max,
      maxIdleConns: max,
      enableReadWriteSeparation: true,
      readReplicas: rig.replicas.map(({ node, host, port }) => ({ name: node, host, port })),
    },
  };
}

function textFor(statement: Promise99["statement"]): (turn: number) => string {
  switch (statement) {
    case "cached text":
      return () => CACHED_TEXT;
    case "new text per query":
      return (turn) => `select v, ${turn} as turn from fairlead_bench where id = $1`;
    case "largest parsed text":
      return largestText;
  }
}

/** A list of numbers as long as the parser is given, a new one each time. */
function largestText(turn: number): string {
  const head = `select v from fairlead_bench where id = $1 or id in (${turn}`;
  const numbers: string[] = [];
  for (let length = head.length + 1, i = 1; length + 8 < LARGEST_BYTES; i++) {
    const text = `,${1_000_000 + i}`;
    numbers.push(text);
    length += text.length;
  }
  return `${head}${numbers.join("")})`;
}

/** `classifyMaxBytes`, as it is by default. */
const LARGEST_BYTES = 32_768;
