import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { availability } from "../../chaos/checkers/availability.ts";
import { writeSafety } from "../../chaos/checkers/write-safety.ts";
import type { Checker } from "../../chaos/checkers/checker.ts";
import { readHistory } from "../../chaos/history/jsonl.ts";
import { runScenario, runSuite } from "../../chaos/runner.ts";
import type { Progress, ScenarioOptions } from "../../chaos/runner.ts";
import type { Scenario } from "../../chaos/scenarios/scenario.ts";
import type { Subject } from "../../chaos/subject.ts";
import { inlineHost } from "../../chaos/workload/host.ts";
import type { World } from "../../chaos/world.ts";
import { FaultNotObserved, FakeWorld, fakePolicy, fakeSubject } from "./fake-world.ts";

const SCENARIO: Scenario = {
  name: "kill",
  title: "A replica is killed and comes back.",
  needs: ["node-killed"],
  workload: { ratePerSecond: 500, sessions: 20, giveUpMs: 200 },
  schedule: () => ({
    steps: [{ kind: "fault", atMs: 20, forMs: 50, fault: { kind: "node-killed", node: "replica-1" } }],
    watchMs: 50,
  }),
  checkers: [availability, writeSafety],
};

let world = new FakeWorld();
afterEach(() => {
  world = new FakeWorld();
});

function options(
  subject: Subject = fakeSubject(world),
  changes: Partial<ScenarioOptions> = {},
): ScenarioOptions {
  return {
    world,
    subject: { kind: "builtin", name: subject.name },
    openHost: inlineHost(subject),
    policy: fakePolicy,
    seed: 1,
    ...changes,
  };
}

