/** Makes histories by hand for tests: what is said in any order comes out in the order of time, numbered. */
import type { CheckInput } from "../../chaos/checkers/checker.ts";
import type { Fault } from "../../chaos/faults/fault.ts";
import type {
  Evidence,
  History,
  HistoryEntry,
  OperationFunction,
  ResourceSample,
  RouterEvent,
} from "../../chaos/history/operation.ts";
import type { HistoryDraft } from "../../chaos/history/recorder.ts";
import type { NodeConfig, RouterConfig } from "../../src/config/config.ts";

/** interval 200 ms, timeout 200 ms, fall 2, rise 2: down 800, stale 1400, return 400, stall 1050 ms. */
export function testPolicy(
  changes: Partial<RouterConfig> = {},
  weights: Readonly<Record<string, number>> = { "replica-1": 1, "replica-2": 1, "replica-3": 1 },
): RouterConfig {
  return {
    primary: testNode("primary", 1),
    replicas: Object.entries(weights).map(([name, weight]) => testNode(name, weight)),
    enableReadWriteSeparation: true,
    replicaLagThresholdMs: 1_000,
    readmitLagThresholdMs: 800,
    healthCheck: { intervalMs: 200, timeoutMs: 200, fall: 2, rise: 2 },
    retries: { max: 2 },
    fallback: { to: "primary" },
    slowStartMs: 0,
    lagNudge: true,
    whenPrimaryUnknown: "serve",
    readYourWrites: "off",
    classifyMaxBytes: 32_768,
    queryTimeoutMs: undefined,
    ...changes,
  };
}

function testNode(name: string, weight: number): NodeConfig {
  return {
    name,
    host: "127.0.0.1",
    port: 5432,
    user: "app",
    password: undefined,
    database: "app",
    weight,
    pool: { max: 10, idleMax: 10, idleTimeoutMs: 0, maxLifetimeMs: 0, connectionTimeoutMs: 1_000 },
    tls: { mode: "disable" } as NodeConfig["tls"],
    applicationName: "test",
  };
}

export interface Answer {
  readonly at: number;
  readonly tookMs?: number;
  readonly process?: number;
  readonly type?: "ok" | "fail" | "info" | "none";
  /** Who answered; the role follows from the name. */
  readonly node?: string;
  readonly heartbeat?: number;
  readonly ownWrite?: number;
  readonly replayLsn?: string;
  /** What each of its statements saw, for answers of several; else one is made of the fields above. */
  readonly evidence?: readonly Evidence[];
  readonly id?: number;
  readonly code?: string;
  readonly intendedAt?: number;
}

interface Item {
  readonly at: number;
  readonly draft: HistoryDraft;
  readonly answers?: Item;
}

export class HistoryBuilder {
  readonly #items: Item[] = [];

  read(answer: Answer): this {
    return this.operation("read", { node: "replica-1", ...answer });
  }

  transaction(answer: Answer): this {
    return this.operation("transaction", { node: "replica-1", ...answer });
  }

  write(answer: Answer & { readonly id: number }): this {
    return this.operation("write", { node: "primary", ...answer });
  }

  heartbeat(id: number, at: number, answer: Partial<Answer> = {}): this {
    return this.operation("heartbeat", { process: 999, tookMs: 1, ...answer, at, id });
  }

  /** One every `everyMs` from 0 to `untilMs`, the first with number 1. */
  heartbeats(everyMs: number, untilMs: number): this {
    for (let i = 0; i * everyMs <= untilMs; i++) this.heartbeat(i + 1, i * everyMs);
    return this;
  }

  operation(f: OperationFunction, answer: Answer): this {
    const { at, tookMs = 2, process = 0, type = "ok", id, code, intendedAt = at } = answer;
    const named = id === undefined ? {} : { id };
    const invoke: Item = { at, draft: { type: "invoke", process, f, at, intendedAt, ...named } };
    this.#items.push(invoke);
    if (type === "none") return this;
    const end = at + tookMs;
    const seen =
      type === "ok" && answer.node !== undefined ? { evidence: answer.evidence ?? [evidence(answer)] } : {};
    const error = type === "ok" ? {} : { error: { code: code ?? "NODE_LOST", message: "lost" } };
    const draft: HistoryDraft = { type, process, f, at: end, invoke: 0, ...named, ...seen, ...error };
    this.#items.push({ at: end, draft, answers: invoke });
    return this;
  }

  #faultId = 0;

  /** `on` and `off` are [begun, observed]; without `off` it is never healed. */
  fault(fault: Fault, on: readonly [number, number | null], off?: readonly [number, number | null]): this {
    const faultId = this.#faultId++;
    const steps = [["inject", on] as const, ...(off === undefined ? [] : [["heal", off] as const])];
    for (const [phase, [begunAt, observedAt]] of steps) {
      this.#push(observedAt ?? begunAt, { type: "nemesis", phase, fault, faultId, begunAt, observedAt });
    }
    return this;
  }

  tell(at: number, event: RouterEvent): this {
    return this.#push(at, { type: "testimony", at, event });
  }

  resources(at: number, sample: Pick<ResourceSample, "phase" | "serverConnections" | "handles">): this {
    return this.#push(at, { type: "resources", at, ...sample });
  }

  final(at: number, writes: readonly (readonly [number, number])[], elsewhere: readonly number[] = []): this {
    return this.#push(at, { type: "final", at, writes, elsewhere });
  }

  dropped(at: number): this {
    return this.#push(at, { type: "dropped", at, f: "read" });
  }

  #push(at: number, draft: HistoryDraft): this {
    this.#items.push({ at, draft });
    return this;
  }

  build(): History {
    const sorted = [...this.#items].sort((a, b) => a.at - b.at);
    const places = new Map(sorted.map((item, place) => [item, place]));
    return sorted.map(({ draft, answers }, index) => {
      const entry = { ...draft, index } as HistoryEntry;
      return answers === undefined ? entry : ({ ...entry, invoke: places.get(answers) } as HistoryEntry);
    });
  }
}

function evidence({ node = "", heartbeat = 0, ownWrite, replayLsn }: Answer): Evidence {
  return {
    node,
    role: node === "primary" ? "primary" : "replica",
    heartbeat,
    ...(ownWrite === undefined ? {} : { ownWrite }),
    ...(replayLsn === undefined ? {} : { replayLsn }),
  };
}

/** All of the history is judged, unless said otherwise. */
export function input(builder: HistoryBuilder, changes: Partial<CheckInput> = {}): CheckInput {
  return {
    history: builder.build(),
    policy: testPolicy(),
    primary: "primary",
    replicas: ["replica-1", "replica-2", "replica-3"],
    from: 0,
    until: Infinity,
    ...changes,
  };
}

export const faults = {
  appDown: (node: string): Fault => ({ kind: "link-down", link: `app:${node}` }),
  blackHole: (node: string): Fault => ({ kind: "link-black-hole", link: `app:${node}` }),
  slow: (node: string, latencyMs: number): Fault => ({
    kind: "link-latency",
    link: `app:${node}`,
    latencyMs,
    direction: "both",
  }),
  replicationDown: (node: string): Fault => ({ kind: "link-down", link: `replication:${node}` }),
  paused: (node: string): Fault => ({ kind: "replay-paused", node }),
  killed: (node: string): Fault => ({ kind: "node-killed", node }),
};
