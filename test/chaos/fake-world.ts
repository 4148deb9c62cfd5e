/** A world of nothing but memory, in real time: enough of a cluster for a runner to run in. */
import type { Fault } from "../../chaos/faults/fault.ts";
import type { Row, Subject, SubjectClient } from "../../chaos/subject.ts";
import type { PolicyFor } from "../../chaos/suite.ts";
import { FaultNotObserved } from "../../chaos/world.ts";
import type { Capability, Cluster, DirectConnection, Nemesis, Rig, World } from "../../chaos/world.ts";
import { COUNT_WRITES } from "../../chaos/workload/statements.ts";
import { systemClock } from "../../src/runtime/clock.ts";

export const RIG: Rig = {
  primary: { node: "primary", host: "127.0.0.1", port: 1 },
  replicas: [1, 2, 3].map((n) => ({ node: `replica-${n}`, host: "127.0.0.1", port: 1 + n })),
  database: "app",
  user: "app",
  password: "secret",
  sslRootCert: "/nowhere/ca.crt",
};

/** As the suite's, ten times as fast, and without certificates. */
export const fakePolicy: PolicyFor = (rig) => ({
  db: {
    host: rig.primary.host,
    port: rig.primary.port,
    username: rig.user,
    password: rig.password,
    database: rig.database,
    maxConnections: 10,
    enableReadWriteSeparation: true,
    replicaLagThreshold: "100ms",
    healthCheck: { interval: "20ms", timeout: "20ms", fall: 2, rise: 2 },
    slowStart: "20ms",
    readReplicas: rig.replicas.map(({ node, host, port }) => ({ name: node, host, port, weight: 1 })),
  },
});

export interface FakeWorldOptions {
  readonly capabilities?: readonly Capability[];
  readonly inject?: (fault: Fault, signal: AbortSignal | undefined) => Promise<void>;
  readonly heal?: (fault: Fault) => Promise<void>;
  readonly settled?: () => Promise<void>;
  readonly healAll?: () => Promise<void>;
}

export class FakeWorld implements World {
  readonly kind = "virtual";
  readonly clock = systemClock;
  readonly rig = RIG;
  readonly links = [];
  readonly capabilities: ReadonlySet<Capability>;
  readonly cluster: Cluster;
  readonly nemesis: Nemesis;
  /** What was asked of it, in order. */
  readonly calls: string[] = [];
  readonly on = new Set<Fault>();
  heartbeat = 0;
  writes: number[] = [];
  openConnections = 0;
  disposed = 0;

  constructor(options: FakeWorldOptions = {}) {
    const { calls, on } = this;
    this.capabilities = new Set(options.capabilities ?? ["node-killed", "replay-paused"]);
    const replicas = RIG.replicas.map(({ node }) => node);
    this.cluster = {
      nodes: ["primary", ...replicas],
      primary: "primary",
      replicas,
      serverVersion: "0",
      sql: async <T extends object>(_node: string, text: string) => this.#answer(text) as T[],
      connect: () => Promise.resolve(this.#connect()),
      promote: () => Promise.reject(new Error("cannot")),
      rebuild: () => Promise.reject(new Error("cannot")),
      settled: async () => {
        calls.push("settled");
        await options.settled?.();
      },
    };
    this.nemesis = {
      inject: async (fault, signal) => {
        calls.push(`inject ${fault.kind}`);
        await options.inject?.(fault, signal);
        on.add(fault);
        const heal = async (): Promise<void> => {
          calls.push(`heal ${fault.kind}`);
          await options.heal?.(fault);
          on.delete(fault);
        };
        return { fault, heal, [Symbol.asyncDispose]: heal };
      },
      healAll: async () => {
        calls.push("healAll");
        on.clear();
        await options.healAll?.();
      },
    };
  }

  collectLogs(): Promise<void> {
    return Promise.resolve();
  }

  describe(): Record<string, string> {
    return { version: "fake" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed += 1;
  }

  #answer(text: string): object[] {
    if (text === COUNT_WRITES) {
      const counts = new Map<number, number>();
      for (const id of this.writes) counts.set(id, (counts.get(id) ?? 0) + 1);
      return [...counts].map(([id, count]) => ({ id, count }));
    }
    if (text.startsWith("drop schema")) this.writes = [];
    return text.includes("pg_stat_activity") ? [{ count: 0 }] : [];
  }

  #connect(): DirectConnection {
    this.openConnections += 1;
    const close = async (): Promise<void> => {
      this.openConnections -= 1;
    };
    return {
      query: (_text, values) => {
        this.heartbeat = Number(values?.[0]);
        return Promise.resolve([]);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

/** A subject that does what it should, on a fake world's memory; parts of it can be replaced. */
export function fakeSubject(world: FakeWorld, changes: Partial<SubjectClient> = {}): Subject {
  let turn = 0;
  const row = (node: string): Row => ({
    node,
    standby: node !== "primary",
    backend: 1,
    heartbeat: world.heartbeat,
    replay_lsn: null,
  });
  const replica = (): string => `replica-${(turn++ % 3) + 1}`;
  return {
    name: "fake",
    claims: [],
    connect: async () => ({
      read: async () => [row(replica())],
      write: async (_text, values) => {
        world.writes.push(Number(values[0]));
        return [row("primary")];
      },
      readOnlyTransaction: async (statements) => {
        const node = replica();
        return statements.map(() => [row(node)]);
      },
      close: async () => {},
      ...changes,
    }),
  };
}

export { FaultNotObserved };
