/** What the command line asks to be run: which scenarios, on which subject, under which policy. */
import { stat } from "node:fs/promises";
import { loadConfig } from "../config/load.ts";
import { suggest } from "../config/suggest.ts";
import { UsageError } from "./io.ts";
import type { Scenario } from "../../chaos/scenarios/scenario.ts";
import type { PolicyFor } from "../../chaos/suite.ts";
import type { SubjectSource } from "../../chaos/workload/host.ts";

export interface ExperimentFlags {
  readonly all?: boolean;
  readonly config?: string;
  readonly envFile?: string;
  readonly subject?: string;
}

export interface Experiment {
  readonly scenarios: readonly Scenario[];
  readonly subject: SubjectSource;
  readonly policy: PolicyFor;
  /** As many as the policy names. */
  readonly replicas: number;
}

/** Each is a PostgreSQL server on this machine, with a proxy and a share of the load. */
const MOST_REPLICAS = 8;

/** @throws UsageError or RouterError `CONFIG_INVALID` about what was asked for */
export async function chooseExperiment(
  flags: ExperimentFlags,
  names: readonly string[],
): Promise<Experiment> {
  const { scenarios } = await import("../../chaos/scenarios/index.ts");
  return {
    scenarios: chooseScenarios(scenarios, names, flags.all === true),
    subject: await chooseSubject(flags.subject),
    ...(await choosePolicy(flags)),
  };
}

function chooseScenarios(
  all: readonly Scenario[],
  names: readonly string[],
  withExtended: boolean,
): readonly Scenario[] {
  if (names.length === 0) return all.filter(({ extended }) => withExtended || extended !== true);
  if (withExtended) throw new UsageError("--all runs every scenario: leave the names out, or --all");
  const known = all.map(({ name }) => name);
  // Each writes into a folder of its own name, once.
  return [...new Set(names)].map((name) => {
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

async function choosePolicy(flags: ExperimentFlags): Promise<Pick<Experiment, "policy" | "replicas">> {
  const { policyLike, suitePolicy } = await import("../../chaos/suite.ts");
  if (flags.config === undefined) {
    if (flags.envFile !== undefined)
      throw new UsageError("--env-file is for the variables of --config FILE, which is not given");
    return { policy: suitePolicy, replicas: 3 };
  }
  const config = await loadConfig(flags.config, { envFile: flags.envFile });
  const replicas = config.replicas.length;
  if (replicas === 0) {
    throw new UsageError(
      `${flags.config} gives no replica to read from, so there is nothing to test: name some in db.readReplicas, with db.enableReadWriteSeparation: true`,
    );
  }
  if (replicas > MOST_REPLICAS) {
    throw new UsageError(
      `${flags.config} names ${replicas} replicas, and at most ${MOST_REPLICAS} are started on one machine: name fewer for this run`,
    );
  }
  return { policy: policyLike(config), replicas };
}
