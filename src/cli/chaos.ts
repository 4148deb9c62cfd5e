/** `fairlead chaos`: break a real cluster on purpose and judge the router by what its clients saw. */
import { stat } from "node:fs/promises";
import { loadConfig } from "../config/load.ts";
import { suggest } from "../config/suggest.ts";
import { drawSeed } from "../runtime/prng.ts";
import { requireHarness } from "./harness.ts";
import { howToReach } from "./how-to-reach.ts";
import { EXIT, UsageError } from "./io.ts";
import type { Io } from "./io.ts";
import { packageVersion } from "./package-version.ts";
import { openRunDirectory } from "./run-directory.ts";
import { toxiproxyChoice } from "./toxiproxy-choice.ts";
import { writeOutput } from "./write-output.ts";
import type { Scenario } from "../../chaos/scenarios/scenario.ts";
import type { RunReport } from "../../chaos/report/report.ts";
import type { SubjectSource } from "../../chaos/workload/host.ts";
import type { PolicyFor } from "../../chaos/suite.ts";

export interface ChaosFlags {
  readonly list: boolean;
  readonly seed?: number;
  readonly config?: string;
  readonly envFile?: string;
  readonly subject?: string;
  readonly toxiproxy?: string;
  readonly pgBin?: string;
  readonly keep: boolean;
  readonly out?: string;
  readonly json?: string;
  readonly junit?: string;
  readonly markdown?: string;
}

export async function runChaos(flags: ChaosFlags, names: readonly string[], io: Io): Promise<number> {
  const { scenarios } = await import("../../chaos/scenarios/index.ts");
  if (flags.list) {
    for (const { name, title } of scenarios) io.stdout(`${name.padEnd(20)} ${title}`);
    return EXIT.held;
  }
  const chosen = chooseScenarios(scenarios, names);
  const subject = await chooseSubject(flags.subject);
  const policy = await choosePolicy(flags);
  const toxiproxy = toxiproxyChoice(flags.toxiproxy);
  requireHarness({ pgBin: flags.pgBin, links: true, tinybench: false });
  const seed = flags.seed ?? drawSeed();
  const directory = await openRunDirectory(flags.out, seed);
  const report = await run({ flags, io, chosen, subject, policy, seed, directory, toxiproxy });
  await writeOutputs(report, flags, io, directory);
  return exitCode(report);
}

interface RunInput {
  readonly flags: ChaosFlags;
  readonly io: Io;
  readonly chosen: readonly Scenario[];
  readonly subject: SubjectSource;
  readonly policy: PolicyFor;
  readonly seed: number;
  readonly directory: string;
  readonly toxiproxy: { readonly toxiproxy?: string };
}

async function run({
  flags,
  io,
  chosen,
  subject,
  policy,
  seed,
  directory,
  toxiproxy,
}: RunInput): Promise<RunReport> {
  const [{ runSuite }, { startEmbeddedWorld }, { openProgress }] = await Promise.all([
    import("../../chaos/runner.ts"),
    import("../../sim/embedded/world.ts"),
    import("../../chaos/report/progress.ts"),
  ]);
  const progress = openProgress({ line: io.stderr, isTerminal: io.isTerminal });
  progress.begin({ seed, scenarios: chosen.map(({ name }) => name) });
  let opened: Awaited<ReturnType<typeof startEmbeddedWorld>> | undefined;
  try {
    return await runSuite({
      scenarios: chosen,
      subject,
      policy,
      seed,
      signal: io.signal,
      directory,
      toolVersion: packageVersion,
      onProgress: (event) => progress.update(event),
      reproduce: (scenario) => reproduceCommand(scenario, seed, flags),
      openWorld: async () => {
        opened = await startEmbeddedWorld({
          seed,
          signal: io.signal,
          onProgress: (step) => progress.world(step),
          ...toxiproxy,
          ...(flags.pgBin === undefined ? {} : { pgBin: flags.pgBin }),
        });
        return opened;
      },
      beforeClose: async (_world, report) => {
        progress.end();
        if (!flags.keep || report.status === "pass" || opened === undefined) return;
        await printReport(report, io);
        io.stdout("");
        for (const line of await howToReach(opened)) io.stdout(line);
        io.stdout("--keep: the cluster stays up until Ctrl-C.");
        await untilAborted(io.signal);
      },
    });
  } finally {
    progress.end();
  }
}

function chooseScenarios(all: readonly Scenario[], names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return all;
  const known = all.map(({ name }) => name);
  return names.map((name) => {
    const scenario = all.find((one) => one.name === name);
    if (scenario !== undefined) return scenario;
    const meant = suggest(name, known);
    const hint = meant === undefined ? "fairlead chaos --list shows them" : `did you mean ${meant}?`;
    throw new UsageError(`no scenario is called "${name}": ${hint}`);
  });
}

async function chooseSubject(flag: string | undefined): Promise<SubjectSource> {
  const { builtinSubjects } = await import("../../chaos/subjects/index.ts");
  const name = flag ?? "fairlead";
  if (Object.hasOwn(builtinSubjects, name)) return { kind: "builtin", name };
  const isFile = await stat(name).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile) return { kind: "module", path: name };
  const known = Object.keys(builtinSubjects);
  const meant = suggest(name, known);
  const hint = meant === undefined ? `there are ${known.join(", ")}` : `did you mean ${meant}?`;
  throw new UsageError(`--subject "${name}" is neither a file nor a subject's name: ${hint}`);
}

async function choosePolicy(flags: ChaosFlags): Promise<PolicyFor> {
  const { policyLike, suitePolicy } = await import("../../chaos/suite.ts");
  if (flags.config === undefined) return suitePolicy;
  return policyLike(await loadConfig(flags.config, { envFile: flags.envFile }));
}

function reproduceCommand(scenario: string, seed: number, flags: ChaosFlags): string {
  const rest = (["config", "envFile", "subject", "toxiproxy", "pgBin"] as const).flatMap((name) => {
    const value = flags[name];
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return value === undefined ? [] : [`--${flag} ${shellQuoted(value)}`];
  });
  return ["npx fairlead chaos", scenario, `--seed ${seed}`, ...rest].join(" ");
}

function shellQuoted(value: string): string {
  return /^[\w./:@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

async function printReport(report: RunReport, io: Io): Promise<void> {
  const { terminalReport } = await import("../../chaos/report/terminal.ts");
  for (const line of terminalReport(report, { color: process.stdout.isTTY })) io.stdout(line);
}

async function writeOutputs(report: RunReport, flags: ChaosFlags, io: Io, directory: string): Promise<void> {
  const [{ markdownReport }, { junitReport }] = await Promise.all([
    import("../../chaos/report/markdown.ts"),
    import("../../chaos/report/junit.ts"),
  ]);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  await writeOutput(`${directory}/report.json`, json, io);
  const stdoutIsTaken = [flags.json, flags.junit, flags.markdown].includes("-");
  if (!stdoutIsTaken && !(flags.keep && report.status !== "pass")) {
    await printReport(report, io);
    io.stdout(`history, logs and verdicts: ${directory}`);
  }
  if (flags.json !== undefined) await writeOutput(flags.json, json, io);
  if (flags.junit !== undefined) await writeOutput(flags.junit, junitReport(report), io);
  if (flags.markdown !== undefined) await writeOutput(flags.markdown, markdownReport(report), io);
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

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
