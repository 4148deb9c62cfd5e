/** An engine on fake servers in fake time: a primary and the replicas of the configuration. */
import type { QueryResult } from "pg";
import type { QueryInput } from "../../src/driver/driver.ts";
import { Engine } from "../../src/engine.ts";
import type { EngineNotice } from "../../src/engine.ts";
import type { Classification } from "../../src/routing/classification.ts";
import type { CausalContext } from "../../src/session.ts";
import { makeConfig } from "../routing/view-builder.ts";
import type { ConfigOptions } from "../routing/view-builder.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeDriver, FakeServer } from "./fake-servers.ts";

export interface CallOptions {
  readonly mayWrite?: boolean;
  readonly fingerprint?: string;
  readonly leavesState?: boolean;
  readonly context?: CausalContext;
}

/** How a call ended. */
export type Outcome =
  | { readonly kind: "ok"; readonly node: string; readonly afterMs: number }
  | {
      readonly kind: "error";
      readonly code: string | undefined;
      readonly error: Error;
      readonly afterMs: number;
    };

export class EngineRig {
  readonly clock = new FakeClock();
  readonly servers: Map<string, FakeServer>;
  readonly driver: FakeDriver;
  readonly engine: Engine;
  readonly notices: EngineNotice[] = [];

  constructor(options: ConfigOptions = {}) {
    const config = makeConfig(options);
    this.servers = new Map(
      [config.primary, ...config.replicas].map(({ name }) => [
        name,
        new FakeServer(name, name === "primary" ? "primary" : "replica", this.clock),
      ]),
    );
    this.driver = new FakeDriver(this.servers, this.clock);
    this.engine = new Engine(config, {
      clock: this.clock,
      driver: this.driver,
      phase: 0,
      tell: (notice) => this.notices.push(notice),
    });
  }

  static async started(options: ConfigOptions = {}): Promise<EngineRig> {
    const rig = new EngineRig(options);
    const started = rig.engine.start();
    await rig.clock.advance(20);
    await started;
    return rig;
  }

  server(name: string): FakeServer {
    return this.driver.server(name);
  }

  /** What the engine told, by kind. */
  told(kind: EngineNotice["kind"]): EngineNotice[] {
    return this.notices.filter((notice) => notice.kind === kind);
  }

  /** Every connection that was given out and not given back. */
  get checkedOut(): number {
    return this.driver.pools.reduce((sum, { pool }) => sum + pool.counts().total - pool.counts().idle, 0);
  }

  read(input: QueryInput = "select 1", options: CallOptions = {}): Promise<Outcome> {
    return this.#run("read", input, options);
  }

  write(input: QueryInput = "insert", options: CallOptions = {}): Promise<Outcome> {
    return this.#run("write", input, { mayWrite: true, ...options });
  }

  /** A read, with as much time as it needs, up to 10 s. */
  async readNow(input: QueryInput = "select 1", options: CallOptions = {}): Promise<Outcome> {
    return this.finish(this.read(input, options));
  }

  finish<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish(promise);
  }

  async #run(kind: "read" | "write", input: QueryInput, options: CallOptions): Promise<Outcome> {
    const startedAt = this.clock.now();
    try {
      const result: QueryResult<{ node: string }> = await this.engine.run({
        input,
        values: undefined,
        kind,
        classification: classification(options),
        context: options.context,
      });
      return { kind: "ok", node: result.rows[0]?.node ?? "", afterMs: this.clock.now() - startedAt };
    } catch (error) {
      const { code } = error as { code?: string };
      return { kind: "error", code, error: error as Error, afterMs: this.clock.now() - startedAt };
    }
  }
}

function classification(options: CallOptions): Classification {
  const { mayWrite = false, fingerprint = "f", leavesState = false } = options;
  return {
    target: mayWrite ? "primary" : "replica",
    reason: mayWrite ? "insert" : "select",
    pinsSession: leavesState,
    certainWrite: mayWrite,
    mayWrite,
    fingerprint,
    missed: false,
  };
}
