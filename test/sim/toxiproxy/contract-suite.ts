/**
 * What any server that calls itself Toxiproxy 2.12.0 must do: the exchanges recorded from the real one, byte for
 * byte, and its behaviour on live sockets. It runs against the built-in server and, when one is at hand, against
 * a real one (on this machine: the proxies it makes listen on 127.0.0.1).
 */
import { Toxiproxy as Toxiproxy41 } from "toxiproxy-node-client";
import { Toxiproxy as Toxiproxy40 } from "toxiproxy-node-client-4-0";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import golden from "./golden-2.12.0.json" with { type: "json" };
import {
  connectTo,
  freePorts,
  listenEcho,
  listenUpstream,
  patternBytes,
  tryConnect,
  wait,
} from "./sockets.ts";
import { send, ToxiproxyApi } from "./toxiproxy-api.ts";

export interface ServerUnderTest {
  readonly url: string;
  close(): Promise<void>;
}

export interface ContractRun {
  /** What is tested. */
  readonly name: string;
  readonly start: () => Promise<ServerUnderTest>;
  /** Why it cannot be tested here and now. */
  readonly skipReason?: string | undefined;
}

export function describeContract({ name, start, skipReason }: ContractRun): void {
  const note = skipReason === undefined ? "" : ` (skipped: ${skipReason})`;
  describe.skipIf(skipReason !== undefined)(`Toxiproxy's contract: ${name}${note}`, () => {
    let server: ServerUnderTest;
    let api: ToxiproxyApi;
    beforeAll(async () => {
      server = await start();
      api = new ToxiproxyApi(server.url);
    });
    afterEach(() => api.removeAllProxies());
    afterAll(() => server.close());

    goldenExchanges(() => api);
    proxySemantics(() => api);
    toxicSemantics(() => api);
    clients(() => api);
  });
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly userAgent?: string;
  readonly expect: {
    readonly status: number;
    readonly contentType: string | null;
    readonly requestId: boolean;
    readonly nosniff: boolean;
    readonly allow: boolean;
    readonly contentLength: number | null;
    readonly body: string;
  };
}

function goldenExchanges(api: () => ToxiproxyApi): void {
  test("answers the 68 recorded requests with the recorded status, headers and bytes", async () => {
    const exchanges: readonly Exchange[] = golden;
    expect(exchanges).toHaveLength(68);
    // The recorded ports may be taken here. Others of five digits keep every length as it was.
    const recorded = [18_801, 18_802, 18_803, 18_804, 18_811, 18_812, 18_813];
    const free = await freePorts(recorded.length);
    const here = (text: string): string =>
      recorded.reduce((result, port, index) => result.replaceAll(String(port), String(free[index])), text);
    for (const { method, path, body, userAgent, expect: expected } of exchanges) {
      const response = await send(api().url, {
        method,
        path,
        ...(body === undefined ? {} : { body: here(body) }),
        ...(userAgent === undefined ? {} : { userAgent }),
      });
      const hasResolver = / on \S+:\d+: no such host/;
      const length = response.headers["content-length"];
      const seen = {
        status: response.status,
        contentType: response.headers["content-type"] ?? null,
        requestId: response.headers["x-toxiproxy-request-id"] !== undefined,
        nosniff: response.headers["x-content-type-options"] === "nosniff",
        allow: response.headers["allow"] !== undefined,
        contentLength: length === undefined ? null : Number(length),
        body: response.body,
      };
      const wanted = { ...expected, body: here(expected.body) };
      if (hasResolver.test(wanted.body)) {
        // The text names the resolver that was asked, which is the machine's own.
        for (const answer of [seen, wanted]) {
          answer.body = answer.body.replace(hasResolver, " on RESOLVER: no such host");
          answer.contentLength = null;
        }
      }
      expect({ request: `${method} ${path} ${body ?? ""}`, ...seen }).toEqual({
        request: `${method} ${path} ${body ?? ""}`,
        ...wanted,
      });
    }
  }, 30_000);

  test("redirects a path with empty parts, and knows no path that ends in a slash", async () => {
    const doubled = await send(api().url, { method: "GET", path: "/proxies//x" });
    expect([doubled.status, doubled.headers["location"]]).toEqual([301, "/proxies/x"]);
    expect((await send(api().url, { method: "GET", path: "/version/" })).status).toBe(404);
  });

  test("reads the first JSON value of a body and ignores what follows, and says what is wrong as Go does", async () => {
    expect(await postError(api(), "{}garbage")).toBe("missing required field: name");
    expect(await postError(api(), '{"NAME":"x"}')).toBe("missing required field: upstream");
    expect(await postError(api(), "nope")).toBe(
      "bad request body: invalid character 'o' in literal null (expecting 'u')",
    );
    expect(await postError(api(), "{'a'}")).toBe(
      String.raw`bad request body: invalid character '\'' looking for beginning of object key string`,
    );
    expect(await postError(api(), '{"name" 1}')).toBe(
      "bad request body: invalid character '1' after object key",
    );
    expect(await postError(api(), '{"name":"x",}')).toBe(
      "bad request body: invalid character '}' looking for beginning of object key string",
    );
    expect(await postError(api(), "[]")).toBe(
      "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy",
    );
    expect(await postError(api(), '{"name":"x","enabled":"yes"}')).toBe(
      "bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool",
    );
  });
}

