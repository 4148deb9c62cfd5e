/** What one decision costs, without any server: a statement that has been read before, and the weighted choice. */
import { Bench } from "tinybench";
import { parseConfig } from "../../src/config/load.ts";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import { assumedCatalogue } from "../../src/routing/catalogue.ts";
import { createClassifier } from "../../src/routing/classify.ts";
import { decide } from "../../src/routing/decide.ts";
import { initialView, observe } from "../../src/routing/observe.ts";
import type { ClusterView } from "../../src/routing/model.ts";
import type { NodeSample } from "../../src/routing/sample.ts";

export interface DecisionCost {
  readonly p50Ns: number;
  readonly p99Ns: number;
}

/** A single decision is too short for any clock: many are timed together. */
const BATCH = 1000;
const STATEMENT =
  "select o.id, o.total from orders o where o.customer_id = $1 order by o.created_at desc limit 20";

export async function measureDecision(): Promise<DecisionCost> {
  const classifier = createClassifier({ parser: await createSqlParser(), catalogue: () => assumedCatalogue });
  let view = servingView();
  const bench = new Bench({ time: 500, warmupTime: 200 });
  bench.add("decision", () => {
    for (let i = 0; i < BATCH; i++) {
      if (classifier.classify(STATEMENT).target === "replica") view = decide(view, { kind: "read" }, 1).view;
    }
  });
  await bench.run();
  const result = bench.tasks[0]?.result;
  if (result === undefined || !("latency" in result)) throw new Error("the decision could not be timed");
  const nsEach = 1e6 / BATCH;
  return { p50Ns: result.latency.p50 * nsEach, p99Ns: result.latency.p99 * nsEach };
}

function servingView(): ClusterView {
  const config = parseConfig(CONFIG, { file: "bench", env: {} });
  const names = [config.primary.name, ...config.replicas.map((node) => node.name)];
  return names.reduce(
    (view, node) =>
      observe(view, {
        kind: "sampled",
        node,
        sentAt: 0,
        at: 0,
        sample: sampleOf(node === config.primary.name),
      }).view,
    initialView(config, 0, 0),
  );
}

function sampleOf(isPrimary: boolean): NodeSample {
  const base = { systemId: "1", timeline: 1, serverVersionNum: 180_000 };
  if (isPrimary) return { ...base, role: "primary", insert: 1000, flush: 1000, walWriterDelayMs: 200 };
  return { ...base, role: "replica", replay: 1000, replayPaused: false, walReceiver: "streaming" };
}

const CONFIG = `
db:
  host: localhost
  username: bench
  database: bench
  enableReadWriteSeparation: true
  readReplicas:
    - { name: a, host: localhost, port: 5433, weight: 2 }
    - { name: b, host: localhost, port: 5434 }
    - { name: c, host: localhost, port: 5435 }
`;
