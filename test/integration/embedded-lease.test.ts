import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { startEmbeddedCluster } from "../../sim/embedded/cluster.ts";
import { findLeftovers, removeLeftover } from "../../sim/embedded/leftovers.ts";

// The runner is TypeScript run as it is, with syntax that Node 22 does not have.
const runsSources = Number.parseInt(process.versions.node, 10) >= 24;
const onLinux = process.platform === "linux";

interface Ready {
  readonly ports: number[];
  readonly pids: number[];
}

interface Runner {
  readonly child: ChildProcess;
  readonly folder: string;
  /** What the runner printed, once it has. */
  readonly ready: Promise<Ready>;
}

const started: Runner[] = [];
const parents: string[] = [];

afterEach(() => {
  for (const { child } of started.splice(0)) child.kill("SIGKILL");
  for (const parent of parents.splice(0)) rmSync(parent, { recursive: true, force: true });
});

function startRunner(action: string): Runner {
  const parent = mkdtempSync(join(tmpdir(), "lease-test-"));
  execFileSync("chmod", ["755", parent]);
  parents.push(parent);
  const folder = join(parent, "fairlead-run");
  const program = fileURLToPath(new URL("fixtures/cluster-runner.ts", import.meta.url));
  // Its own process group, as a shell gives a foreground job.
  const child = spawn(process.execPath, [program, folder, action], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const ready = new Promise<Ready>((resolve) => {
    child.stdout?.on("data", (text: Buffer) => resolve(JSON.parse(text.toString()) as Ready));
  });
  const runner = { child, folder, ready };
  started.push(runner);
  return runner;
}

async function until(
  what: string,
  timeoutMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(10);
  }
}

/** Every process that names the folder in its arguments or works in it, as an operator would look for it. */
function processesOf(folder: string): string[] {
  const listed = execFileSync("ps", ["-A", "-o", "pid=,args="], { encoding: "utf8" }).split("\n");
  const named = listed.filter((line) => line.includes(folder));
  if (!onLinux) return named;
  const working = readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
  return [...named, ...working];
}

function supervisorOf(folder: string): number {
  return (JSON.parse(readFileSync(join(folder, "fairlead.json"), "utf8")) as { supervisorPid: number })
    .supervisorPid;
}

/** Whether it runs. A zombie does not: it only waits for init, which may take its time or never come. */
function isAlive(pid: number): boolean {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).startsWith("Z");
  } catch {
    return false;
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Ids of the System V shared memory segments that the folder's servers hold. */
function sharedMemoryOf(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name, "postmaster.pid"))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8").split("\n")[6]?.trim().split(/\s+/)[1] ?? "none");
}

function sharedMemoryIds(): Set<string> {
  const lines = readFileSync("/proc/sysvipc/shm", "utf8").split("\n").slice(1);
  return new Set(lines.map((line) => line.trim().split(/\s+/)[1] ?? ""));
}

/** What is left after the five seconds that are promised: the folder, or processes; nothing, it is hoped. */
async function leftOf(runner: Runner, supervisorPid: number): Promise<string[]> {
  const isGone = (): boolean => !existsSync(runner.folder) && !isAlive(supervisorPid);
  await until("the end of the supervisor and the run folder", 5_000, isGone);
  return processesOf(runner.folder);
}

