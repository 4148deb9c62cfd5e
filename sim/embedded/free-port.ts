/**
 * Ports for servers that will be stopped and started again. Not the ephemeral ones that `listen(0)` gives: while
 * a server is down, the kernel may hand its port to any outgoing connection, which then keeps the server from
 * coming back, and a client that keeps trying the port may even be connected to itself.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Prng } from "../../src/runtime/prng.ts";

const lowest = 15_000;
/** Where Linux begins to take ports for outgoing connections, unless configured; others begin higher. */
const usualEphemeralStart = 32_768;
const attempts = 200;

/**
 * A port of the loopback on which nobody listens at the moment, and which is not in `taken`.
 * @throws Error when none was found
 */
export async function findFreePort(prng: Prng, taken: ReadonlySet<number>): Promise<number> {
  const below = ephemeralStart();
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = lowest + prng.integer(below - lowest);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`found no free port between ${lowest} and ${below} in ${attempts} attempts`);
}

function ephemeralStart(): number {
  try {
    const [start = ""] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/);
    const port = Number(start);
    return port > lowest + 1_000 ? Math.min(port, usualEphemeralStart) : usualEphemeralStart;
  } catch {
    return usualEphemeralStart;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
