import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import type { ToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import { connectTo, listenEcho, patternBytes } from "./sockets.ts";
import { ToxiproxyApi } from "./toxiproxy-api.ts";

const lossless = fc.constantFrom(
  { type: "noop" },
  { type: "latency", attributes: { latency: 3, jitter: 3 } },
  { type: "bandwidth", attributes: { rate: 50_000 } },
  { type: "slow_close", attributes: { delay: 5 } },
  { type: "slicer", attributes: { average_size: 5000, size_variation: 500, delay: 1 } },
);

const step = fc.oneof(
  fc.record({
    kind: fc.constant("add" as const),
    toxic: lossless,
    stream: fc.constantFrom("upstream", "downstream"),
  }),
  fc.record({ kind: fc.constant("remove" as const), index: fc.nat() }),
  fc.record({ kind: fc.constant("update" as const), index: fc.nat() }),
  fc.record({ kind: fc.constant("send" as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
);

describe.each([true, false])("a live connection (strict: %s)", (strict) => {
  let server: ToxiproxyServer;
  beforeAll(async () => {
    server = await createToxiproxyServer({ strict, seed: 9 });
  });
  afterAll(() => server.close());

  test("echoes the same bytes in the same order while lossless toxics come, change and go", async () => {
    await using upstream = await listenEcho();
    const api = new ToxiproxyApi(server.url);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 20 }), async (steps) => {
        const proxy = `p${run++}`;
        using client = await connectTo(await api.createProxy(proxy, upstream.port));
        const names: string[] = [];
        let sentBytes = 0;
        const all = patternBytes(20 * 400_000);
        for (const [number, one] of steps.entries()) {
          if (one.kind === "send") {
            client.write(all.subarray(sentBytes, sentBytes + one.bytes));
            sentBytes += one.bytes;
            continue;
          }
          if (one.kind === "add") {
            const name = `t${number}`;
            await api.addToxic(proxy, { ...one.toxic, name, stream: one.stream });
            names.push(name);
            continue;
          }
          const name = names[one.index % Math.max(1, names.length)];
          if (name === undefined) continue;
          if (one.kind === "update")
            await api.call("PATCH", `/proxies/${proxy}/toxics/${name}`, { toxicity: 1 });
          else {
            await api.removeToxic(proxy, name);
            names.splice(names.indexOf(name), 1);
          }
        }
        const received = await client.receive(sentBytes, 15_000);
        expect(received.equals(all.subarray(0, sentBytes))).toBe(true);
        await api.call("DELETE", `/proxies/${proxy}`);
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});