async function postError(api: ToxiproxyApi, body: string): Promise<string> {
  const response = await send(api.url, { method: "POST", path: "/proxies", body });
  return (JSON.parse(response.body) as { error: string }).error;
}

function proxySemantics(api: () => ToxiproxyApi): void {
  test("disabling a proxy ends its connections with FIN and refuses new ones", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    using client = await connectTo(port);
    client.write("x");
    await client.receive(1);
    const server = await upstream.accept();
    await api().call("PATCH", "/proxies/p", { enabled: false });
    expect(await client.ended()).toBe("end");
    expect(await server.ended()).toBe("end");
    expect(await tryConnect(port)).toBe("refused");
    await api().call("PATCH", "/proxies/p", { enabled: true });
    expect(await tryConnect(port)).toBe("connected");
  });

  test("deleting a proxy ends its connections with FIN and refuses new ones", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    using client = await connectTo(port);
    await upstream.accept();
    await api().call("DELETE", "/proxies/p");
    expect(await client.ended()).toBe("end");
    expect(await tryConnect(port)).toBe("refused");
  });

  test("with a dead upstream the client connects and then gets FIN", async () => {
    const [deadPort = 0] = await freePorts(1);
    const port = await api().createProxy("p", deadPort);
    using client = await connectTo(port);
    expect(await client.ended()).toBe("end");
    expect(client.received).toHaveLength(0);
  });

  test("with an upstream that cannot be resolved the client connects and then gets FIN", async () => {
    await api().call("POST", "/proxies", { name: "p", listen: "127.0.0.1:0", upstream: "no-port" });
    const { body } = await api().call("GET", "/proxies/p");
    using client = await connectTo(Number((JSON.parse(body) as { listen: string }).listen.split(":")[1]));
    expect(await client.ended()).toBe("end");
  });

  test("the end of either side ends both: no half-open connection", async () => {
    await using upstream = await listenUpstream();
    const port = await api().createProxy("p", upstream.port);
    using client = await connectTo(port);
    const server = await upstream.accept();
    client.socket.end("last");
    expect(await server.ended()).toBe("end");
    expect(server.received.toString()).toBe("last");
    // The client only closed its own direction, and the server closed nothing.
    expect(await client.ended()).toBe("end");

    using other = await connectTo(port);
    const otherServer = await upstream.accept();
    otherServer.socket.end("bye");
    expect(await other.ended()).toBe("end");
    expect(other.received.toString()).toBe("bye");
    expect(await otherServer.ended()).toBe("end");
  });

  test.each([
    ["0.0.0.0", "cuts", "end"],
    ["127.0.0.1", "keeps", undefined],
  ] as const)("an update that names %s %s connections", async (host, _effect, ending) => {
    await using upstream = await listenEcho();
    const [port = 0] = await freePorts(1);
    const settings = { listen: `${host}:${port}`, upstream: `127.0.0.1:${upstream.port}`, enabled: true };
    await api().call("POST", "/proxies", { name: "p", ...settings });
    using client = await connectTo(port);
    client.write("x");
    await client.receive(1);
    await api().call("POST", "/proxies/p", settings);
    await wait(100);
    expect(client.ending).toBe(ending);
    using after = await connectTo(port);
    after.write("z");
    expect((await after.receive(1)).toString()).toBe("z");
  });

  test("reset enables every proxy, takes every toxic away and keeps connections", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    await api().call("POST", "/proxies", {
      name: "off",
      listen: "127.0.0.1:0",
      upstream: "127.0.0.1:1",
      enabled: false,
    });
    using client = await connectTo(port);
    await api().addToxic("p", { type: "bandwidth", attributes: { rate: 0 } });
    client.write("held");
    await wait(150);
    expect(client.received).toHaveLength(0);
    await api().call("POST", "/reset");
    expect((await client.receive(4)).toString()).toBe("held");
    client.write("on");
    expect((await client.receive(6)).toString()).toBe("heldon");
    const { body } = await api().call("GET", "/proxies/off");
    expect(JSON.parse(body)).toMatchObject({ enabled: true });
  });

  test("populate stops at the first failure and keeps what it made before", async () => {
    await using upstream = await listenEcho();
    const list = [
      { name: "one", listen: "127.0.0.1:0", upstream: "127.0.0.1:1" },
      { name: "two", listen: `127.0.0.1:${upstream.port}`, upstream: "127.0.0.1:1" },
      { name: "three", listen: "127.0.0.1:0", upstream: "127.0.0.1:1" },
    ];
    const { status, body } = await api().tryCall("POST", "/populate", list);
    expect(status).toBe(500);
    expect(JSON.parse(body)).toMatchObject({
      error: `listen tcp 127.0.0.1:${upstream.port}: bind: address already in use`,
      proxies: [{ name: "one" }],
    });
    const all = await api().call("GET", "/proxies");
    expect(Object.keys(JSON.parse(all.body) as object)).toEqual(["one"]);
  });

  test("populate keeps a proxy that does not differ, ignores its enabled, and replaces one that does", async () => {
    const [port = 0] = await freePorts(1);
    const proxy = { name: "p", listen: `127.0.0.1:${port}`, upstream: "127.0.0.1:1" };
    await api().call("POST", "/populate", [proxy]);
    await api().addToxic("p", { type: "latency" });
    await api().call("POST", "/populate", [{ ...proxy, enabled: false }]);
    const kept = await api().call("GET", "/proxies/p");
    expect(JSON.parse(kept.body)).toMatchObject({ enabled: true, toxics: [{ name: "latency_downstream" }] });
    await api().call("POST", "/populate", [{ ...proxy, upstream: "127.0.0.1:2" }]);
    const replaced = await api().call("GET", "/proxies/p");
    expect(JSON.parse(replaced.body)).toMatchObject({ upstream: "127.0.0.1:2", toxics: [] });
  });
}

