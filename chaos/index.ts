/** `fairlead/chaos`: what it takes to write a scenario, a subject or a checker of one's own, and to run them. */
export { runScenario, runSuite } from "./runner.ts";
export type { Phase, Progress, ScenarioOptions, SuiteOptions } from "./runner.ts";
export { policyLike, suitePolicy, suiteWorkload } from "./suite.ts";
export type { PolicyFor } from "./suite.ts";
export { scenarios } from "./scenarios/index.ts";
export type { Scenario, Schedule, ScheduleInput, Step } from "./scenarios/scenario.ts";
export { builtinSubjects } from "./subjects/index.ts";
export type { Claim, Row, Subject, SubjectClient, SubjectOptions } from "./subject.ts";
export { checkers } from "./checkers/index.ts";
export type { CheckInput, Checker, Verdict, VerdictStatus } from "./checkers/checker.ts";
export { describeFault, faultTarget } from "./faults/fault.ts";
export type { Direction, Fault, FaultKind, LinkName, NodeName } from "./faults/fault.ts";
export { forEachOperation } from "./history/operations.ts";
export { readHistory, writeHistory } from "./history/jsonl.ts";
export type {
  Completion,
  Evidence,
  History,
  HistoryEntry,
  Invoke,
  NemesisOperation,
  RouterEvent,
} from "./history/operation.ts";
export { inlineHost } from "./workload/host.ts";
export type { OpenHost, SubjectHost, SubjectSource } from "./workload/host.ts";
export type { WorkloadSpec } from "./workload/spec.ts";
export { FaultNotObserved } from "./world.ts";
export type { ActiveFault, Capability, Cluster, Endpoint, Nemesis, Rig, World, WorldKind } from "./world.ts";
export type { RunReport, ScenarioResult, ScenarioStatus } from "./report/report.ts";
export { runReportJsonSchema } from "./report/schema.ts";
