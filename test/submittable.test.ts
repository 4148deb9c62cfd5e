import { EventEmitter } from "node:events";
import type { Client } from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { Submission, isSubmittable } from "../src/submittable.ts";
import type { Submittable } from "../src/submittable.ts";

const submission = (of: unknown): Submission => new Submission(of as Submittable);

/** A client that only takes down what it was given. */
function recorder(): { client: Client; given: unknown[] } {
  const given: unknown[] = [];
  return { client: { query: (one: unknown) => given.push(one) } as unknown as Client, given };
}

/** A statement that tells what the server would have said. */
class Spoken extends EventEmitter implements Submittable {
  readonly text = "select 1";
  readonly heard: unknown[] = [];
  submit = (): void => {};
  handleReadyForQuery = (): void => void this.heard.push("ready");
  handleError = (error: unknown): void => void this.heard.push(error);
}

describe("a statement that brings its own protocol", () => {
  it("is told from a text and a config", () => {
    expect(
      [new Cursor("select 1"), new QueryStream("select 1"), new pg.Query("select 1")].map(isSubmittable),
    ).toEqual([true, true, true]);
    expect(["select 1", { text: "select 1" }, null, undefined].map(isSubmittable)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it("has its text found, also in the cursor inside a stream", () => {
    expect(
      [new Cursor("a"), new QueryStream("b"), new pg.Query("c")].map((one) => submission(one).text),
    ).toEqual(["a", "b", "c"]);
  });

  it("is through at ReadyForQuery, once, and hears it first", () => {
    const spoken = new Spoken();
    const { client, given } = recorder();
    const finished: unknown[] = [];
    submission(spoken).run(
      client,
      (error) => error,
      (error) => finished.push([error, [...spoken.heard]]),
    );
    expect([given, finished]).toEqual([[spoken], []]);
    spoken.handleReadyForQuery();
    spoken.handleReadyForQuery();
    expect(finished).toEqual([[undefined, ["ready"]]]);
  });

  it("hears an error in the router's words, and is through with the server's", () => {
    const spoken = new Spoken();
    const finished: unknown[] = [];
    submission(spoken).run(
      recorder().client,
      (error) => `explained ${String(error)}`,
      (error) => finished.push(error),
    );
    spoken.handleError("lost");
    expect([spoken.heard, finished]).toEqual([["explained lost"], ["lost"]]);
  });

  it.each([
    ["a cursor", () => new Cursor("select 1")],
    ["a stream", () => new QueryStream("select 1")],
  ])("%s that was closed before it reached a connection is known to be", async (_what, open) => {
    const one = open();
    const waiting = submission(one);
    expect(waiting.isClosed).toBe(false);
    if (one instanceof Cursor) await one.close();
    else one.destroy();
    expect(waiting.isClosed).toBe(true);
  });

  it("a cursor that was closed first gives no rows to who had asked", async () => {
    const cursor = new Cursor("select 1");
    const waiting = submission(cursor);
    const rows = cursor.read(10);
    await cursor.close();
    waiting.discard();
    expect([await rows, await cursor.read(10)]).toEqual([[], []]);
  });
});
