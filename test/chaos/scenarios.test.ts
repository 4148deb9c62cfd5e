import { describe, expect, test } from "vitest";
import { faultTarget } from "../../chaos/faults/fault.ts";
import { scenarios } from "../../chaos/scenarios/index.ts";
import { replicaSlow } from "../../chaos/scenarios/replica-slow.ts";
import type { Schedule } from "../../chaos/scenarios/scenario.ts";
import { suiteWorkload } from "../../chaos/suite.ts";
import { budgets } from "../../src/config/budgets.ts";
import type { RouterConfig } from "../../src/config/config.ts";
import { createPrng } from "../../src/runtime/prng.ts";
import { testPolicy } from "./history-builder.ts";

const REPLICAS = ["replica-1", "replica-2", "replica-3"];
const FAST = testPolicy({ slowStartMs: 1000 });

function scheduleOf(name: string, policy: RouterConfig = FAST, seed = 1): Schedule {
  const scenario = scenarios.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`no scenario is called ${name}`);
  return scenario.schedule({ policy, primary: "primary", replicas: REPLICAS, prng: createPrng(seed) });
}

const faultsOf = (schedule: Schedule) =>
  schedule.steps.flatMap((step) => (step.kind === "fault" ? [step] : []));

/** From the steady state to the end, when every heal takes no time. */
function lengthMs({ steps, watchMs }: Schedule): number {
  return Math.max(0, ...steps.map(({ atMs, forMs }) => atMs + forMs)) + watchMs;
}

describe.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", (name, scenario) => {
  test("says what it needs: every kind of fault that it plans", () => {
    for (let seed = 0; seed < 20; seed++) {
      const kinds = faultsOf(scheduleOf(name, FAST, seed)).map(({ fault }) => fault.kind);
      expect(scenario.needs).toEqual(expect.arrayContaining(kinds));
    }
  });

  test("takes four times as long under a policy that is four times as slow, up to what does not scale", () => {
    const slow = testPolicy({
      slowStartMs: 4000,
      replicaLagThresholdMs: 4000,
      readmitLagThresholdMs: 3200,
      healthCheck: { intervalMs: 800, timeoutMs: 800, fall: 2, rise: 2 },
    });
    const [fastMs, slowMs] = [lengthMs(scheduleOf(name)), lengthMs(scheduleOf(name, slow))];
    expect(slowMs).toBeGreaterThan(1.9 * fastMs);
    expect(slowMs).toBeLessThanOrEqual(4 * fastMs + 3000);
  });

  test("follows from its seed", () => {
    expect(scheduleOf(name, FAST, 7)).toEqual(scheduleOf(name, FAST, 7));
  });

  test("takes no more than eight seconds of the suite", () => {
    expect(lengthMs(scheduleOf(name))).toBeLessThan(8500);
  });

  test("is judged by something", () => {
    expect(scenario.checkers.length).toBeGreaterThan(0);
    expect(new Set(scenario.checkers.map((checker) => checker.name)).size).toBe(scenario.checkers.length);
  });
});

test("names are unique", () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
});

test.each([
  "replica-killed",
  "replica-black-hole",
  "all-replicas-lost",
  "replica-frozen",
  "replica-refused",
  "replica-trickle",
  "syn-black-hole",
  "boot-with-dead-replica",
])(
  "%s lasts beyond the detection budget, so that reads are asked of a node that must have been left",
  (name) => {
    for (const { forMs } of faultsOf(scheduleOf(name))) {
      expect(forMs).toBeGreaterThanOrEqual(budgets(FAST).stallMs + 500);
    }
  },
);

test.each(["replay-paused", "replication-cut", "replication-feedback-slow"])(
  "%s lasts beyond the lag budget",
  (name) => {
    const { staleMs } = budgets(FAST);
    for (const { forMs } of faultsOf(scheduleOf(name))) expect(forMs).toBeGreaterThan(Number(staleMs) + 250);
  },
);

test("replication-cut cuts with a noise or silently, by its seed", () => {
  const kinds = [...Array(20).keys()].map((seed) => {
    const [cut] = faultsOf(scheduleOf("replication-cut", FAST, seed));
    return cut?.fault.kind;
  });
  expect(new Set(kinds)).toEqual(new Set(["link-down", "link-black-hole"]));
});

test("replication-slow delays data beyond any budget, replication-feedback-slow only what is said of them", () => {
  const [slow] = faultsOf(scheduleOf("replication-slow"));
  expect(slow?.fault).toMatchObject({ kind: "link-latency", latencyMs: 2000, direction: "downstream" });
  const feedback = faultsOf(scheduleOf("replication-feedback-slow")).map(({ fault }) => fault);
  expect(feedback.map(faultTarget)).toEqual(REPLICAS.map((replica) => `replication:${replica}`));
  for (const fault of feedback) expect(fault).toMatchObject({ latencyMs: 2000, direction: "upstream" });
});