function toxicSemantics(api: () => ToxiproxyApi): void {
  test("latency delays a live connection by its milliseconds, each way it is on", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    client.write("0");
    await client.receive(1);
    await api().addToxic("p", { type: "latency", attributes: { latency: 100 } });
    await api().addToxic("p", { type: "latency", stream: "upstream", attributes: { latency: 60 } });
    const delaysMs: number[] = [];
    for (let round = 1; round <= 5; round++) {
      const startMs = performance.now();
      client.write("x");
      await client.receive(1 + round);
      delaysMs.push(performance.now() - startMs);
    }
    delaysMs.sort((a, b) => a - b);
    // The machine may be slow now and then, never early.
    expect(delaysMs[0]).toBeGreaterThan(158);
    expect(delaysMs[0]).toBeLessThan(175);
  });

  test("latency delays chunks side by side and keeps their order", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "latency", attributes: { latency: 150, jitter: 50 } });
    const startMs = performance.now();
    for (let index = 0; index < 10; index++) {
      client.write(String(index));
      await wait(10);
    }
    expect((await client.receive(10)).toString()).toBe("0123456789");
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  test("taking latency out delivers at once what it held", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "latency", name: "slow", attributes: { latency: 60_000 } });
    for (const text of ["a", "b", "c"]) {
      client.write(text);
      await wait(20);
    }
    expect(client.received).toHaveLength(0);
    await api().removeToxic("p", "slow");
    expect((await client.receive(3)).toString()).toBe("abc");
  });

  test("timeout drops data, closes after silence, and traffic starts the silence anew", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    client.write("x");
    await client.receive(1);
    await api().addToxic("p", { type: "timeout", stream: "upstream", attributes: { timeout: 400 } });
    for (let index = 0; index < 8; index++) {
      client.write("y");
      await wait(100);
    }
    expect(client.ending).toBeUndefined();
    const startMs = performance.now();
    expect(await client.ended()).toBe("end");
    expect(performance.now() - startMs).toBeGreaterThan(250);
    expect(client.received.toString()).toBe("x");
  });

  test("timeout 0 never closes, but taking it out does", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "timeout", name: "hole", attributes: { timeout: 0 } });
    client.write("lost");
    await wait(300);
    expect(client.ending).toBeUndefined();
    await api().removeToxic("p", "hole");
    expect(await client.ended()).toBe("end");
    expect(client.received).toHaveLength(0);
  });

  test("bandwidth 0 holds everything and delivers it in order when it goes", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "bandwidth", name: "none", attributes: { rate: 0 } });
    const sent = patternBytes(300_000);
    client.write(sent.subarray(0, 100_000));
    await wait(150);
    client.write(sent.subarray(100_000));
    await wait(250);
    expect(client.received).toHaveLength(0);
    await api().removeToxic("p", "none");
    const received = await client.receive(sent.length);
    expect(received.equals(sent)).toBe(true);
  });

  test("bandwidth lets its kilobytes a second through", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "bandwidth", attributes: { rate: 200 } });
    const sent = patternBytes(100_000);
    const startMs = performance.now();
    client.write(sent);
    const received = await client.receive(sent.length);
    const tookMs = performance.now() - startMs;
    expect(received.equals(sent)).toBe(true);
    expect(tookMs).toBeGreaterThan(450);
    expect(tookMs).toBeLessThan(2000);
  });

  test("slow_close delays the end, not the data", async () => {
    await using upstream = await listenUpstream();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "slow_close", attributes: { delay: 600 } });
    const server = await upstream.accept();
    const startMs = performance.now();
    server.socket.end("data");
    await client.receive(4);
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(await client.ended()).toBe("end");
    expect(performance.now() - startMs).toBeGreaterThan(595);
  });

  test("reset_peer sends RST on connections that open under it, FIN on those before", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    using before = await connectTo(port);
    before.write("x");
    await before.receive(1);
    await api().addToxic("p", { type: "reset_peer", attributes: { timeout: 0 } });
    before.write("y");
    expect(await before.ended()).toBe("end");
    using after = await connectTo(port);
    after.write("z");
    expect(await after.ended()).toBe("reset");
    expect(after.received).toHaveLength(0);
  });

  test("reset_peer waits its timeout after the first chunk", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    await api().addToxic("p", { type: "reset_peer", attributes: { timeout: 250 } });
    using client = await connectTo(port);
    await wait(300);
    expect(client.ending).toBeUndefined();
    const startMs = performance.now();
    client.write("z");
    expect(await client.ended()).toBe("reset");
    expect(performance.now() - startMs).toBeGreaterThan(245);
  });

  test("a connection opened under a reset_peer of toxicity 0 is closed by RST all the same", async () => {
    await using upstream = await listenUpstream();
    const port = await api().createProxy("p", upstream.port);
    await api().addToxic("p", { type: "reset_peer", toxicity: 0, attributes: { timeout: 0 } });
    using client = await connectTo(port);
    const server = await upstream.accept();
    server.write("data");
    expect((await client.receive(4)).toString()).toBe("data");
    server.socket.end();
    expect(await client.ended()).toBe("reset");
  });

  test("limit_data closes at exactly its bytes, however the writes were split, also across an update", async () => {
    await using upstream = await listenUpstream();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    const server = await upstream.accept();
    await api().addToxic("p", { type: "limit_data", name: "ld", attributes: { bytes: 50 } });
    server.write("a".repeat(40));
    await client.receive(40);
    await api().call("PATCH", "/proxies/p/toxics/ld", { attributes: { bytes: 100 } });
    server.write("b".repeat(40));
    await client.receive(80);
    server.write("c".repeat(40));
    expect(await client.ended()).toBe("end");
    expect(client.received.toString()).toBe("a".repeat(40) + "b".repeat(40) + "c".repeat(20));
  });

  test("limit_data of 0 closes at the first data", async () => {
    await using upstream = await listenEcho();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "limit_data", attributes: { bytes: 0 } });
    await wait(100);
    expect(client.ending).toBeUndefined();
    client.write("x");
    expect(await client.ended()).toBe("end");
    expect(client.received).toHaveLength(0);
  });

  test("slicer passes the same bytes on in smaller pieces", async () => {
    await using upstream = await listenUpstream();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    const attributes = { average_size: 100, size_variation: 20, delay: 2000 };
    await api().addToxic("p", { type: "slicer", attributes });
    const server = await upstream.accept();
    const sizes: number[] = [];
    client.socket.on("data", (data: Buffer) => sizes.push(data.length));
    const sent = patternBytes(2000);
    server.write(sent);
    const received = await client.receive(sent.length);
    expect(received.equals(sent)).toBe(true);
    expect(sizes.length).toBeGreaterThan(8);
    expect(Math.min(...sizes)).toBeLessThanOrEqual(120);
  });

  test("toxics work in the order of adding, the data they hold included", async () => {
    await using upstream = await listenUpstream();
    using client = await connectTo(await api().createProxy("p", upstream.port));
    await api().addToxic("p", { type: "latency", name: "one", attributes: { latency: 150 } });
    await api().addToxic("p", { type: "limit_data", name: "two", attributes: { bytes: 3 } });
    await api().addToxic("p", { type: "latency", name: "three", attributes: { latency: 150 } });
    const server = await upstream.accept();
    const startMs = performance.now();
    server.write("abcdef");
    expect((await client.receive(3)).toString()).toBe("abc");
    expect(performance.now() - startMs).toBeGreaterThan(295);
    expect(await client.ended()).toBe("end");
  });

  test("a toxicity of 0 leaves every connection alone, of 0.5 about half", async () => {
    await using upstream = await listenEcho();
    const port = await api().createProxy("p", upstream.port);
    const toxic = { type: "timeout", name: "t", stream: "upstream", attributes: { timeout: 100 } };
    const countClosed = async (count: number): Promise<number> => {
      const peers = await Promise.all(Array.from({ length: count }, () => connectTo(port)));
      for (const peer of peers) peer.write("x");
      await wait(400);
      const closed = peers.filter((peer) => peer.ending !== undefined).length;
      for (const peer of peers) peer[Symbol.dispose]();
      return closed;
    };
    await api().addToxic("p", { ...toxic, toxicity: 0 });
    expect(await countClosed(20)).toBe(0);
    await api().call("PATCH", "/proxies/p/toxics/t", { toxicity: 0.5 });
    // Outside of this range once in a million runs: binomial, n = 100, p = 0.5.
    const closed = await countClosed(100);
    expect(closed).toBeGreaterThan(25);
    expect(closed).toBeLessThan(75);
  });
}

