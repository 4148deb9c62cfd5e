/**
 * One caller's causal context: when its last write was acknowledged. Until a replica is proved past that, its reads go to
 * the primary. The proof costs nothing: a sample of the primary that was sent after the write returned.
 */
import { AsyncLocalStorage } from "node:async_hooks";

export interface CausalContext {
  /** When the caller's last write was acknowledged, in ms of the router's clock. */
  writtenAt: number | undefined;
}

export function newCausalContext(): CausalContext {
  return { writtenAt: undefined };
}

/** Two contexts as one: what either has written is read back, and what is written counts for both. */
export function bothContexts(one: CausalContext, other: CausalContext): CausalContext {
  return {
    get writtenAt(): number | undefined {
      if (one.writtenAt === undefined || other.writtenAt === undefined)
        return one.writtenAt ?? other.writtenAt;
      return Math.max(one.writtenAt, other.writtenAt);
    },
    set writtenAt(at: number | undefined) {
      one.writtenAt = at;
      other.writtenAt = at;
    },
  };
}

/** The context that code runs in when it is called inside `session.run()`. */
export const currentContext: AsyncLocalStorage<CausalContext> = new AsyncLocalStorage<CausalContext>();
