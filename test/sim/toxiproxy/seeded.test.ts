import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import type { ToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import type { Peer } from "./sockets.ts";
import { connectTo, listenEcho, wait } from "./sockets.ts";
import { ToxiproxyApi } from "./toxiproxy-api.ts";

let server: ToxiproxyServer;
let api: ToxiproxyApi;

async function start(options: Parameters<typeof createToxiproxyServer>[0]): Promise<void> {
  server = await createToxiproxyServer(options);
  api = new ToxiproxyApi(server.url);
}

describe("a server that is not strict", () => {
  beforeEach(() => start({ seed: 42 }));
  afterEach(() => server.close());

  test.each([
    ["bandwidth", { rate: -1 }, "rate must be 0 or more, got -1"],
    ["latency", { latency: -1 }, "latency must be 0 or more, got -1"],
    ["latency", { jitter: -2 }, "jitter must be 0 or more, got -2"],
    ["slicer", {}, "average_size must be 1 or more, got 0"],
    [
      "slicer",
      { average_size: 10, size_variation: 10 },
      "size_variation must be below average_size (10), got 10",
    ],
    ["slow_close", { delay: -1 }, "delay must be 0 or more, got -1"],
    ["timeout", { timeout: -1 }, "timeout must be 0 or more, got -1"],
    ["limit_data", { bytes: -1 }, "bytes must be 0 or more, got -1"],
  ])("refuses %s with %j, when it is added and when it is updated", async (type, attributes, problem) => {
    await api.createProxy("p", 1);
    const wanted = { error: `bad request body: ${type}: ${problem}`, status: 400 };
    const added = await api.tryCall("POST", "/proxies/p/toxics", { type, name: "t", attributes });
    expect([added.status, JSON.parse(added.body)]).toEqual([400, wanted]);
    const good = type === "slicer" ? { average_size: 1 } : {};
    await api.addToxic("p", { type, name: "t", attributes: good });
    const bad = type === "slicer" ? { average_size: 0, ...attributes } : attributes;
    const updated = await api.tryCall("PATCH", "/proxies/p/toxics/t", { attributes: bad });
    expect([updated.status, JSON.parse(updated.body)]).toEqual([400, wanted]);
  });

  test.each([-0.1, 1.5, 7])("refuses a toxicity of %d", async (toxicity) => {
    await api.createProxy("p", 1);
    const { status, body } = await api.tryCall("POST", "/proxies/p/toxics", { type: "latency", toxicity });
    expect(status).toBe(400);
    expect(body).toContain("toxicity must be between 0 and 1");
  });

  test("answers populate with [] by a list", async () => {
    expect((await api.call("POST", "/populate", [])).body).toBe('{"proxies":[]}');
  });

  test("reset_peer sends RST on connections that were there before it, at once", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api.createProxy("p", upstream.port));
    client.write("x");
    await client.receive(1);
    const serverSide = await upstream.accept();
    await api.addToxic("p", { type: "reset_peer", attributes: { timeout: 0 } });
    client.write("y");
    expect(await client.ended()).toBe("reset");
    expect(await serverSide.ended()).toBe("reset");
  });

  test("a reset_peer that spares a connection leaves its end a FIN", async () => {
    await using upstream = await listenEcho();
    const port = await api.createProxy("p", upstream.port);
    await api.addToxic("p", { type: "reset_peer", toxicity: 0 });
    using client = await connectTo(port);
    client.write("x");
    await client.receive(1);
    client.socket.end();
    expect(await client.ended()).toBe("end");
  });

  test("whom a toxicity of a half spares stays the same when other toxics come and go", async () => {
    await using upstream = await listenEcho();
    const port = await api.createProxy("p", upstream.port);
    await api.addToxic("p", { type: "bandwidth", name: "half", toxicity: 0.5, attributes: { rate: 0 } });
    const peers: Peer[] = [];
    for (let index = 0; index < 60; index++) peers.push(await connectTo(port));
    const before = await whoAnswers(peers);
    expect(before.size).toBeGreaterThan(10);
    expect(before.size).toBeLessThan(50);
    await api.addToxic("p", { type: "latency", name: "other", attributes: { latency: 1 } });
    await api.call("PATCH", "/proxies/p/toxics/other", { attributes: { latency: 2 } });
    await api.addToxic("p", { type: "noop", name: "third" });
    await api.removeToxic("p", "other");
    await api.call("PATCH", "/proxies/p/toxics/half", { attributes: { rate: 0 } });
    expect(await whoAnswers(peers)).toEqual(before);
    for (const peer of peers) peer[Symbol.dispose]();
  });

  test("the same seed spares the same connections, another seed others", async () => {
    await using upstream = await listenEcho();
    const draw = async (seed: number): Promise<number[]> => {
      await server.close();
      await start({ seed });
      const port = await api.createProxy("p", upstream.port);
      await api.addToxic("p", { type: "timeout", name: "half", toxicity: 0.5, attributes: { timeout: 0 } });
      const peers: Peer[] = [];
      for (let index = 0; index < 40; index++) peers.push(await connectTo(port));
      const answered = await whoAnswers(peers);
      for (const peer of peers) peer[Symbol.dispose]();
      return [...answered];
    };
    const first = await draw(5);
    expect(await draw(5)).toEqual(first);
    expect(await draw(6)).not.toEqual(first);
  });
});

