/** The suite on real servers, in both directions: a router that is right holds, and one that is naive falls. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readHistory } from "../../chaos/history/jsonl.ts";
import type { RunReport } from "../../chaos/report/report.ts";
import { runSuite } from "../../chaos/runner.ts";
import { scenarios } from "../../chaos/scenarios/index.ts";
import { suitePolicy } from "../../chaos/suite.ts";
import { startEmbeddedWorld } from "../../sim/embedded/world.ts";

const SEED = 4;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fairlead-suite-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function run(subject: string, names: readonly string[]): Promise<RunReport> {
  return runSuite({
    scenarios: scenarios.filter(({ name }) => names.includes(name)),
    subject: { kind: "builtin", name: subject },
    policy: suitePolicy,
    seed: SEED,
    toolVersion: "0.0.0",
    directory: join(directory, subject),
    openWorld: () => startEmbeddedWorld({ seed: SEED }),
  });
}

function fallen({ scenarios: results }: RunReport): string[] {
  return results.flatMap(({ scenario, verdicts }) =>
    verdicts.filter(({ status }) => status === "fail").map(({ checker }) => `${scenario}: ${checker}`),
  );
}

/** What a failure of this test has to say for itself. */
function whatFell(report: RunReport): string[] {
  return report.scenarios.flatMap(({ scenario, status, reason, proof }) =>
    status === "pass" ? [] : [`${scenario} ${status} ${reason ?? ""}`, ...proof],
  );
}

describe("fairlead's own router", () => {
  let report: RunReport;
  beforeAll(async () => {
    report = await run("fairlead", ["baseline", "replica-killed", "replay-paused", "all-replicas-lost"]);
  }, 90_000);

  test("holds with and without faults, each verdict with evidence of its own", () => {
    expect(whatFell(report)).toEqual([]);
    expect(report.status).toBe("pass");
    for (const { verdicts } of report.scenarios) {
      for (const { evidence } of verdicts) expect(evidence).toBeGreaterThan(0);
    }
  });

  test("shares reads by weight while nothing is broken, as the clients saw it", () => {
    const shares = report.scenarios[0]?.figures?.shares ?? {};
    expect(shares["replica-1"]).toBeCloseTo(0.5, 1);
    expect(shares["replica-2"]).toBeCloseTo(0.25, 1);
    expect(shares["replica-3"]).toBeCloseTo(0.25, 1);
  });

  test("leaves its histories, testimony, verdicts and the servers' logs behind, without a password", async () => {
    const folder = join(directory, "fairlead", "replica-killed");
    expect((await readdir(folder)).sort()).toEqual([
      "events.jsonl",
      "history.jsonl",
      "primary.log",
      "replica-1.log",
      "replica-2.log",
      "replica-3.log",
      "verdicts.json",
    ]);
    const { history } = await readHistory(join(folder, "history.jsonl"));
    expect(history.filter(({ type }) => type === "nemesis")).toHaveLength(2);
    expect(await readFile(join(folder, "verdicts.json"), "utf8")).not.toContain("password");
  });
});

test("a router without health checks, lag and fallback falls by just these", async () => {
  const report = await run("naive", ["replica-killed", "replay-paused", "all-replicas-lost"]);
  expect(report.status).toBe("fail");
  expect(fallen(report)).toEqual(
    expect.arrayContaining([
      "replica-killed: availability",
      "replay-paused: bounded-staleness",
      "replay-paused: lag-eviction",
      "all-replicas-lost: availability",
      "all-replicas-lost: fallback",
    ]),
  );
  expect(fallen(report).filter((one) => one.endsWith("write-safety"))).toEqual([]);
  const unproved = report.scenarios.filter(({ status, proof }) => status === "fail" && proof.length < 2);
  expect(unproved).toEqual([]);
}, 90_000);
