/** An application's link, seen by a connection through it and another one past it that ask the same. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { TcpAddress } from "../nemesis/tcp.ts";
import type { Watch } from "../nemesis/watch.ts";
import type { OwnConnection } from "../postgres/direct-connection.ts";
import { type LinkView, silenceMs } from "./link-view.ts";
import type { Link } from "./links.ts";

export interface ApplicationLinkOptions {
  readonly estate: Estate;
  readonly link: Link;
  /** The node at the other end. */
  readonly node: NodeName;
  readonly connectThrough: (link: Link, timeoutMs: number) => Promise<OwnConnection>;
}

const question = "SELECT 1";

export class ApplicationLinkView implements LinkView {
  usualDelayMs = 0;
  readonly #options: ApplicationLinkOptions;
  #canary: Canary | undefined;
  #direct: DirectConnection | undefined;

  constructor(options: ApplicationLinkOptions) {
    this.#options = options;
  }

  get ends(): readonly TcpAddress[] {
    return [this.#options.estate.address(this.#options.node)];
  }

  async prepare(watch: Watch): Promise<void> {
    const { estate, link, node, connectThrough } = this.#options;
    this.#canary = new Canary(await connectThrough(link, watch.leftMs));
    this.usualDelayMs = await shortestOf(3, () => measure(watch, this.#canary?.connection));
    this.#direct = await estate.connect(node);
  }

  async seeSilence(watch: Watch): Promise<void> {
    const { link } = this.#options;
    const [canary, direct] = [this.#canary, this.#direct];
    if (canary === undefined || direct === undefined) throw new Error(`nobody watches ${link.name}`);
    await watch.until(async () => {
      canary.ask();
      await direct.query(question);
      await watch.pause(silenceMs(this.usualDelayMs));
      // Still quick on the way past the link, so that the silence is the link's.
      await direct.query(question);
      if (canary.isGone) return "the connection through the link was closed";
      return canary.isWaiting ? undefined : "a query through the link was answered";
    });
  }

  async seeFlow(watch: Watch): Promise<void> {
    const { link, connectThrough } = this.#options;
    await using fresh = await connectThrough(link, watch.leftMs);
    await fresh.query(question);
  }

  async seeCut(watch: Watch): Promise<void> {
    const canary = this.#canary;
    if (canary === undefined) return;
    await watch.until(async () => {
      // Some ends are noticed only by who uses the connection.
      canary.ask();
      return canary.isGone ? undefined : "a connection from before the fault is still open";
    });
  }

  async measureDelay(watch: Watch): Promise<number> {
    const { link, connectThrough } = this.#options;
    if (this.#canary !== undefined) return measure(watch, this.#canary.connection);
    await using fresh = await connectThrough(link, watch.leftMs);
    return await measure(watch, fresh);
  }

  async measureTransfer(watch: Watch, bytes: number, untilMs: number): Promise<number> {
    const { link, connectThrough } = this.#options;
    const transfer = (connection: DirectConnection): Promise<number> =>
      within(watch, untilMs, connection.query("SELECT repeat('x', $1)", [bytes]));
    if (this.#canary !== undefined) return transfer(this.#canary.connection);
    await using fresh = await connectThrough(link, watch.leftMs);
    return await transfer(fresh);
  }

  /** A round trip passes each direction once. */
  expectedDelay(direction: "upstream" | "downstream" | "both", latencyMs: number): number {
    return direction === "both" ? 2 * latencyMs : latencyMs;
  }

  async release(): Promise<void> {
    this.#canary?.connection.destroy();
    await this.#direct?.close();
    this.#canary = undefined;
    this.#direct = undefined;
  }
}

/** A connection through the link, with at most one question out. */
class Canary {
  readonly connection: OwnConnection;
  isGone = false;
  isWaiting = false;

  constructor(connection: OwnConnection) {
    this.connection = connection;
    connection.onClose(() => (this.isGone = true));
  }

  ask(): void {
    if (this.isWaiting || this.isGone) return;
    this.isWaiting = true;
    void this.#wait();
  }

  async #wait(): Promise<void> {
    // An error is an end of the silence as well; a lost connection is told by `isGone`.
    await Promise.allSettled([this.connection.query(question)]);
    this.isWaiting = false;
  }
}

async function measure(watch: Watch, connection: DirectConnection | undefined): Promise<number> {
  const startedAt = watch.clock.now();
  await connection?.query(question);
  return watch.clock.now() - startedAt;
}

/** How long it takes, `untilMs` when it takes longer. What is still on its way then ends with its connection. */
async function within(watch: Watch, untilMs: number, task: Promise<unknown>): Promise<number> {
  const startedAt = watch.clock.now();
  task.catch(() => {});
  await Promise.race([task, watch.pause(untilMs)]);
  return watch.clock.now() - startedAt;
}

async function shortestOf(times: number, task: () => Promise<number>): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) shortest = Math.min(shortest, await task());
  return shortest;
}
