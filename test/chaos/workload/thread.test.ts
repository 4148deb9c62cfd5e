/** Real threads, around a world of memory: what a subject does in its own must not reach the runner. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { availability } from "../../../chaos/checkers/availability.ts";
import { noLeak } from "../../../chaos/checkers/no-leak.ts";
import { runScenario } from "../../../chaos/runner.ts";
import type { ScenarioResult } from "../../../chaos/report/report.ts";
import type { Scenario } from "../../../chaos/scenarios/scenario.ts";
import { FakeWorld, fakePolicy } from "../fake-world.ts";

const SCENARIO: Scenario = {
  name: "calm",
  title: "Nothing happens.",
  needs: [],
  workload: { ratePerSecond: 200, sessions: 20, giveUpMs: 300 },
  schedule: () => ({ steps: [], watchMs: 200 }),
  checkers: [availability, noLeak],
};

async function run(module: string): Promise<{ result: ScenarioResult; world: FakeWorld }> {
  const world = new FakeWorld();
  const path = fileURLToPath(new URL(`../fixtures/${module}.ts`, import.meta.url));
  const result = await runScenario(SCENARIO, {
    world,
    subject: { kind: "module", path },
    policy: fakePolicy,
    seed: 1,
  });
  expect(world.openConnections).toBe(0);
  return { result, world };
}

test.concurrent("a module's subject runs in a thread of its own, and all that it said and did comes back", async () => {
  const { result } = await run("module-subject");
  expect(result).toMatchObject({
    status: "pass",
    verdicts: [{ status: "pass" }, { checker: "no-leak", status: "pass" }],
  });
  expect(result.figures?.reads).toBeGreaterThan(10);
});

test.concurrent("a subject whose thread crashes leaves the run unknown, with what ended it", async () => {
  const { result } = await run("crashing-subject");
  expect(result).toMatchObject({
    status: "unknown",
    reason: "the subject's thread crashed: nobody catches this",
    verdicts: [],
  });
});

test.concurrent("a subject that never gives its thread back is ended at the deadline", async () => {
  const { result } = await run("endless-subject");
  expect(result).toMatchObject({ status: "unknown", verdicts: [] });
  expect(result.reason).toMatch(/^the subject did not stop: .* did not finish within 3300 ms$/);
});

test.concurrent("a subject that does not close within 5 s is unknown, its thread ended", async () => {
  const { result } = await run("clinging-subject");
  expect(result).toMatchObject({
    status: "unknown",
    reason: 'the subject did not close: closing the subject "clinging" did not finish within 5000 ms',
  });
  expect(result.tookMs).toBeLessThan(15_000);
});

test.concurrent("a subject that leaves a handle behind leaks, by name of the handle", async () => {
  const { result } = await run("leaking-subject");
  expect(result.status).toBe("fail");
  expect(result.proof.join("\n")).toMatch(/no-leak: 1 open TCPServer\w* after the end, 0 before the start/);
});

test.concurrent("a module without a subject is unknown, and says what to export", async () => {
  const { result } = await run("../fake-world");
  expect(result.status).toBe("unknown");
  expect(result.reason).toMatch(/exports no subject: export const subject/);
});

test.concurrent("a file that is not there is unknown, by its path", async () => {
  const { result } = await run("no-such-file");
  expect(result.status).toBe("unknown");
  expect(result.reason).toContain("no-such-file.ts");
});

test.concurrent("an unknown name is unknown, and says which there are", async () => {
  const result = await runScenario(SCENARIO, {
    world: new FakeWorld(),
    subject: { kind: "builtin", name: "fairleed" },
    policy: fakePolicy,
    seed: 1,
  });
  expect(result.reason).toMatch(/no subject is called "fairleed" \(there are fairlead, naive\)/);
});
