/** How `pg` calls back and rejects, so that code written for it sees no difference. */
import type { QueryResult } from "pg";

export type Callback = (error: unknown, result?: QueryResult) => void;

/**
 * Calls back with an error alone, or with `none` and the result: `pg`'s client says null, its pool undefined. What the
 * callback throws belongs to the process, not to whoever called it back.
 */
export function callBack(callback: Callback, none: null | undefined): Callback {
  return (error, result) => {
    try {
      if (error === null || error === undefined) callback(none, result);
      else callback(error);
    } catch (thrown) {
      process.nextTick(() => {
        throw thrown;
      });
    }
  };
}

/** Rejects with a stack that leads to who asked, instead of to the socket. */
export function leadToCaller(error: unknown): never {
  if (error instanceof Error) Error.captureStackTrace(error);
  throw error;
}
