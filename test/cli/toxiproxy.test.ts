import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { runToxiproxyCommand } from "../../src/cli/toxiproxy.ts";
import { tryConnect } from "../sim/toxiproxy/sockets.ts";
import { send } from "../sim/toxiproxy/toxiproxy-api.ts";

interface Captured {
  readonly out: string[];
  readonly err: string[];
  readonly io: Parameters<typeof runToxiproxyCommand>[1];
  readonly firstLine: Promise<string>;
}

function capture(signal: AbortSignal): Captured {
  const out: string[] = [];
  const err: string[] = [];
  const onFirst: ((line: string) => void)[] = [];
  const firstLine = new Promise<string>((resolve) => {
    onFirst.push(resolve);
  });
  const stdout = (line: string): void => {
    out.push(line);
    onFirst.pop()?.(line);
  };
  return { out, err, firstLine, io: { stdout, stderr: (line) => err.push(line), signal } };
}

describe("fairlead toxiproxy", () => {
  test("says where it listens, serves in strict mode until aborted, and ends with 0", async () => {
    const abort = new AbortController();
    const { io, firstLine, err } = capture(abort.signal);
    const running = runToxiproxyCommand({ port: 0 }, io);
    const line = await firstLine;
    const [, url = ""] =
      /^Toxiproxy 2\.12\.0 \(built in\) listens on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line) ?? [];
    const { status, body } = await send(url, { method: "POST", path: "/populate", body: "[]" });
    expect([status, body]).toEqual([201, '{"proxies":null}']);
    abort.abort();
    expect(await running).toBe(0);
    expect(err).toEqual([]);
    expect(await tryConnect(Number(new URL(url).port))).toBe("refused");
  });

  test("ends with 2 and one line when the port is in use", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    const { port } = taken.address() as AddressInfo;
    const { io, out, err } = capture(new AbortController().signal);
    expect(await runToxiproxyCommand({ port }, io)).toBe(2);
    expect(out).toEqual([]);
    expect(err).toEqual([expect.stringContaining(`127.0.0.1:${port}: the port is in use`)]);
    await new Promise((resolve) => taken.close(resolve));
  });

  test("ends with 2 and one line when the config file is missing", async () => {
    const { io, err } = capture(new AbortController().signal);
    expect(await runToxiproxyCommand({ port: 0, config: "no/such/file.json" }, io)).toBe(2);
    expect(err).toHaveLength(1);
    expect(err[0]).toContain("cannot read the Toxiproxy config no/such/file.json");
  });
});
