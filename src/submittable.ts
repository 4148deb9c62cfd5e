/**
 * Statements that bring their own protocol: `pg-cursor`, `pg-query-stream`, `new pg.Query()`, COPY streams. `pg` gives
 * them its connection; the router only needs to know what they say and when they are through.
 */
import type { Client, QueryResult } from "pg";
import { textOf } from "./driver/query-config.ts";

/** What `pg` calls on them, as far as the router listens in. */
export interface Submittable {
  submit: (connection: unknown) => unknown;
  handleReadyForQuery: (connection: unknown) => unknown;
  handleError: (error: unknown, connection: unknown) => unknown;
  callback?: ((error: unknown, result?: QueryResult) => void) | undefined;
  readonly cursor?: CursorLike;
  readonly destroyed?: boolean;
}

/** `pg-cursor`, bare or inside `pg-query-stream`. */
interface CursorLike {
  connection?: unknown;
  state?: string;
  close?: (callback?: (error?: unknown) => void) => unknown;
  readonly _queue?: [number, (error: unknown, rows: unknown[]) => void][];
}

export function isSubmittable(input: unknown): input is Submittable {
  return typeof (input as { submit?: unknown } | null)?.submit === "function";
}

export function textOfSubmittable(submittable: Submittable): string {
  return textOf(submittable) || textOf(submittable.cursor);
}

/**
 * A Submittable on its way to a connection. One that is closed before it got there must not be submitted at all:
 * nobody would be left to close it again.
 */
export class Submission {
  readonly text: string;
  readonly submittable: Submittable;
  #closed = false;
  #watched: CursorLike | undefined;

  constructor(submittable: Submittable) {
    this.submittable = submittable;
    this.text = textOfSubmittable(submittable);
    this.#watchClose();
  }

  get isClosed(): boolean {
    return this.#closed || this.submittable.destroyed === true;
  }

  /** Runs it on a connection. `explain` says what its error means; `finished` is called once, after the submittable. */
  run(client: Client, explain: (error: unknown) => unknown, finished: (error: unknown) => void): void {
    const { submittable } = this;
    const { handleReadyForQuery, handleError } = submittable;
    let through = false;
    const finish = (error: unknown): void => {
      if (through) return;
      through = true;
      submittable.handleReadyForQuery = handleReadyForQuery;
      submittable.handleError = handleError;
      finished(error);
    };
    submittable.handleReadyForQuery = (connection) => {
      try {
        handleReadyForQuery.call(submittable, connection);
      } finally {
        finish(undefined);
      }
    };
    submittable.handleError = (error, connection) => {
      try {
        handleError.call(submittable, explain(error), connection);
      } finally {
        finish(error);
      }
    };
    this.#unwatchClose();
    client.query(submittable);
  }

  /** It never reaches a connection. */
  fail(error: unknown): void {
    this.#unwatchClose();
    this.submittable.handleError(error, undefined);
  }

  /** It was closed first: whoever asked it for rows hears that there are none. */
  discard(): void {
    this.#unwatchClose();
    const cursor = this.#cursor();
    if (cursor === undefined) return;
    cursor.state = "done";
    for (const [, callback] of cursor._queue?.splice(0) ?? []) callback(null, []);
  }

  #cursor(): CursorLike | undefined {
    const cursor = this.submittable.cursor ?? (this.submittable as CursorLike);
    return typeof cursor.close === "function" && cursor.state === "initialized" ? cursor : undefined;
  }

  #watchClose(): void {
    const cursor = this.#cursor();
    if (cursor === undefined) return;
    const { close } = cursor;
    this.#watched = cursor;
    cursor.close = (callback) => {
      this.#closed = true;
      return close?.call(cursor, callback);
    };
  }

  #unwatchClose(): void {
    delete this.#watched?.close;
    this.#watched = undefined;
  }
}