describe("a run", () => {
  test("goes through its phases in order and ends with verdicts, faults and figures", async () => {
    const phases: string[] = [];
    const result = await runScenario(
      SCENARIO,
      options(undefined, { onProgress: ({ phase }: Progress) => void phases.push(phase) }),
    );
    expect(result).toMatchObject({ status: "pass", scenario: "kill", seed: 1, proof: [] });
    expect(result.verdicts.map(({ checker, status }) => `${checker} ${status}`)).toEqual([
      "availability pass",
      "write-safety pass",
    ]);
    expect(result.faults).toMatchObject([{ fault: "node-killed replica-1" }]);
    expect(result.figures?.reads).toBeGreaterThan(10);
    expect(result.figures?.shares["replica-1"]).toBeCloseTo(1 / 3, 1);
    expect([...new Set(phases)]).toEqual([
      "set up",
      "steady",
      "faults",
      "close",
      "settle",
      "final reads",
      "check",
      "done",
    ]);
    expect(world.calls).toEqual(["settled", "inject node-killed", "heal node-killed", "healAll", "settled"]);
    expect(world.openConnections).toBe(0);
    expect(result.reproduce).toBe("npx fairlead chaos kill --seed 1 --subject fake");
  });

  test("leaves its history, testimony and verdicts in a folder of its own", async () => {
    const directory = await mkdtemp(join(tmpdir(), "fairlead-test-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const result = await runScenario(SCENARIO, options(undefined, { directory }));
    const { about, history } = await readHistory(join(directory, "kill", "history.jsonl"));
    expect(about).toMatchObject({ scenario: "kill", seed: 1 });
    expect(history.filter(({ type }) => type === "final")).toHaveLength(1);
    const verdicts = await readFile(join(directory, "kill", "verdicts.json"), "utf8");
    expect(JSON.parse(verdicts)).toMatchObject({ status: result.status, verdicts: result.verdicts });
    for (const file of ["history.jsonl", "events.jsonl", "verdicts.json"]) {
      expect(await readFile(join(directory, "kill", file), "utf8")).not.toContain("secret");
    }
  });

  test("in a world that cannot do what it needs is skipped, with what is missing, and touches nothing", async () => {
    world = new FakeWorld({ capabilities: ["replay-paused"] });
    const result = await runScenario(SCENARIO, options());
    expect(result).toMatchObject({
      status: "skipped",
      reason: "this world (virtual) cannot do: node-killed",
      verdicts: [],
    });
    expect(world.calls).toEqual([]);
  });

  test("whose subject loses a write falls, with the operations that prove it", async () => {
    const lossy = fakeSubject(world, {
      write: async () => [{ node: "primary", standby: false, heartbeat: 1, backend: 1 }],
    });
    const result = await runScenario(SCENARIO, options(lossy));
    expect(result.status).toBe("fail");
    expect(result.proof.join("\n")).toMatch(/write-safety: write \d+ was acknowledged and is lost/);
    expect(result.proof.length).toBeGreaterThan(1);
  });

  test("whose checker crashes is unknown, not held", async () => {
    const crashing: Checker = {
      name: "crashing",
      guarantee: "none",
      check: () => {
        throw new Error("out of order");
      },
    };
    const result = await runScenario({ ...SCENARIO, checkers: [crashing] }, options());
    expect(result).toMatchObject({ status: "unknown", reason: expect.stringContaining("out of order") });
  });

  test("without a checker has judged nothing", async () => {
    const result = await runScenario({ ...SCENARIO, checkers: [] }, options());
    expect(result.status).toBe("unknown");
  });
});

describe("what goes wrong", () => {
  test("a fault that nobody saw leaves the run unknown, recorded as never observed", async () => {
    world = new FakeWorld({
      inject: (fault) => Promise.reject(new FaultNotObserved(fault, "inject", "it still answers")),
    });
    const result = await runScenario(SCENARIO, options());
    expect(result).toMatchObject({
      status: "unknown",
      reason: "inject of node-killed was not observed: it still answers",
      faults: [{ injectObservedAtMs: null, healBegunAtMs: null }],
    });
    expect(world.calls).toContain("healAll");
  });

  test("a violation beats a fault that nobody saw", async () => {
    world = new FakeWorld({
      inject: (fault) => Promise.reject(new FaultNotObserved(fault, "inject", "it still answers")),
    });
    const lossy = fakeSubject(world, {
      write: async () => [{ node: "primary", standby: false, heartbeat: 1, backend: 1 }],
    });
    expect((await runScenario(SCENARIO, options(lossy))).status).toBe("fail");
  });

  test("a subject that throws on connect is unknown, with what it said", async () => {
    const broken: Subject = {
      name: "broken",
      claims: [],
      connect: () => Promise.reject(new Error("no such host")),
    };
    const result = await runScenario(SCENARIO, options(broken));
    expect(result).toMatchObject({
      status: "unknown",
      reason: "the subject did not connect: no such host",
      verdicts: [],
    });
    expect(world.openConnections).toBe(0);
  });

  describe("with a fault that is on before the start", () => {
    const early: Scenario = {
      ...SCENARIO,
      schedule: () => ({
        steps: [
          {
            kind: "fault",
            atMs: 0,
            forMs: 20,
            fault: { kind: "node-killed", node: "replica-1" },
            beforeStart: true,
          },
        ],
        watchMs: 50,
      }),
    };

    test("has the subject connect under it, and does not wait for who is not there", async () => {
      const subject = fakeSubject(world);
      const seen: number[] = [];
      const connecting: Subject = {
        ...subject,
        connect: async (setting) => {
          seen.push(world.on.size);
          return subject.connect(setting);
        },
      };
      const result = await runScenario(early, options(connecting));
      expect(seen).toEqual([1]);
      expect(result).toMatchObject({ status: "pass", faults: [{ fault: "node-killed replica-1" }] });
      expect(world.on.size).toBe(0);
    });

    test("convicts a subject that does not start", async () => {
      const broken: Subject = {
        name: "broken",
        claims: [],
        connect: () => Promise.reject(new Error("replica-1 does not answer")),
      };
      const result = await runScenario(early, options(broken));
      expect(result).toMatchObject({
        status: "fail",
        verdicts: [
          {
            checker: "start",
            status: "fail",
            summary: "under node-killed replica-1: the subject did not connect: replica-1 does not answer",
          },
        ],
      });
      expect(world.on.size).toBe(0);
    });
  });

  test("a subject that fails to close is unknown, although it held under load", async () => {
    const stuck = fakeSubject(world, { close: () => Promise.reject(new Error("still busy")) });
    const result = await runScenario(SCENARIO, options(stuck));
    expect(result).toMatchObject({
      status: "unknown",
      reason: "the subject did not close: still busy",
      verdicts: [{ status: "pass" }, { status: "pass" }],
    });
  });

  test("a cluster that does not settle is said, and must not be used again", async () => {
    let asked = 0;
    world = new FakeWorld({
      settled: () =>
        ++asked === 1 ? Promise.resolve() : Promise.reject(new Error("replica-1: does not stream")),
    });
    const spoiled: string[] = [];
    const result = await runScenario(
      SCENARIO,
      options(undefined, { onWorldSpoiled: (reason) => void spoiled.push(reason) }),
    );
    expect(result).toMatchObject({ status: "unknown", reason: "replica-1: does not stream" });
    expect(spoiled).toEqual(["replica-1: does not stream"]);
  });

  test("a policy that does not fit the world is unknown before anything is up", async () => {
    const result = await runScenario(
      SCENARIO,
      options(undefined, {
        policy: () => {
          throw new Error("five replicas, three are there");
        },
      }),
    );
    expect(result).toMatchObject({ status: "unknown", reason: "five replicas, three are there" });
  });
});

describe("aborting", () => {
  const aborting = async (when: (progress: Progress) => boolean): Promise<unknown> => {
    const end = new AbortController();
    const reason = new DOMException("Ctrl-C", "AbortError");
    return await runScenario(
      SCENARIO,
      options(undefined, {
        signal: end.signal,
        onProgress: (progress) => {
          if (when(progress)) end.abort(reason);
        },
      }),
    ).then(
      () => "resolved",
      (error: unknown) => error,
    );
  };

  test.each(["set up", "steady", "faults", "close", "settle", "final reads"] as const)(
    "in the phase %s rejects with the signal's reason, with everything healed and closed",
    async (phase) => {
      const outcome = await aborting((progress) => progress.phase === phase);
      expect(outcome).toMatchObject({ name: "AbortError", message: "Ctrl-C" });
      expect(world.on.size).toBe(0);
      expect(world.openConnections).toBe(0);
    },
  );

  test("while a fault is on heals it", async () => {
    const outcome = await aborting(({ detail }) => detail?.startsWith("on: ") === true);
    expect(outcome).toMatchObject({ name: "AbortError" });
    expect(world.calls.at(-1)).toBe("healAll");
    expect(world.on.size).toBe(0);
  });

  test("before the start touches nothing", async () => {
    const signal = AbortSignal.abort(new DOMException("Ctrl-C", "AbortError"));
    await expect(runScenario(SCENARIO, options(undefined, { signal }))).rejects.toThrow("Ctrl-C");
    expect(world.calls).toEqual([]);
  });
});

describe("a suite", () => {
  const suite = async (
    scenarios: readonly Scenario[],
    openWorld: () => Promise<World>,
  ): ReturnType<typeof runSuite> => {
    // The subject of whichever world is the newest.
    const { policy, seed, subject } = options();
    return await runSuite({
      scenarios,
      openWorld,
      policy,
      seed,
      subject,
      toolVersion: "1.2.3",
      openHost: (host) => inlineHost(fakeSubject(world))(host),
    });
  };

  test("runs its scenarios on one world, and closes it", async () => {
    let opened = 0;
    const report = await suite([SCENARIO, { ...SCENARIO, name: "again" }], async () => {
      opened += 1;
      return world;
    });
    expect(report).toMatchObject({
      schemaVersion: 1,
      tool: { version: "1.2.3" },
      status: "pass",
      world: { kind: "virtual", version: "fake" },
      policy: { replicaLagThresholdMs: 100, intervalMs: 20, weights: "1:1:1" },
    });
    expect(report.scenarios.map(({ scenario }) => scenario)).toEqual(["kill", "again"]);
    expect(opened).toBe(1);
    expect(world.disposed).toBe(1);
    expect(JSON.stringify(report)).not.toContain("secret");
  });

  test("gives the next scenario another world when one was left unusable", async () => {
    const worlds: FakeWorld[] = [];
    const report = await suite([SCENARIO, { ...SCENARIO, name: "again" }], async () => {
      const isFirst = worlds.length === 0;
      world = new FakeWorld(isFirst ? { healAll: () => Promise.reject(new Error("will not start")) } : {});
      worlds.push(world);
      return world;
    });
    expect(report.scenarios.map(({ status }) => status)).toEqual(["unknown", "pass"]);
    expect(report.scenarios[0]?.reason).toBe("not everything could be healed: will not start");
    expect(worlds.map(({ disposed }) => disposed)).toEqual([1, 1]);
    expect(report.status).toBe("unknown");
  });

  test("that only skipped has judged nothing", async () => {
    world = new FakeWorld({ capabilities: [] });
    const report = await suite([SCENARIO], () => Promise.resolve(world));
    expect(report).toMatchObject({ status: "unknown", scenarios: [{ status: "skipped" }] });
  });
});
