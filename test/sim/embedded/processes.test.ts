import { spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createPrng } from "../../../src/runtime/prng.ts";
import { findFreePort } from "../../../sim/embedded/free-port.ts";
import {
  type ProcessEntry,
  anyAlive,
  descendantsOf,
  listProcesses,
  processesWorkingIn,
  sendSignal,
} from "../../../sim/embedded/processes.ts";

function alive(pid: number, parentPid: number): ProcessEntry {
  return { pid, parentPid, state: "alive" };
}

describe("processes", () => {
  test("the descendants of one are found whatever the order, without itself, strangers and zombies", () => {
    const processes = [
      alive(7, 5),
      alive(5, 3),
      alive(3, 1),
      alive(4, 1),
      { ...alive(8, 3), state: "zombie" as const },
    ];
    expect(descendantsOf(3, processes).map((entry) => entry.pid)).toEqual([7, 5]);
    expect(descendantsOf(9, processes)).toEqual([]);
  });

  test("a child is listed under us, in its folder, stopped when it is, and gone when it has ended", async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "processes (odd) ")));
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
      cwd: folder,
      stdio: "ignore",
    });
    const pid = child.pid ?? Number.NaN;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      const mine = descendantsOf(process.pid, await listProcesses());
      expect(mine.find((entry) => entry.pid === pid)).toEqual({
        pid,
        parentPid: process.pid,
        state: "alive",
      });
      expect(processesWorkingIn(folder)).toEqual(process.platform === "linux" ? [pid] : []);

      sendSignal(pid, "SIGSTOP");
      await expect
        .poll(async () => (await listProcesses()).find((entry) => entry.pid === pid)?.state)
        .toBe("stopped");
      expect(await anyAlive([pid])).toBe(true);
    } finally {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    }
    expect(await anyAlive([pid])).toBe(false);
    expect(sendSignal(pid, "SIGCONT")).toBe(false);
  });
});

describe("a free port", () => {
  test("is below those the kernel hands out, follows from the seed, and is not one that is taken", async () => {
    const first = await findFreePort(createPrng(1), new Set());
    expect(first).toBeGreaterThanOrEqual(15_000);
    expect(first).toBeLessThan(32_768);
    expect(await findFreePort(createPrng(1), new Set([first]))).not.toBe(first);
  });

  test("is not one on which somebody listens", async () => {
    const port = await findFreePort(createPrng(2), new Set());
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    try {
      expect(await findFreePort(createPrng(2), new Set())).not.toBe(port);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
