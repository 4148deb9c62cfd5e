/**
 * One experiment, in any world: set up → steady → faults → heal → settle → final reads → check. And several of them, one
 * after the other on one cluster. Whatever goes wrong on the way is healed and closed, and said; it never counts as held.
 */
import { resolveConfig } from "../src/config/resolve.ts";
import { sleep, systemClock } from "../src/runtime/clock.ts";
import type { RouterConfig } from "../src/config/config.ts";
import { createPrng } from "../src/runtime/prng.ts";
import { overallStatus, runCheckers } from "./checkers/run-checkers.ts";
import type { Verdict } from "./checkers/checker.ts";
import { lookAtWrites } from "./experiment/final-state.ts";
import { faultReports, figuresOf } from "./experiment/figures.ts";
import { proofLines } from "./experiment/proof.ts";
import { countConnections, countUntilGone, watchConnections } from "./experiment/resources.ts";
import { injectEarly, runSteps } from "./experiment/run-steps.ts";
import type { EarlyFaults, FaultChange, StepsOptions } from "./experiment/run-steps.ts";
import { SteadyWatch, steadyTimeoutMs } from "./experiment/steady.ts";
import { writeRun } from "./experiment/write-run.ts";
import { describeFault, faultNode } from "./faults/fault.ts";
import type { History } from "./history/operation.ts";
import { Recorder } from "./history/recorder.ts";
import type { RunReport, ScenarioResult, ScenarioStatus } from "./report/report.ts";
import type { Scenario, Schedule } from "./scenarios/scenario.ts";
import type { Claim } from "./subject.ts";
import { describePolicy, suiteWorkload } from "./suite.ts";
import type { PolicyFor } from "./suite.ts";
import { Heartbeat } from "./workload/heartbeat.ts";
import { SubjectFailed } from "./workload/host.ts";
import type { OpenHost, SubjectHost, SubjectSource } from "./workload/host.ts";
import type { WorkloadSpec } from "./workload/spec.ts";
import type { HandleCounts } from "./workload/stage.ts";
import { createTables, DROP_TABLES } from "./workload/statements.ts";
import { threadHost } from "./workload/thread.ts";
import { FaultNotObserved } from "./world.ts";
import type { World } from "./world.ts";

export type Phase = "set up" | "steady" | "faults" | "close" | "settle" | "final reads" | "check" | "done";

export interface Progress {
  readonly scenario: string;
  readonly phase: Phase;
  /** What just happened, in a few words. */
  readonly detail?: string;
  /** When that was a fault: whether it is on now. */
  readonly fault?: FaultChange;
  /** With `done`. */
  readonly result?: ScenarioResult;
}

interface SharedOptions {
  readonly subject: SubjectSource;
  readonly policy: PolicyFor;
  readonly seed: number;
  /** Ends the run wherever it is; everything is healed and closed before it rejects. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** The run's folder: each scenario writes its history, verdicts and logs into a folder of its own there. Default: nothing is written. */
  readonly directory?: string | undefined;
  /** Where the subject lives. Default: a thread of its own. */
  readonly openHost?: OpenHost | undefined;
  /** The one command that runs a scenario again. Default: `npx fairlead chaos <scenario> --seed <seed>`. */
  readonly reproduce?: ((scenario: string) => string) | undefined;
}

export interface ScenarioOptions extends SharedOptions {
  readonly world: World;
  /** Told when the cluster may not be used again: it did not settle, or could not be healed. */
  readonly onWorldSpoiled?: ((reason: string) => void) | undefined;
}

const SETTLE_TIMEOUT_MS = 20_000;
const STEADY_POLL_MS = 10;

/**
 * Runs one scenario and judges it.
 * @throws the signal's reason when it aborts, after cleaning up. Everything else that can happen is in the result.
 */