describe.skipIf(!runsSources)("a harness that is gone takes its servers along", () => {
  test("when it is killed during initdb", async () => {
    const runner = startRunner("run");
    await until("initdb", 20_000, () => existsSync(join(runner.folder, "primary", "PG_VERSION")));
    const supervisor = supervisorOf(runner.folder);
    expect(existsSync(join(runner.folder, "primary.password")), "initdb is still at work").toBe(true);
    runner.child.kill("SIGKILL");
    expect(await leftOf(runner, supervisor)).toEqual([]);
  });

  test("when it is killed while replicas start", async () => {
    const runner = startRunner("run");
    await until("a replica's log", 20_000, () => existsSync(join(runner.folder, "replica-1.log")));
    const supervisor = supervisorOf(runner.folder);
    runner.child.kill("SIGKILL");
    expect(await leftOf(runner, supervisor)).toEqual([]);
  });

  test("when it is killed while all of them run, and the ports are free", async () => {
    const runner = startRunner("run");
    const { ports, pids } = await runner.ready;
    const supervisor = supervisorOf(runner.folder);
    expect(processesOf(runner.folder).length, "the search finds what is there").toBeGreaterThanOrEqual(4);
    expect(await Promise.all(ports.map(isListening))).toEqual([true, true, true, true]);
    runner.child.kill("SIGKILL");
    expect(await leftOf(runner, supervisor)).toEqual([]);
    expect(await Promise.all(ports.map(isListening))).toEqual([false, false, false, false]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("when it is killed while a node is frozen", async () => {
    const runner = startRunner("freeze");
    await runner.ready;
    const supervisor = supervisorOf(runner.folder);
    runner.child.kill("SIGKILL");
    expect(await leftOf(runner, supervisor)).toEqual([]);
  });

  test.skipIf(!onLinux)(
    "when it is killed after a node was, with the shared memory that node left",
    async () => {
      const runner = startRunner("kill");
      await runner.ready;
      const supervisor = supervisorOf(runner.folder);
      const segments = sharedMemoryOf(runner.folder);
      expect(segments).toHaveLength(4);
      expect(segments.filter((id) => sharedMemoryIds().has(id))).toEqual(segments);
      runner.child.kill("SIGKILL");
      expect(await leftOf(runner, supervisor)).toEqual([]);
      expect(segments.filter((id) => sharedMemoryIds().has(id))).toEqual([]);
    },
  );

  test("when Ctrl-C reaches the whole process group", async () => {
    const runner = startRunner("run");
    await runner.ready;
    const supervisor = supervisorOf(runner.folder);
    process.kill(-(runner.child.pid ?? Number.NaN), "SIGINT");
    expect(await leftOf(runner, supervisor)).toEqual([]);
  });

  test("when the whole process group is killed", async () => {
    const runner = startRunner("run");
    await runner.ready;
    const supervisor = supervisorOf(runner.folder);
    process.kill(-(runner.child.pid ?? Number.NaN), "SIGKILL");
    expect(await leftOf(runner, supervisor)).toEqual([]);
  });
});

describe("the supervisor", () => {
  test("does not go on SIGTERM, SIGINT or SIGHUP, but with the lease", async () => {
    await using cluster = await startEmbeddedCluster({ replicas: 0 });
    const supervisor = supervisorOf(cluster.directory);
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(supervisor, signal);
    await sleep(200);
    expect(await cluster.sql("primary", "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await cluster[Symbol.asyncDispose]();
    expect(isAlive(supervisor)).toBe(false);
    expect(existsSync(cluster.directory)).toBe(false);
  });

  test("may itself be killed: the harness then ends the servers when it is done", async () => {
    await using cluster = await startEmbeddedCluster({ replicas: 1 });
    await cluster.node("replica-1").freeze();
    process.kill(supervisorOf(cluster.directory), "SIGKILL");
    await sleep(100);
    expect(await cluster.sql("primary", "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await cluster[Symbol.asyncDispose]();
    expect(existsSync(cluster.directory)).toBe(false);
    expect(processesOf(cluster.directory)).toEqual([]);
  });

  test.skipIf(!runsSources)(
    "when killed along with the harness, leaves a folder that is found and removed when asked",
    async () => {
      const runner = startRunner("freeze");
      await runner.ready;
      const supervisor = supervisorOf(runner.folder);
      const place = dirname(runner.folder);
      expect(await findLeftovers(place), "its supervisor lives").toEqual([]);
      process.kill(supervisor, "SIGKILL");
      runner.child.kill("SIGKILL");
      await until("their end", 5_000, () => !isAlive(supervisor));
      const leftovers = await findLeftovers(place);
      expect(leftovers.map((leftover) => leftover.folder)).toEqual([runner.folder]);
      for (const leftover of leftovers) await removeLeftover(leftover);
      expect(existsSync(runner.folder)).toBe(false);
      expect(processesOf(runner.folder)).toEqual([]);
    },
  );

  test("refuses a folder that has something in it, and leaves that alone", async () => {
    const parent = mkdtempSync(join(tmpdir(), "lease-test-"));
    execFileSync("chmod", ["755", parent]);
    parents.push(parent);
    execFileSync("touch", [join(parent, "precious")]);
    await expect(startEmbeddedCluster({ replicas: 0, directory: parent })).rejects.toThrow(/is not empty/);
    expect(existsSync(join(parent, "precious"))).toBe(true);
  });

  test("ends everything when starting is aborted", async () => {
    const parent = mkdtempSync(join(tmpdir(), "lease-test-"));
    execFileSync("chmod", ["755", parent]);
    parents.push(parent);
    const directory = join(parent, "run");
    const abort = new AbortController();
    const starting = startEmbeddedCluster({ directory, signal: abort.signal });
    const refused = starting.catch((error: unknown) => error);
    await until("initdb", 20_000, () => existsSync(join(directory, "primary", "PG_VERSION")));
    abort.abort(new Error("enough"));
    expect(await refused).toMatchObject({ message: "enough" });
    expect(existsSync(directory)).toBe(false);
    expect(processesOf(directory)).toEqual([]);
  });
});
