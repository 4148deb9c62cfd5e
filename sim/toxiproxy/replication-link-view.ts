/** A replica's link, seen from both ends past it: a mark in the primary's WAL, and whether and when the replica has it. */
import type { Direction, NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import type { Lsn } from "../../src/routing/lsn.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { TcpAddress } from "../nemesis/tcp.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { acknowledgedLsn, emitMark, flushedLsn, receivedLsn } from "../postgres/wal-marks.ts";
import { type LinkView, silenceMs } from "./link-view.ts";

export interface ReplicationLinkOptions {
  readonly estate: Estate;
  readonly replica: NodeName;
}

interface Ends extends AsyncDisposable {
  readonly primary: DirectConnection;
  readonly replica: DirectConnection;
}

/** Finer than a watch's own looks, because this one measures. */
const pollEveryMs = 3;

export class ReplicationLinkView implements LinkView {
  usualDelayMs = 0;
  readonly #options: ReplicationLinkOptions;
  #ends: Ends | undefined;

  constructor(options: ReplicationLinkOptions) {
    this.#options = options;
  }

  get ends(): readonly TcpAddress[] {
    const { estate, replica } = this.#options;
    return [estate.address(replica), estate.address(estate.leaderOf(replica))];
  }

  async prepare(watch: Watch): Promise<void> {
    this.#ends = await this.#open();
    const [first, second] = [await this.#delay(watch, "downstream"), await this.#delay(watch, "downstream")];
    this.usualDelayMs = Math.min(first, second);
  }

  async seeSilence(watch: Watch): Promise<void> {
    await using ends = await this.#open();
    await watch.until(async () => {
      const mark = await emitMark(ends.primary);
      await watch.pause(silenceMs(this.usualDelayMs));
      if ((await flushedLsn(ends.primary)) < mark) return "the primary has not flushed its own mark";
      return (await hasReceived(ends.replica, mark)) ? "WAL still arrives at the replica" : undefined;
    });
  }

  async seeFlow(watch: Watch): Promise<void> {
    await using ends = await this.#open();
    const mark = await emitMark(ends.primary);
    await watch.until(async (): Promise<Missing> => {
      return (await hasReceived(ends.replica, mark)) ? undefined : "no WAL arrives at the replica";
    });
  }

  /** The stream has no connection of ours; that nothing comes any more is what its end looks like. */
  seeCut(watch: Watch): Promise<void> {
    return this.seeSilence(watch);
  }

  async measureDelay(watch: Watch, direction: Direction): Promise<number> {
    if (this.#ends !== undefined) return this.#delay(watch, direction);
    this.#ends = await this.#open();
    try {
      return await this.#delay(watch, direction);
    } finally {
      await this.release();
    }
  }

  async measureTransfer(watch: Watch, bytes: number, untilMs: number): Promise<number> {
    await using ends = await this.#open();
    const mark = await emitMark(ends.primary, bytes);
    const startedAt = watch.clock.now();
    const elapsedMs = (): number => watch.clock.now() - startedAt;
    while (elapsedMs() < untilMs && !(await hasReceived(ends.replica, mark))) await watch.pause(pollEveryMs);
    return elapsedMs();
  }

  /** WAL goes downstream. Upstream goes the replica's word that it has it, which delays no data. */
  expectedDelay(_direction: Direction, latencyMs: number): number {
    return latencyMs;
  }

  async release(): Promise<void> {
    const ends = this.#ends;
    this.#ends = undefined;
    await ends?.[Symbol.asyncDispose]();
  }

  async #delay(watch: Watch, direction: Direction): Promise<number> {
    const ends = this.#ends;
    if (ends === undefined) throw new Error("the ends of the link are not watched");
    const mark = await emitMark(ends.primary);
    const startedAt = watch.clock.now();
    const isThere = async (): Promise<boolean> =>
      direction === "upstream"
        ? isAtLeast(await acknowledgedLsn(ends.primary, this.#options.replica), mark)
        : hasReceived(ends.replica, mark);
    while (!(await isThere())) {
      if (watch.leftMs <= 1) throw new Error("no WAL arrives at the replica");
      await watch.pause(pollEveryMs);
    }
    return watch.clock.now() - startedAt;
  }

  async #open(): Promise<Ends> {
    const { estate, replica: node } = this.#options;
    const primary = await estate.connect(estate.leaderOf(node));
    try {
      const replica = await estate.connect(node);
      const close = async (): Promise<void> => void (await Promise.all([primary.close(), replica.close()]));
      return { primary, replica, [Symbol.asyncDispose]: close };
    } catch (error) {
      await primary.close();
      throw error;
    }
  }
}

async function hasReceived(replica: DirectConnection, mark: Lsn): Promise<boolean> {
  return isAtLeast(await receivedLsn(replica), mark);
}

function isAtLeast(lsn: Lsn | undefined, mark: Lsn): boolean {
  return lsn !== undefined && lsn >= mark;
}
