import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBuiltinToxiproxy } from "../../../sim/toxiproxy/start.ts";
import { connectTo, listenEcho, tryConnect } from "./sockets.ts";
import { ToxiproxyApi } from "./toxiproxy-api.ts";

describe("the built-in server in a thread of its own", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-toxiproxy-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("proxies, listens on 127.0.0.1 alone, and is gone when closed", async () => {
    await using upstream = await listenEcho();
    const server = await startBuiltinToxiproxy({ seed: 1 });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    const port = await new ToxiproxyApi(server.url).createProxy("p", upstream.port);
    using client = await connectTo(port);
    client.write("through");
    expect((await client.receive(7)).toString()).toBe("through");
    await server.close();
    expect(await client.ended()).toBe("end");
    expect(await tryConnect(port)).toBe("refused");
    expect(await tryConnect(server.port)).toBe("refused");
    await server.close();
  });

  test("says which port is in use and what to do", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    const { port } = taken.address() as AddressInfo;
    await expect(startBuiltinToxiproxy({ port })).rejects.toThrow(
      `Toxiproxy cannot listen on 127.0.0.1:${port}: the port is in use. ` +
        "Stop what listens there, or choose another port (0 takes a free one).",
    );
    await new Promise((resolve) => taken.close(resolve));
  });

  test("begins with the proxies of a config file, and refuses a bad one by name", async () => {
    const file = join(folder, "proxies.json");
    await writeFile(file, '[{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]');
    await using server = await startBuiltinToxiproxy({ configFile: file });
    const { body } = await new ToxiproxyApi(server.url).call("GET", "/proxies");
    expect(Object.keys(JSON.parse(body) as object)).toEqual(["p"]);

    await writeFile(file, '[{"name":"p"}]');
    await expect(startBuiltinToxiproxy({ configFile: file })).rejects.toThrow(
      `cannot apply the Toxiproxy config ${file}: missing required field: upstream at proxy 1`,
    );
    await writeFile(file, "[{]");
    await expect(startBuiltinToxiproxy({ configFile: file })).rejects.toThrow(
      "bad request body: invalid character",
    );
    const missing = join(folder, "missing.json");
    await expect(startBuiltinToxiproxy({ configFile: missing })).rejects.toThrow(
      `cannot read the Toxiproxy config ${missing}: ENOENT`,
    );
  });

  test("a thread that ends by itself is reported, and close says so", async () => {
    const workers: Worker[] = [];
    const onWorker = (worker: Worker): void => void workers.push(worker);
    process.on("worker", onWorker);
    const server = await startBuiltinToxiproxy();
    process.off("worker", onWorker);
    await workers[0]?.terminate();
    expect((await server.crashed).message).toMatch(/thread ended with code/);
    await expect(server.close()).rejects.toThrow(/thread ended with code/);
  });
});
