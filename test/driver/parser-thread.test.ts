import { afterEach, describe, expect, test } from "vitest";
import { createParserThread } from "../../src/driver/parser-thread.ts";
import type { ParserThread } from "../../src/driver/parser-thread.ts";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import { readWith } from "../../src/routing/parser.ts";
import type { ReadOutcome } from "../../src/routing/parser.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";

const threads: ParserThread[] = [];

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.close()));
});

function start(clock: Clock = systemClock): ParserThread {
  const thread = createParserThread(clock);
  threads.push(thread);
  return thread;
}

function read(thread: ParserThread, text: string): Promise<ReadOutcome> {
  return new Promise((resolve, reject) => {
    if (!thread.read(text, resolve)) reject(new Error("not taken"));
  });
}

describe("the parser's thread", () => {
  test("reads as the parser on this one does", async () => {
    const parser = await createSqlParser();
    const thread = start();
    const texts = [
      "SELECT a.b, f(1), '1'::mood FROM s.t WHERE x = ANY (ARRAY[1])",
      "EXPLAIN (ANALYZE) SELECT set_config('a', 'b', true)",
      `SELECT 1 FROM a ${"JOIN b USING (c) ".repeat(2_000)}`,
      "SELECT FROM FROM",
      "WITH x AS (DELETE FROM t) SELECT 1; SELECT 2",
    ];
    const outcomes = await Promise.all(texts.map((text) => read(thread, text)));
    expect(outcomes).toEqual(texts.map((text) => readWith(parser, text)));
  });

  test("takes no more texts than it can hope to read, and none when it is closed", async () => {
    const thread = start();
    const taken = Array.from({ length: 100 }, () => thread.read("SELECT 1", () => {}));
    expect(taken.filter(Boolean)).toHaveLength(64);
    await thread.close();
    expect(thread.read("SELECT 1", () => {})).toBe(false);
  });

  test("never answers once it is closed", async () => {
    const thread = start();
    let answers = 0;
    await read(thread, "SELECT 1");
    thread.read("SELECT 2", () => answers++);
    await thread.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answers).toBe(0);
  });

  test("is given up when it takes too long, and another reads on", async () => {
    // A clock on which a deadline passes at once, for the first text alone.
    let deadlines = 0;
    const hasty: Clock = {
      ...systemClock,
      schedule: (delayMs, task) => systemClock.schedule(deadlines++ === 0 ? 0 : delayMs, task),
    };
    const thread = start(hasty);
    const first = read(thread, "SELECT 1");
    const second = read(thread, "SELECT 2");
    expect(await first).toEqual({ kind: "overwhelmed" });
    expect(await second).toMatchObject({ kind: "read" });
  });

  test("ends when there is nothing to read for a while, and starts again", async () => {
    // A clock on which every wait is over at once, but for the deadlines.
    const idle: Clock = {
      ...systemClock,
      schedule: (delayMs, task) => systemClock.schedule(delayMs === 10_000 ? 1 : delayMs, task),
    };
    const thread = start(idle);
    expect(await read(thread, "SELECT 1")).toMatchObject({ kind: "read" });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await read(thread, "SELECT 2")).toMatchObject({ kind: "read" });
  });
});
