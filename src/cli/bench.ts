/** `fairlead bench`: what the router adds to a query. */
import { systemClock } from "../runtime/clock.ts";
import { createPrng, drawSeed } from "../runtime/prng.ts";
import { requireHarness } from "./harness.ts";
import { EXIT } from "./io.ts";
import type { Io } from "./io.ts";
import { checkOutputs, writeOutput } from "./outputs.ts";
import { worldOptions } from "./world-options.ts";

export interface BenchFlags {
  readonly pgBin?: string;
  readonly quick?: boolean;
  readonly json?: string;
}

export async function runBench(flags: BenchFlags, _args: readonly [], io: Io): Promise<number> {
  requireHarness({ pgBin: flags.pgBin, links: false, tinybench: true });
  await checkOutputs({ json: flags.json });
  const options = await worldOptions(flags.pgBin === undefined ? {} : { pgBin: flags.pgBin });
  const [
    { startEmbeddedCluster },
    { measureDecision },
    { BENCH_TABLE_SQL, measureOverhead },
    { benchLines, brokenPromises, unjudgedPromises },
  ] = await Promise.all([
    import("../../sim/embedded/cluster.ts"),
    import("../../chaos/bench/decision.ts"),
    import("../../chaos/bench/overhead.ts"),
    import("../../chaos/bench/report.ts"),
  ]);
  io.stderr("decisions alone");
  const decision = await measureDecision();
  io.stderr("starting PostgreSQL");
  await using cluster = await startEmbeddedCluster({ signal: io.signal, ...options });
  for (const statement of BENCH_TABLE_SQL) await cluster.sql(cluster.primary, statement);
  await cluster.settled(10_000);
  const { application, database, sslRootCert } = cluster.credentials;
  const overhead = await measureOverhead({
    rig: {
      primary: cluster.endpoint(cluster.primary),
      replicas: cluster.replicas.map((node) => cluster.endpoint(node)),
      user: application.user,
      password: application.password,
      database,
      sslRootCert,
    },
    clock: systemClock,
    prng: createPrng(drawSeed()),
    quick: flags.quick === true,
    onProgress: (step) => {
      io.signal.throwIfAborted();
      io.stderr(step);
    },
  });
  const report = { schemaVersion: 1, decision, overhead } as const;
  if (flags.json !== "-") for (const line of benchLines(report)) io.stdout(line);
  if (flags.json !== undefined) await writeOutput(flags.json, `${JSON.stringify(report, null, 2)}\n`, io);
  const [broken, unjudged] = [brokenPromises(report), unjudgedPromises(report)];
  for (const line of [...broken, ...unjudged]) io.stderr(`fairlead: ${line}`);
  if (broken.length > 0) return EXIT.fell;
  return unjudged.length > 0 ? EXIT.unknown : EXIT.held;
}
