import { connect } from "node:net";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import type { ToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import { connectTo, freePorts, listenEcho, listenUpstream, patternBytes, wait } from "./sockets.ts";
import type { RawResponse } from "./toxiproxy-api.ts";
import { send, ToxiproxyApi } from "./toxiproxy-api.ts";

describe("the server under abuse", () => {
  let server: ToxiproxyServer;
  let api: ToxiproxyApi;
  beforeAll(async () => {
    server = await createToxiproxyServer({ seed: 3 });
    api = new ToxiproxyApi(server.url);
  });
  afterAll(() => server.close());

  const isAlive = async (): Promise<boolean> =>
    (await send(server.url, { method: "GET", path: "/version" })).status === 200;

  test.each([
    ["no HTTP", "nonsense\r\n\r\n"],
    ["no path", "GET\r\n\r\n"],
    ["an unknown version", "GET / HTTP/9.9\r\n\r\n"],
    ["a length that is no number", "POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n"],
    ["a path of 100,000 characters", `GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ["TLS", "\x16\x03\x01\x02\0\x01"],
  ])("answers %s with 400 or a closed connection", async (_what, text) => {
    using client = await connectTo(server.port);
    client.write(text);
    client.socket.end();
    await client.ended();
    const answer = client.received.toString();
    expect(answer === "" || /^HTTP\/1.1 (400|431)/.test(answer)).toBe(true);
    expect(await isAlive()).toBe(true);
  });

  test("refuses a path with a broken escape", async () => {
    expect((await send(server.url, { method: "GET", path: "/proxies/%zz" })).status).toBe(400);
  });

  test("refuses a body of 20 MiB and reads one that is nested 20,000 deep", async () => {
    const huge = await send(server.url, {
      method: "POST",
      path: "/populate",
      body: "x".repeat(20 * 1024 * 1024),
    });
    expect(huge.status).toBe(413);
    const deep = await send(server.url, { method: "POST", path: "/proxies", body: "[".repeat(20_000) });
    expect([deep.status, deep.body]).toEqual([
      400,
      '{"error":"bad request body: exceeded max depth","status":400}\n',
    ]);
    expect(await isAlive()).toBe(true);
  });

  test("outlives a client that goes away in the middle of a request", async () => {
    const client = connect({ port: server.port, host: "127.0.0.1" });
    client.on("error", () => {});
    client.write("POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{");
    await wait(50);
    client.resetAndDestroy();
    await wait(50);
    expect(await isAlive()).toBe(true);
  });

  test("outlives connections that are reset by either side, in the middle of data", async () => {
    await using upstream = await listenUpstream();
    const port = await api.createProxy("reset", upstream.port);
    for (const type of [undefined, "latency", "bandwidth", "slicer"]) {
      const attributes = { latency: 20, rate: 1000, average_size: 500 };
      if (type !== undefined) await api.addToxic("reset", { type, attributes });
      for (const side of ["client", "server"]) {
        const client = await connectTo(port);
        const serverSide = await upstream.accept();
        client.write(patternBytes(200_000));
        serverSide.write(patternBytes(200_000));
        await wait(20);
        const [abrupt, other] = side === "client" ? [client, serverSide] : [serverSide, client];
        abrupt.socket.resetAndDestroy();
        await other.ended(10_000);
        other.socket.destroy();
      }
    }
    expect(await isAlive()).toBe(true);
    await api.call("DELETE", "/proxies/reset");
  });

  test("does not let a slow reader fill its memory", async () => {
    await using upstream = await listenUpstream();
    const port = await api.createProxy("slow", upstream.port);
    for (const type of [undefined, "noop"]) {
      if (type !== undefined) await api.addToxic("slow", { type, stream: "upstream" });
      using client = await connectTo(port);
      const serverSide = await upstream.accept();
      serverSide.socket.pause();
      const total = 64 * 1024 * 1024;
      client.write(patternBytes(total));
      await wait(400);
      // What the operating system holds counts in here too: a few megabytes of socket buffers.
      expect(client.socket.writableLength).toBeGreaterThan(total / 2);
      serverSide.socket.resume();
      const received = await serverSide.receive(total, 15_000);
      expect(received.length).toBe(total);
    }
    await api.call("DELETE", "/proxies/slow");
  });

  test("lets a thousand connections be opened, used and closed", async () => {
    await using upstream = await listenEcho();
    const port = await api.createProxy("many", upstream.port);
    const peers = await Promise.all(Array.from({ length: 1000 }, () => connectTo(port)));
    for (const peer of peers) peer.write("x");
    const echoes = await Promise.all(peers.map((peer) => peer.receive(1, 15_000)));
    expect(echoes.map(String)).toEqual(Array.from({ length: 1000 }, () => "x"));
    for (const peer of peers) peer[Symbol.dispose]();
    await api.call("DELETE", "/proxies/many");
  });

  test("changes asked for at the same moment are made one after the other", async () => {
    const [port = 0] = await freePorts(1);
    const proxy = { name: "same", listen: `127.0.0.1:${port}`, upstream: "127.0.0.1:1" };
    const made = await Promise.all([1, 2, 3].map(() => api.tryCall("POST", "/proxies", proxy)));
    expect(statuses(made)).toEqual([201, 409, 409]);
    const toxic = { type: "latency" };
    const added = await Promise.all([1, 2, 3].map(() => api.tryCall("POST", "/proxies/same/toxics", toxic)));
    expect(statuses(added)).toEqual([200, 409, 409]);
    const path = "/proxies/same/toxics/latency_downstream";
    const removed = await Promise.all([1, 2, 3].map(() => api.tryCall("DELETE", path)));
    expect(statuses(removed)).toEqual([204, 404, 404]);
  });

  test("a closed server leaves nothing that keeps a thread alive", async () => {
    const code = `
      import { createToxiproxyServer } from ${JSON.stringify(new URL("../../../sim/toxiproxy/server.ts", import.meta.url).href)};
      import { connect } from "node:net";
      import { once } from "node:events";
      const server = await createToxiproxyServer({ seed: 1 });
      const call = (path, body) =>
        fetch(server.url + path, { method: "POST", body: JSON.stringify(body), headers: { connection: "close" } });
      const upstream = "127.0.0.1:" + server.port;
      const { listen } = await (await call("/proxies", { name: "p", listen: "127.0.0.1:0", upstream })).json();
      await call("/proxies/p/toxics", { type: "latency", attributes: { latency: 3600000 } });
      const client = connect(Number(listen.split(":")[1]), "127.0.0.1");
      await once(client, "connect");
      client.write("GET /version HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
      await new Promise((resolve) => setTimeout(resolve, 100));
      await server.close();
      await once(client.resume(), "close");
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] });
    const exitCode = await new Promise<number | string>((resolve, reject) => {
      worker.once("exit", resolve);
      worker.once("error", reject);
      setTimeout(() => resolve("still alive"), 8000).unref();
    });
    await worker.terminate();
    expect(exitCode).toBe(0);
  }, 15_000);
});

function statuses(responses: readonly RawResponse[]): number[] {
  return responses.map(({ status }) => status).sort((a, b) => a - b);
}