function clients(api: () => ToxiproxyApi): void {
  for (const [version, Toxiproxy] of [
    ["4.1.0", Toxiproxy41],
    ["4.0.0", Toxiproxy40],
  ] as const) {
    test(`toxiproxy-node-client ${version} makes proxies, toxics them, changes and removes them`, async () => {
      await using upstream = await listenEcho();
      const client = new Toxiproxy(api().url);
      const proxy = await client.createProxy({
        name: "p",
        listen: "127.0.0.1:0",
        upstream: `127.0.0.1:${upstream.port}`,
      });
      using peer = await connectTo(Number(proxy.listen.split(":")[1]));
      peer.write("x");
      expect((await peer.receive(1)).toString()).toBe("x");

      const slow = { name: "slow", type: "latency", stream: "downstream", toxicity: 1 } as const;
      const toxic = await proxy.addToxic({ ...slow, attributes: { latency: 50, jitter: 0 } });
      await toxic.update({ ...slow, attributes: { latency: 80, jitter: 0 } });
      const again = await (await client.get("p")).getToxic("slow");
      expect([again.stream, again.attributes]).toEqual(["downstream", { latency: 80, jitter: 0 }]);
      const startMs = performance.now();
      peer.write("y");
      await peer.receive(2);
      expect(performance.now() - startMs).toBeGreaterThan(78);
      await toxic.remove();

      await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream });
      expect(await peer.ended()).toBe("end");
      await client.reset();
      expect(Object.keys(await client.getAll())).toEqual(["p"]);
      const { q } = await client.populate([
        { name: "q", listen: "127.0.0.1:0", upstream: "127.0.0.1:1", enabled: true },
      ]);
      expect(q?.upstream).toBe("127.0.0.1:1");
      await expect(client.get("none")).rejects.toMatchObject({
        message: "Request failed with status code 404",
      });
      await proxy.remove();
      expect(Object.keys(await client.getAll())).toEqual(["q"]);
    });
  }
}
