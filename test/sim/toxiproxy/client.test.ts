import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../src/runtime/clock.ts";
import { ToxiproxyClient, ToxiproxyRefusal, ToxiproxyUnavailable } from "../../../sim/toxiproxy/client.ts";
import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";

const closing: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function httpServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function toxiproxy() {
  const server = await createToxiproxyServer();
  closing.push(() => server.close());
  const client = await ToxiproxyClient.connect(server.url, systemClock);
  const upstream = "127.0.0.1:1";
  const proxy = await client.createProxy({ name: "one", listen: "127.0.0.1:0", upstream, enabled: true });
  return { server, client, proxy };
}

describe("what is no Toxiproxy", () => {
  const strangers: readonly [string, RequestListener][] = [
    ["a page", (_, response) => void response.end("<html>hello</html>")],
    ["other JSON", (_, response) => void response.end('{"name":"x"}')],
    ["an error", (_, response) => void response.writeHead(404).end()],
  ];
  test.each(strangers)("%s is told from one", async (_, listener) => {
    const url = await httpServer(listener);
    await expect(ToxiproxyClient.connect(url, systemClock)).rejects.toThrow(
      `Toxiproxy at ${url} is something else`,
    );
  });

  test("something that takes the request and never answers is given up", async () => {
    const url = await httpServer(() => {});
    // A hundred times as fast as life, so that the deadline comes soon.
    const fast: Clock = {
      ...systemClock,
      schedule: (delayMs, task) => systemClock.schedule(delayMs / 100, task),
    };
    await expect(ToxiproxyClient.connect(url, fast)).rejects.toThrow(ToxiproxyUnavailable);
  });

  test.each(["nonsense", "ftp://127.0.0.1:8474", "127.0.0.1:8474"])("%s is no URL for it", async (url) => {
    await expect(ToxiproxyClient.connect(url, systemClock)).rejects.toThrow(/write http:\/\/host:port/);
  });
});

test("a request that is refused says which, and with what status", async () => {
  const { client, proxy } = await toxiproxy();
  const { name, listen, upstream } = proxy;
  const again = client.createProxy({ name, listen, upstream, enabled: true });
  await expect(again).rejects.toThrow(ToxiproxyRefusal);
  await expect(client.createProxy({ name, listen, upstream, enabled: true })).rejects.toThrow(
    `a proxy one on ${listen} with status 409`,
  );
});

test("a toxic is removed once, and removing it again is nothing", async () => {
  const { client, proxy } = await toxiproxy();
  const attributes = { latency: 1, jitter: 0 };
  await client.addToxic(proxy, {
    name: "slow",
    type: "latency",
    stream: "upstream",
    toxicity: 1,
    attributes,
  });
  expect(await client.toxicNames(proxy)).toEqual(["slow"]);
  await client.removeToxic(proxy, "slow");
  await client.removeToxic(proxy, "slow");
  expect(await client.toxicNames(proxy)).toEqual([]);
});

test("a proxy that somebody has removed is missed by name", async () => {
  const { client, proxy } = await toxiproxy();
  await client.removeProxy(proxy);
  for (const attempt of [
    () => client.updateProxy(proxy, { enabled: false }),
    () => client.removeToxic(proxy, "slow"),
    () => client.toxicNames(proxy),
  ]) {
    await expect(attempt()).rejects.toThrow(/has no proxy one any more: was it restarted/);
  }
});

test("a Toxiproxy that has gone is told with its URL", async () => {
  const { server, client } = await toxiproxy();
  await server.close();
  await expect(client.ping()).rejects.toThrow(`Toxiproxy at ${server.url} does not answer`);
});
