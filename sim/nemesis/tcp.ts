/** The smallest question to an address: does anybody take a connection there? */
import { Socket } from "node:net";
import type { Clock } from "../../src/runtime/clock.ts";

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** `silent`: neither taken nor refused in time. */
export type TcpAnswer = "accepted" | "refused" | "silent";

const timeoutMs = 1_000;

/** Connects and leaves at once. Never rejects; an error other than a refusal counts as silence. */
export function knock(clock: Clock, address: TcpAddress): Promise<TcpAnswer> {
  return new Promise((resolve) => {
    const socket = new Socket();
    const answer = (value: TcpAnswer): void => {
      clock.cancel(timer);
      socket.destroy();
      resolve(value);
    };
    const timer = clock.schedule(timeoutMs, () => answer("silent"));
    socket.once("connect", () => answer("accepted"));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      answer(error.code === "ECONNREFUSED" ? "refused" : "silent"),
    );
    socket.connect(address.port, address.host);
  });
}