describe("a strict server", () => {
  beforeEach(() => start({ strict: true, seed: 42, proxyMetrics: true }));
  afterEach(() => server.close());

  test.each([
    ["bandwidth", { rate: -1 }],
    ["slicer", { average_size: 0 }],
  ])("survives %s with %j, of which the real one dies; the connection ends", async (type, attributes) => {
    await using upstream = await listenEcho();
    const port = await api.createProxy("p", upstream.port);
    using client = await connectTo(port);
    await api.addToxic("p", { type, name: "t", attributes });
    client.write("x");
    expect(await client.ended()).toBe("end");
    await api.removeToxic("p", "t");
    using next = await connectTo(port);
    next.write("y");
    expect((await next.receive(1)).toString()).toBe("y");
  });

  test("accepts a toxicity of 7 and a latency below zero, as the real one does", async () => {
    await api.createProxy("p", 1);
    const toxic = { type: "latency", toxicity: 7, attributes: { latency: -5 } };
    const { body } = await api.call("POST", "/proxies/p/toxics", toxic);
    expect(JSON.parse(body)).toMatchObject({ toxicity: 7, attributes: { latency: -5, jitter: 0 } });
  });

  test("counts the bytes of ended connections when asked to", async () => {
    await using upstream = await listenEcho();
    const port = await api.createProxy("p", upstream.port);
    const client = await connectTo(port);
    client.write("12345");
    await client.receive(5);
    client.socket.end();
    await client.ended();
    client[Symbol.dispose]();
    await wait(50);
    const { body } = await api.call("GET", "/metrics");
    const labels = `direction="upstream",proxy="p",listener="127.0.0.1:${port}",upstream="127.0.0.1:${upstream.port}"`;
    expect(body).toContain(`toxiproxy_proxy_received_bytes_total{${labels}} 5\n`);
    expect(body).toContain(`toxiproxy_proxy_sent_bytes_total{${labels}} 5\n`);
  });
});

/** The connections that answer a byte: those that have when, for half a second, no other has. */
async function whoAnswers(peers: readonly Peer[]): Promise<Set<number>> {
  const before = peers.map((peer) => peer.received.length);
  for (const peer of peers) peer.write("x");
  let answered = new Set<number>();
  for (let quietRounds = 0; quietRounds < 5; quietRounds++) {
    await wait(100);
    const indexes = [...peers.keys()];
    const now = new Set(
      indexes.filter((index) => (peers[index]?.received.length ?? 0) > (before[index] ?? 0)),
    );
    if (now.size > answered.size) quietRounds = 0;
    answered = now;
  }
  return answered;
}