export async function runScenario(scenario: Scenario, options: ScenarioOptions): Promise<ScenarioResult> {
  const { world, onProgress } = options;
  options.signal?.throwIfAborted();
  const missing = scenario.needs.filter((need) => !world.capabilities.has(need));
  const startedAt = world.clock.now();
  const result =
    missing.length > 0
      ? unjudged(scenario, options, {
          status: "skipped",
          reason: `this world (${world.kind}) cannot do: ${missing.join(", ")}`,
          tookMs: 0,
        })
      : await perform(scenario, options).catch((error: unknown) => {
          // Only what was thrown before anything was up, such as a policy that does not fit this world.
          options.signal?.throwIfAborted();
          const tookMs = Math.round(world.clock.now() - startedAt);
          return unjudged(scenario, options, { status: "unknown", reason: messageOf(error), tookMs });
        });
  onProgress?.({ scenario: scenario.name, phase: "done", result });
  return result;
}

async function perform(scenario: Scenario, options: ScenarioOptions): Promise<ScenarioResult> {
  const { world, directory } = options;
  const run = new Run(scenario, options);
  const startedAt = world.clock.now();
  await run.experiment();
  const history = run.finish();
  run.progress("check");
  const { policy, claims } = run;
  const { status, verdicts } = run.isJudgeable
    ? runCheckers(
        scenario.checkers,
        {
          history,
          policy,
          primary: world.cluster.primary,
          replicas: policy.replicas.map(({ name }) => name),
          ...run.measured,
        },
        claims,
      )
    : run.startVerdict === undefined
      ? { status: "unknown" as const, verdicts: [] }
      : { status: "fail" as const, verdicts: [run.startVerdict] };
  const result: ScenarioResult = {
    scenario: scenario.name,
    title: scenario.title,
    ...verdictOf(status, verdicts, run.troubles),
    seed: options.seed,
    tookMs: Math.round(world.clock.now() - startedAt),
    verdicts,
    faults: faultReports(history, ({ fault }) => describeFault(fault)),
    figures: figuresOf({ history, ...run.measured }),
    proof: proofLines(history, verdicts),
    reproduce: reproduceCommand(scenario.name, options),
    directory: scenario.name,
  };
  if (directory !== undefined) await writeRun({ directory, world, history, result, measured: run.measured });
  return result;
}

/** A fault that fell is a fault, whatever else could not be judged. */
function verdictOf(
  status: ScenarioStatus,
  verdicts: readonly Verdict[],
  troubles: readonly string[],
): Pick<ScenarioResult, "status" | "reason"> {
  const doubts = verdicts.filter((verdict) => verdict.status === "unknown" && verdict.informational !== true);
  const [
    reason = status === "unknown"
      ? doubts.map(({ checker, summary }) => `${checker}: ${summary}`)[0]
      : undefined,
  ] = troubles;
  return {
    status: status === "pass" && troubles.length > 0 ? "unknown" : status,
    ...(reason === undefined ? {} : { reason }),
  };
}

function unjudged(
  scenario: Scenario,
  options: SharedOptions,
  found: { readonly status: "skipped" | "unknown"; readonly reason: string; readonly tookMs: number },
): ScenarioResult {
  return {
    scenario: scenario.name,
    title: scenario.title,
    ...found,
    seed: options.seed,
    verdicts: [],
    faults: [],
    proof: [],
    reproduce: reproduceCommand(scenario.name, options),
    directory: scenario.name,
  };
}

function reproduceCommand(scenario: string, { seed, subject, reproduce }: SharedOptions): string {
  if (reproduce !== undefined) return reproduce(scenario);
  const name = subject.kind === "builtin" ? subject.name : subject.path;
  return `npx fairlead chaos ${scenario} --seed ${seed}${name === "fairlead" ? "" : ` --subject ${name}`}`;
}

/** Who cannot answer when the subject starts. */
function absentAtStart({ steps }: Schedule): ReadonlySet<string> {
  const early = steps.flatMap((step) => (step.kind === "fault" && step.beforeStart === true ? [step] : []));
  return new Set(early.map(({ fault }) => faultNode(fault)).filter((node) => node !== undefined));
}

