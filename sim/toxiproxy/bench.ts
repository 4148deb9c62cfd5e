/**
 * What the built-in Toxiproxy costs without toxics: time added to a round trip, bytes a second through one
 * connection, connections held at once. The client, the proxy and the other end each have a thread of their own,
 * and every figure is taken in turn with the same over a direct connection.
 */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { systemClock } from "../../src/runtime/clock.ts";
import type { BenchPeerPorts } from "./bench-peer.ts";
import { startBuiltinToxiproxy } from "./start.ts";
import { workerUrl } from "./worker-url.ts";

export interface ToxiproxyBench {
  /** Median of round trips through the proxy, less the median of direct ones, in microseconds. */
  readonly addedRoundTripP50Us: number;
  /** Median of several runs through one connection, in megabytes (1,000,000 bytes) a second. */
  readonly throughputMBps: number;
  /** Connections that were open at once, each of which carried an echo while all were. */
  readonly connections: number;
  /** The same over direct connections, for comparison. */
  readonly direct: { readonly roundTripP50Us: number; readonly throughputMBps: number };
}

const WARM_UP_ROUNDS = 2000;
const ROUNDS = 10_000;
const TRANSFERS = 7;
const TRANSFER_BYTES = 512 * 1024 * 1024;
const CONNECTIONS = 1000;

export async function benchToxiproxy(): Promise<ToxiproxyBench> {
  const peer = new Worker(workerUrl("bench-peer", import.meta.url), { execArgv: [] });
  try {
    const [ports] = (await once(peer, "message")) as [BenchPeerPorts];
    await using server = await startBuiltinToxiproxy({ seed: 1 });
    const echoPort = await createProxy(server.url, "echo", ports.echoPort);
    const sinkPort = await createProxy(server.url, "sink", ports.sinkPort);
    const roundTrips = await measureRoundTrips(ports.echoPort, echoPort);
    const throughput = await measureThroughput(ports.sinkPort, sinkPort);
    const connections = await holdConnections(echoPort);
    return {
      addedRoundTripP50Us: roundTrips.proxiedUs - roundTrips.directUs,
      throughputMBps: throughput.proxiedMBps,
      connections,
      direct: { roundTripP50Us: roundTrips.directUs, throughputMBps: throughput.directMBps },
    };
  } finally {
    await peer.terminate();
  }
}

async function createProxy(url: string, name: string, upstreamPort: number): Promise<number> {
  const body = JSON.stringify({ name, listen: "127.0.0.1:0", upstream: `127.0.0.1:${upstreamPort}` });
  const response = await fetch(`${url}/proxies`, { method: "POST", body });
  const { listen } = (await response.json()) as { listen: string };
  return Number(listen.split(":").at(-1));
}

async function measureRoundTrips(
  directPort: number,
  proxiedPort: number,
): Promise<{ directUs: number; proxiedUs: number }> {
  const direct = await open(directPort);
  const proxied = await open(proxiedPort);
  const directUs: number[] = [];
  const proxiedUs: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const pair = [await roundTripUs(direct), await roundTripUs(proxied)] as const;
    if (round < WARM_UP_ROUNDS) continue;
    directUs.push(pair[0]);
    proxiedUs.push(pair[1]);
  }
  direct.destroy();
  proxied.destroy();
  return { directUs: median(directUs), proxiedUs: median(proxiedUs) };
}

const PING = Buffer.alloc(64, "ping");

function roundTripUs(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    const startMs = systemClock.now();
    socket.once("data", () => resolve((systemClock.now() - startMs) * 1000));
    socket.write(PING);
  });
}

async function measureThroughput(
  directPort: number,
  proxiedPort: number,
): Promise<{ directMBps: number; proxiedMBps: number }> {
  const direct = await open(directPort);
  const proxied = await open(proxiedPort);
  const directMBps: number[] = [];
  const proxiedMBps: number[] = [];
  for (let run = 0; run < TRANSFERS; run++) {
    directMBps.push(await transferMBps(direct));
    proxiedMBps.push(await transferMBps(proxied));
  }
  direct.destroy();
  proxied.destroy();
  return { directMBps: median(directMBps), proxiedMBps: median(proxiedMBps) };
}

const BLOCK = Buffer.alloc(1024 * 1024, "x");

/** Sends the bytes and waits until the other end has said that it has them all. */
async function transferMBps(socket: Socket): Promise<number> {
  const head = Buffer.alloc(BLOCK.length);
  head.writeBigUInt64BE(BigInt(TRANSFER_BYTES));
  const startMs = systemClock.now();
  const received = once(socket, "data");
  for (let sentBytes = 0; sentBytes < TRANSFER_BYTES; sentBytes += BLOCK.length) {
    if (!socket.write(sentBytes === 0 ? head : BLOCK)) await once(socket, "drain");
  }
  await received;
  return TRANSFER_BYTES / 1e6 / ((systemClock.now() - startMs) / 1000);
}

async function holdConnections(port: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port)));
  const echoes = sockets.map(async (socket) => {
    const received = once(socket, "data");
    socket.write(PING);
    await received;
    return socket.readyState === "open";
  });
  const held = (await Promise.all(echoes)).filter(Boolean).length;
  for (const socket of sockets) socket.destroy();
  return held;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

if (import.meta.main) {
  const { addedRoundTripP50Us, throughputMBps, connections, direct } = await benchToxiproxy();
  const lines = [
    `round trip    +${addedRoundTripP50Us.toFixed(1)} µs at p50 (direct ${direct.roundTripP50Us.toFixed(1)} µs)`,
    `throughput    ${throughputMBps.toFixed(0)} MB/s through one connection (direct ${direct.throughputMBps.toFixed(0)} MB/s)`,
    `connections   ${connections} held, each echoing`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
