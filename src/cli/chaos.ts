/** `fairlead chaos`: break a real cluster on purpose and judge the router by what its clients saw. */
import { resolveConfig } from "../config/resolve.ts";
import { systemClock } from "../runtime/clock.ts";
import { drawSeed } from "../runtime/prng.ts";
import { chooseExperiment } from "./chaos-experiment.ts";
import type { Experiment } from "./chaos-experiment.ts";
import { deliver } from "./chaos-report.ts";
import { requireHarness } from "./harness.ts";
import { howToReach } from "./how-to-reach.ts";
import { EXIT, untilAborted } from "./io.ts";
import type { Io } from "./io.ts";
import { checkOutputs } from "./outputs.ts";
import { packageVersion } from "./package-version.ts";
import { reproduceCommand } from "./reproduce.ts";
import { openRunDirectory } from "./run-directory.ts";
import type { RunDirectory } from "./run-directory.ts";
import { worldOptions } from "./world-options.ts";
import type { WorldFlags } from "./world-options.ts";
import type { RunReport } from "../../chaos/report/report.ts";
import type { ProgressView } from "../../chaos/report/progress.ts";
import type { World } from "../../chaos/world.ts";
import type { EmbeddedWorld } from "../../sim/embedded/world.ts";

export interface ChaosFlags extends WorldFlags {
  readonly list?: boolean;
  readonly all?: boolean;
  readonly seed?: number;
  readonly config?: string;
  readonly envFile?: string;
  readonly subject?: string;
  readonly keep?: boolean;
  readonly out?: string;
  readonly json?: string;
  readonly junit?: string;
  readonly markdown?: string;
}

export async function runChaos(flags: ChaosFlags, names: readonly string[], io: Io): Promise<number> {
  if (flags.list === true) return await listScenarios(io);
  // Whatever can be wrong with what was asked for is found out before anything is started or written.
  const experiment = await chooseExperiment(flags, names);
  requireHarness({ pgBin: flags.pgBin, links: true, tinybench: false });
  const world = await worldOptions(flags);
  const seed = flags.seed ?? drawSeed();
  const directory = await openRunDirectory({ out: flags.out, seed });
  try {
    await checkOutputs({ json: flags.json, junit: flags.junit, markdown: flags.markdown });
    return exitCode(await run({ flags, io, experiment, world, seed, directory }));
  } finally {
    const isKept = await directory.settle();
    if (isKept && io.signal.aborted) io.stderr(`what was finished is in ${directory.path}`);
  }
}

async function listScenarios(io: Io): Promise<number> {
  const { scenarios } = await import("../../chaos/scenarios/index.ts");
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  for (const { name, title } of scenarios) io.stdout(`${name.padEnd(width)}  ${title}`);
  return EXIT.held;
}

interface RunInput {
  readonly flags: ChaosFlags;
  readonly io: Io;
  readonly experiment: Experiment;
  readonly world: WorldFlags;
  readonly seed: number;
  readonly directory: RunDirectory;
}

async function run({ flags, io, experiment, world, seed, directory }: RunInput): Promise<RunReport> {
  const [{ runSuite }, { threadHost }, { startEmbeddedWorld }, { openProgress }] = await Promise.all([
    import("../../chaos/runner.ts"),
    import("../../chaos/workload/thread.ts"),
    import("../../sim/embedded/world.ts"),
    import("../../chaos/report/progress.ts"),
  ]);
  const { scenarios, subject, policy, replicas } = experiment;
  const progress = openProgress({ clock: systemClock, line: io.stderr, screen: io.screen });
  let opened: EmbeddedWorld | undefined;
  let isDelivered = false;
  const deliverOnce = async (report: RunReport): Promise<void> => {
    progress.end();
    if (isDelivered) return;
    isDelivered = true;
    await deliver(report, { flags, io, directory: directory.path });
  };
  progress.note(heading(experiment, seed));
  progress.begin({ scenarios: scenarios.map(({ name }) => name) });
  try {
    const report = await runSuite({
      scenarios,
      subject,
      policy,
      seed,
      signal: io.signal,
      directory: directory.path,
      toolVersion: packageVersion,
      onProgress: (event) => progress.update(event),
      openHost: (options) =>
        threadHost({ ...options, onOutput: (line) => progress.note(`subject: ${line}`) }),
      reproduce: (scenario) => reproduceCommand(scenario, seed, flags),
      openWorld: async () => {
        const isFirst = opened === undefined;
        opened = await startEmbeddedWorld({
          seed,
          replicas,
          signal: io.signal,
          onProgress: (step) => progress.world(step),
          ...world,
        });
        if (isFirst) await noteConditions(opened, experiment, progress);
        return opened;
      },
      beforeClose: async (_world, report) => {
        await deliverOnce(report);
        if (flags.keep === true && report.status !== "pass" && opened !== undefined) await keep(opened, io);
      },
    });
    // A suite that lost its world has none to close.
    await deliverOnce(report);
    return report;
  } finally {
    progress.end();
  }
}

function heading({ scenarios, subject }: Experiment, seed: number): string {
  const name = subject.kind === "builtin" ? subject.name : subject.path;
  const count = `${scenarios.length} ${scenarios.length === 1 ? "scenario" : "scenarios"}`;
  return `fairlead ${packageVersion}: subject ${name}, seed ${seed}, ${count}`;
}

/** What it runs under, once, before anything is judged by it. */
async function noteConditions(world: World, { policy }: Experiment, progress: ProgressView): Promise<void> {
  const [{ describePolicy }, { budgetsInWords, policyInWords, worldInWords }] = await Promise.all([
    import("../../chaos/suite.ts"),
    import("../../chaos/report/policy-in-words.ts"),
  ]);
  const described = describePolicy(resolveConfig(policy(world.rig)));
  progress.note(`world    ${worldInWords({ kind: world.kind, ...world.describe() })}`);
  progress.note(`policy   ${policyInWords(described)}`);
  progress.note(`budgets  ${budgetsInWords(described)}`);
}

async function keep(world: EmbeddedWorld, io: Io): Promise<void> {
  // Not among what was written for a program to read.
  io.stderr("");
  for (const line of await howToReach(world)) io.stderr(line);
  io.stderr("--keep: the cluster stays up; Ctrl-C removes all of it.");
  await untilAborted(io.signal);
}

function exitCode(report: RunReport): number {
  switch (report.status) {
    case "pass":
      return EXIT.held;
    case "fail":
      return EXIT.fell;
    case "unknown":
      return EXIT.unknown;
  }
}