/** The state of one run: what has been set up, and what has to be taken down. */
class Run {
  readonly policy: RouterConfig;
  readonly troubles: string[] = [];
  readonly measured = { from: 0, until: 0 };
  claims: readonly Claim[] = [];
  /** What there is to say of a subject that had to start under faults and did not. */
  startVerdict: Verdict | undefined;
  /** Whether the workload ran to its end: half a history says nothing about what never came. */
  isJudgeable = false;
  readonly #scenario: Scenario;
  readonly #options: ScenarioOptions;
  readonly #recorder = new Recorder();
  readonly #own = this.#recorder.source();
  readonly #originMs: number;
  readonly #applicationName: string;
  readonly #schedule: Schedule;
  readonly #spec: WorkloadSpec;
  readonly #steady: SteadyWatch;
  /** Aborts when the run has to end: told to, or its subject is gone. */
  #end: AbortSignal = new AbortController().signal;

  constructor(scenario: Scenario, options: ScenarioOptions) {
    const { world, seed } = options;
    this.#scenario = scenario;
    this.#options = options;
    this.#originMs = world.clock.now();
    this.#applicationName = `fairlead chaos ${scenario.name}`.slice(0, 63);
    this.policy = resolveConfig(this.#policyInput());
    this.#spec = { ...suiteWorkload(this.policy), ...scenario.workload };
    this.#schedule = scenario.schedule({
      policy: this.policy,
      primary: world.cluster.primary,
      replicas: this.policy.replicas.map(({ name }) => name),
      prng: createPrng(seed).stream(`scenario ${scenario.name}`),
    });
    this.#steady = new SteadyWatch(this.policy, this.#spec, absentAtStart(this.#schedule));
  }

  /** Resolves when all is closed, with whatever went wrong in {@link troubles}; rejects only when it was told to end. */
  async experiment(): Promise<void> {
    const { signal } = this.#options;
    try {
      await this.#underLoad();
      await this.#finalReads();
    } catch (error) {
      signal?.throwIfAborted();
      this.troubles.push(messageOf(error));
      if (!(error instanceof SubjectFailed)) this.#spoiled(messageOf(error));
    }
  }

  finish(): History {
    return this.#recorder.finish();
  }

  progress(phase: Phase, detail?: string, fault?: FaultChange): void {
    this.#options.onProgress?.({
      scenario: this.#scenario.name,
      phase,
      ...(detail === undefined ? {} : { detail }),
      ...(fault === undefined ? {} : { fault }),
    });
  }

  async #underLoad(): Promise<void> {
    const { world, signal, openHost = threadHost } = this.#options;
    const { clock, cluster } = world;
    this.progress("set up");
    await using host = openHost({
      setting: this.#setting(),
      subject: this.#options.subject,
      receive: (batch) => this.#receive(batch),
    });
    this.#end = signal === undefined ? host.lost : AbortSignal.any([signal, host.lost]);
    // Only while it is waited for is a host that is lost a failure of this run.
    const [facts] = await Promise.all([
      this.#unlessEnded(host.load()),
      this.#unlessEnded(this.#createTables()),
    ]);
    this.claims = facts.claims;
    await this.#resources("before-start", facts.handles);
    await using heartbeat = new Heartbeat({
      clock,
      connect: () => cluster.connect(cluster.primary),
      everyMs: this.#spec.heartbeatMs,
      record: this.#recordTo(this.#recorder.source()),
      originMs: this.#originMs,
      process: this.#spec.sessions,
    });
    try {
      const stepsOptions = this.#stepsOptions(host, heartbeat);
      const early = await injectEarly(this.#schedule.steps, stepsOptions);
      await this.#connect(host, early);
      await this.#steadyState(host);
      await this.#faults(host, stepsOptions, early);
    } finally {
      // Before the subject closes, so that it finds every server where it left it.
      await this.#healAll();
    }
    await this.#close(host);
  }

  /** Fresh ones on every node, so that the subject cannot meet one that has not been replicated yet. */
  async #createTables(): Promise<void> {
    const { cluster, rig } = this.#options.world;
    for (const statement of createTables(rig.user)) await cluster.sql(cluster.primary, statement);
    await cluster.settled(SETTLE_TIMEOUT_MS);
  }

  /** Without a fault nobody knows whose fault it is that a subject does not start; under one, that is what it had to do. */
  async #connect(host: SubjectHost, early: EarlyFaults): Promise<void> {
    try {
      await this.#unlessEnded(host.connect());
    } catch (error) {
      if (early.size > 0 && error instanceof SubjectFailed) {
        const on = [...early.keys()].flatMap((step) =>
          step.kind === "fault" ? [describeFault(step.fault)] : [],
        );
        this.startVerdict = {
          checker: "start",
          status: "fail",
          summary: `under ${on.join(", ")}: ${messageOf(error)}`,
          evidence: 1,
          figures: {},
          proof: [],
        };
      }
      throw error;
    }
  }

  async #steadyState(host: SubjectHost): Promise<void> {
    const { clock } = this.#options.world;
    await this.#unlessEnded(host.begin());
    const deadline = clock.now() + steadyTimeoutMs(this.policy);
    while (!this.#steady.isSteady && clock.now() < deadline) await sleep(clock, STEADY_POLL_MS, this.#end);
    this.measured.from = this.#now();
    this.progress(
      "steady",
      this.#steady.isSteady ? undefined : `measured although there was no sign of ${this.#steady.missing}`,
    );
  }

  #stepsOptions(host: SubjectHost, heartbeat: Heartbeat): StepsOptions {
    const { clock, nemesis } = this.#options.world;
    return {
      clock,
      nemesis,
      record: this.#recordTo(this.#own),
      originMs: this.#originMs,
      signal: this.#end,
      quiet: async (on) => {
        const own = on ? heartbeat.gate.close() : heartbeat.gate.open();
        await Promise.all([host.quiet(on), own]);
      },
      onStep: (what, fault) => this.progress("faults", what, fault),
    };
  }

  async #faults(host: SubjectHost, stepsOptions: StepsOptions, early: EarlyFaults): Promise<void> {
    const { world } = this.#options;
    const watching = new AbortController();
    const watched = watchConnections({
      ...this.#asking(),
      signal: watching.signal,
      onSample: (serverConnections) =>
        this.#own.append({ type: "resources", phase: "running", at: this.#now(), serverConnections }),
    });
    try {
      this.progress("faults");
      const troubles = await runSteps(this.#schedule.steps, stepsOptions, early);
      this.troubles.push(...troubles);
      await sleep(world.clock, this.#schedule.watchMs, this.#end);
      this.measured.until = this.#now();
      await this.#unlessEnded(host.stop());
      this.isJudgeable = true;
    } finally {
      if (this.measured.until === 0) this.measured.until = this.#now();
      watching.abort();
      await watched;
    }
  }

  async #close(host: SubjectHost): Promise<void> {
    this.progress("close");
    let handles: HandleCounts | undefined;
    try {
      handles = await this.#unlessEnded(host.close());
    } catch (error) {
      if (!(error instanceof SubjectFailed)) throw error;
      // It has been judged under load already; what it holds now is still to be seen.
      this.troubles.push(error.message);
    }
    await this.#resources("after-end", handles);
  }

  async #finalReads(): Promise<void> {
    const { cluster } = this.#options.world;
    this.progress("settle");
    await this.#unlessEnded(cluster.settled(SETTLE_TIMEOUT_MS));
    this.progress("final reads");
    const look = await this.#unlessEnded(lookAtWrites(cluster));
    this.#own.append({ type: "final", at: this.#now(), ...look });
    await cluster.sql(cluster.primary, DROP_TABLES);
  }

  async #healAll(): Promise<void> {
    try {
      await this.#options.world.nemesis.healAll();
    } catch (error) {
      const reason = `not everything could be healed: ${messageOf(error)}`;
      this.troubles.push(reason);
      this.#spoiled(reason);
      // The world's own tools are gone: what clients saw may have been their doing.
      if (!(error instanceof FaultNotObserved)) this.isJudgeable = false;
    }
  }

  async #resources(phase: "before-start" | "after-end", handles: HandleCounts | undefined): Promise<void> {
    const count = phase === "after-end" ? countUntilGone : countConnections;
    const serverConnections = await this.#unlessEnded(count(this.#asking()));
    this.#own.append({
      type: "resources",
      phase,
      at: this.#now(),
      serverConnections,
      ...(handles === undefined ? {} : { handles }),
    });
  }

  #asking(): { cluster: World["cluster"]; clock: World["clock"]; applicationName: string } {
    const { cluster, clock } = this.#options.world;
    return { cluster, clock, applicationName: this.#applicationName };
  }

  #receive(batch: Parameters<Recorder["receive"]>[1]): void {
    for (const draft of batch.drafts) this.#steady.note(draft);
    this.#recorder.receive("subject", batch);
  }

  #recordTo(source: ReturnType<Recorder["source"]>): (draft: Parameters<typeof source.append>[0]) => number {
    return (draft) => source.append(draft);
  }

  #policyInput(): ReturnType<PolicyFor> {
    const input = this.#options.policy(this.#options.world.rig);
    return { db: { ...input.db, applicationName: this.#applicationName } };
  }

  #setting(): Parameters<OpenHost>[0]["setting"] {
    const { world, seed } = this.#options;
    return {
      rig: world.rig,
      policy: this.#policyInput(),
      applicationName: this.#applicationName,
      seed,
      spec: this.#spec,
      originMs: this.#originMs,
    };
  }

  /** What does not listen to a signal by itself is left behind when the run has to end; its host is disposed of. */
  #unlessEnded<T>(task: Promise<T>): Promise<T> {
    const signal = this.#end;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      task.finally(() => signal.removeEventListener("abort", onAbort)).then(resolve, reject);
    });
  }

  #spoiled(reason: string): void {
    this.#options.onWorldSpoiled?.(reason);
  }

  #now(): number {
    return this.#options.world.clock.now() - this.#originMs;
  }
}

