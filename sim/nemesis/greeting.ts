/** The smallest question to a PostgreSQL server: does it answer a new connection at all? Needs no account. */
import { Socket } from "node:net";
import type { Clock } from "../../src/runtime/clock.ts";
import type { TcpAddress } from "./tcp.ts";

/**
 * `answered`: whoever listens speaks. `silent`: it took the connection and says nothing. `unconnected`: the connection was neither
 * taken nor refused. `closed`: it was taken and closed.
 */
export type Greeting = "answered" | "silent" | "unconnected" | "refused" | "reset" | "closed";

/** `SSLRequest`: length 8, code 80877103. The postmaster's child answers it with one byte, before anything else. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Connects, asks and leaves. Never rejects. */
export function greet(clock: Clock, address: TcpAddress, timeoutMs: number): Promise<Greeting> {
  return new Promise((resolve) => {
    const socket = new Socket();
    let isConnected = false;
    const answer = (value: Greeting): void => {
      clock.cancel(timer);
      socket.destroy();
      resolve(value);
    };
    const timer = clock.schedule(timeoutMs, () => answer(isConnected ? "silent" : "unconnected"));
    socket.once("connect", () => {
      isConnected = true;
      socket.write(sslRequest);
    });
    socket.once("data", () => answer("answered"));
    socket.once("close", () => answer("closed"));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED") answer("refused");
      else if (code === "ECONNRESET") answer("reset");
      else answer(isConnected ? "closed" : "unconnected");
    });
    socket.connect(address.port, address.host);
  });
}