test("replica-flapping is back for less than a return takes, each time", () => {
  const downs = faultsOf(scheduleOf("replica-flapping"));
  expect(downs.map(({ atMs, forMs }) => [atMs, forMs])).toEqual([
    [250, 400],
    [1050, 400],
    [1850, 400],
  ]);
});

test.each(["primary-frozen", "router-cut-off"])("%s lasts for longer than the lag threshold", (name) => {
  for (const { forMs } of faultsOf(scheduleOf(name))) expect(forMs).toBe(2000);
});

test("boot-with-dead-replica has one replica refuse and another one silent before the router starts", () => {
  const silences = new Set<string | undefined>();
  for (let seed = 0; seed < 20; seed++) {
    const faults = faultsOf(scheduleOf("boot-with-dead-replica", FAST, seed));
    expect(faults.map(({ beforeStart }) => beforeStart)).toEqual([true, true]);
    expect(new Set(faults.map(({ fault }) => faultTarget(fault))).size).toBe(2);
    expect(faults[0]?.fault.kind).toBe("link-down");
    silences.add(faults[1]?.fault.kind);
  }
  expect(silences).toEqual(new Set(["link-black-hole", "link-syn-black-hole"]));
});

test("all-replicas-lost hits every replica at the same time, one of them silently", () => {
  const faults = faultsOf(scheduleOf("all-replicas-lost"));
  expect(new Set(faults.map(({ atMs }) => atMs)).size).toBe(1);
  const hit = faults.map(({ fault }) => ("link" in fault ? fault.link.replace("app:", "") : fault.node));
  expect(hit.sort()).toEqual(REPLICAS);
  expect(faults.filter(({ fault }) => fault.kind === "link-black-hole")).toHaveLength(1);
});

test("primary-lost is away for longer than the lag threshold, both times, one after the other", () => {
  const [killed, cut] = faultsOf(scheduleOf("primary-lost"));
  expect(killed).toMatchObject({ forMs: 2000, fault: { kind: "node-killed", node: "primary" } });
  expect(cut).toMatchObject({ forMs: 2000, fault: { kind: "link-down", link: "app:primary" } });
  expect(cut?.atMs).toBeGreaterThan((killed?.atMs ?? 0) + 2000);
});

test("idle-primary keeps each of its gaps open for longer than the threshold, all of them while writers are quiet", () => {
  const schedule = scheduleOf("idle-primary");
  const quiet = schedule.steps.find(({ kind }) => kind === "quiet");
  for (const { atMs, forMs } of faultsOf(schedule)) {
    expect(forMs).toBeGreaterThan(1000);
    expect(atMs + forMs).toBeLessThan((quiet?.atMs ?? 0) + (quiet?.forMs ?? 0));
  }
  expect(faultsOf(schedule)).toHaveLength(4);
});

test("a session waits for longer than any stall that is legal", () => {
  expect(suiteWorkload(FAST).giveUpMs).toBeGreaterThan(3 * budgets(FAST).stallMs);
});

describe("storm", () => {
  const seeds = Array.from({ length: 50 }, (_, seed) => seed);

  test("heals the primary and one replica, and leaves the others broken", () => {
    for (const seed of seeds) {
      const last = new Map(
        faultsOf(scheduleOf("storm", FAST, seed)).map((step) => [step.lane, step.staysOn === true]),
      );
      expect(last.get("primary")).toBe(false);
      expect(REPLICAS.filter((node) => last.get(node) === true)).toHaveLength(2);
    }
  });

  test("never has two faults on one node at a time: all of a node's are in one lane", () => {
    for (const { fault, lane } of seeds.flatMap((seed) => faultsOf(scheduleOf("storm", FAST, seed)))) {
      expect("link" in fault ? fault.link.split(":")[1] : fault.node).toBe(lane);
    }
  });

  test("leaves kinds out in one run and not in another, and uses them all in the long run", () => {
    const kinds = seeds.map(
      (seed) => new Set(faultsOf(scheduleOf("storm", FAST, seed)).map(({ fault }) => fault.kind)),
    );
    expect(new Set(kinds.map((of) => [...of].sort().join())).size).toBeGreaterThan(20);
    const needs = scenarios.find(({ name }) => name === "storm")?.needs ?? [];
    expect(new Set(kinds.flatMap((of) => [...of]))).toEqual(new Set(needs));
  });
});

test("replica-slow answers later than a probe may take, for as long as must be noticed twice over", () => {
  const { steps } = replicaSlow.schedule({
    policy: FAST,
    primary: "primary",
    replicas: REPLICAS,
    prng: createPrng(1),
  });
  expect(steps).toMatchObject([{ fault: { kind: "link-latency", latencyMs: 500, direction: "downstream" } }]);
  expect(steps[0]?.forMs).toBeGreaterThan(2 * budgets(FAST).stallMs);
});
