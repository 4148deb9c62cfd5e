import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { greet } from "../../../sim/nemesis/greeting.ts";
import type { TcpAddress } from "../../../sim/nemesis/tcp.ts";
import { systemClock } from "../../../src/runtime/clock.ts";

async function listen(onConnection: (socket: Socket) => void): Promise<TcpAddress> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => void server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("whoever speaks has answered, once it was asked for TLS as PostgreSQL is", async () => {
  const asked: Buffer[] = [];
  const address = await listen((socket) =>
    socket.on("data", (data) => {
      asked.push(data);
      socket.write("S");
    }),
  );
  expect(await greet(systemClock, address, 5_000)).toBe("answered");
  // PostgreSQL's manual, "Message Formats", SSLRequest: Int32(8) Int32(80877103).
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(80_877_103, 4);
  expect(Buffer.concat(asked)).toEqual(request);
});

test.each([
  ["silent", (socket: Socket): void => void socket.resume()],
  ["reset", (socket: Socket): void => void socket.once("data", () => socket.resetAndDestroy())],
  ["closed", (socket: Socket): void => void socket.once("data", () => socket.end())],
] as const)("whoever takes the connection may be %s", async (greeting, onConnection) => {
  expect(await greet(systemClock, await listen(onConnection), 300)).toBe(greeting);
});

test("nobody there is a refusal", async () => {
  const { host, port } = await listen(() => {});
  const unused = { host: host.replace(".1", ".2"), port };
  expect(await greet(systemClock, unused, 5_000)).toBe("refused");
});
