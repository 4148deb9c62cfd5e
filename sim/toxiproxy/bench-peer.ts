/** The other end of the benchmark's connections, in a thread of its own: an echo, and a sink that counts. */
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { parentPort } from "node:worker_threads";

export interface BenchPeerPorts {
  readonly echoPort: number;
  /** Takes a number of bytes, given in its first 8 as a big-endian integer, and answers with one. */
  readonly sinkPort: number;
}

const echo = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (data) => socket.write(data));
});

const sink = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  countDown(socket);
});

function countDown(socket: Socket): void {
  let leftBytes: number | undefined;
  socket.on("data", (data: Buffer) => {
    leftBytes ??= Number(data.readBigUInt64BE());
    leftBytes -= data.length;
    if (leftBytes > 0) return;
    socket.write("!");
    leftBytes = undefined;
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port: 0, backlog: 2048 };
    server.listen(options, () => resolve((server.address() as AddressInfo).port));
  });
}

const ports: BenchPeerPorts = { echoPort: await listen(echo), sinkPort: await listen(sink) };
parentPort?.postMessage(ports);