export interface SuiteOptions extends SharedOptions {
  readonly scenarios: readonly Scenario[];
  /** Brings a world up. Asked once, and again when a scenario left one that cannot be used any more. */
  readonly openWorld: () => Promise<World>;
  /** Of this package, for the report. */
  readonly toolVersion: string;
  /** Called before the last world is closed, with the report: for whoever wants to look at it. */
  readonly beforeClose?: ((world: World, report: RunReport) => Promise<void>) | undefined;
}

/**
 * Runs scenarios one after the other on one cluster. One that was left unusable is thrown away, and the next scenario gets
 * another.
 * @throws the signal's reason when it aborts, and what `openWorld` throws at the start; the world is closed in any case
 */
export async function runSuite(options: SuiteOptions): Promise<RunReport> {
  const { subject, onProgress } = options;
  const startedAt = systemClock.now();
  const wallTime = systemClock.wallTime();
  let world: World | undefined = await options.openWorld();
  try {
    const about = { kind: world.kind, ...world.describe() };
    const policy = describePolicy(resolveConfig(options.policy(world.rig)));
    const results: ScenarioResult[] = [];
    let spoiled: string | undefined;
    for (const scenario of options.scenarios) {
      if (spoiled !== undefined) {
        await world?.[Symbol.asyncDispose]();
        world = undefined;
        world = await options.openWorld().catch((error: unknown) => {
          options.signal?.throwIfAborted();
          spoiled = `there is no world to run in: ${messageOf(error)}`;
          return undefined;
        });
      }
      if (world === undefined) {
        const result = unjudged(scenario, options, { status: "unknown", reason: spoiled ?? "", tookMs: 0 });
        onProgress?.({ scenario: scenario.name, phase: "done", result });
        results.push(result);
        continue;
      }
      spoiled = undefined;
      const onWorldSpoiled = (reason: string): void => {
        spoiled = reason;
      };
      results.push(await runScenario(scenario, { ...options, world, onWorldSpoiled }));
    }
    const report: RunReport = {
      schemaVersion: 1,
      tool: { name: "fairlead", version: options.toolVersion },
      startedAt: new Date(wallTime).toISOString(),
      tookMs: Math.round(systemClock.now() - startedAt),
      seed: options.seed,
      subject: subject.kind === "builtin" ? subject.name : subject.path,
      world: about,
      policy,
      scenarios: results,
      status: suiteStatus(results),
    };
    if (world !== undefined) await options.beforeClose?.(world, report);
    return report;
  } finally {
    await world?.[Symbol.asyncDispose]();
  }
}

/** What was skipped counts for nothing: when all was, nothing has been judged. */
function suiteStatus(results: readonly ScenarioResult[]): RunReport["status"] {
  return overallStatus(results.flatMap(({ status }) => (status === "skipped" ? [] : [status])));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
