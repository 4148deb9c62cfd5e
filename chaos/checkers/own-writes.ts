/**
 * Which reads follow a write of their own session so closely that a router may keep them on the primary: until a replica
 * can have been proved to have it. Pure.
 */
import { lagFloorMs } from "../../src/config/budgets.ts";
import type { Completion, Invoke } from "../history/operation.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput } from "./checker.ts";

export class OwnWrites {
  readonly #lastAt = new Map<number, number>();
  readonly #windowMs: number;

  constructor({ policy }: CheckInput, { slackMs }: Truth) {
    this.#windowMs = policy.readYourWrites === "off" ? -Infinity : lagFloorMs(policy.healthCheck) + slackMs;
  }

  /** Every operation, in order of invocation; only writes are kept. */
  note({ f, process, at }: Invoke, completion: Completion | undefined): void {
    if (f === "write") this.#lastAt.set(process, completion?.at ?? at);
  }

  isRecentFor({ process, at }: Invoke): boolean {
    const writtenAt = this.#lastAt.get(process);
    return writtenAt !== undefined && at - writtenAt <= this.#windowMs;
  }
}
