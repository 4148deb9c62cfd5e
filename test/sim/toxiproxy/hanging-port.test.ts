import { createServer, connect } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { greet } from "../../../sim/nemesis/greeting.ts";
import { HangingPort } from "../../../sim/toxiproxy/hanging-port.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { listenEcho, tryConnect } from "./sockets.ts";

const host = "127.0.0.1";

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen({ host, port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("connecting to it neither succeeds nor fails, again and again, until it is given up", async () => {
  const port = await freePort();
  const hanging = await HangingPort.open(systemClock, { host, port });
  for (let i = 0; i < 3; i++) {
    expect(await greet(systemClock, { host, port }, 100)).toBe("unconnected");
  }
  await hanging[Symbol.asyncDispose]();
  expect(await tryConnect(port)).toBe("refused");
});

test("the port can be listened on again at once, while somebody still tries to connect", async () => {
  const port = await freePort();
  const hanging = await HangingPort.open(systemClock, { host, port });
  const trying = connect(port, host);
  trying.on("error", () => {});
  await hanging[Symbol.asyncDispose]();
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  trying.destroy();
  server.close();
});

test("a port that somebody listens on is told, and stays theirs", async () => {
  await using echo = await listenEcho();
  const opening = HangingPort.open(systemClock, { host, port: echo.port });
  await expect(opening).rejects.toThrow("is the port taken?");
  expect(await tryConnect(echo.port)).not.toBe("refused");
});
