/** Listening for a proxy's clients, on addresses as Go understands them and with Go's error texts. */
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { AddressError, formatTcpAddress, resolveTcpAddress } from "./addresses.ts";
import type { TcpAddress } from "./addresses.ts";

export interface Listener {
  /** Where it listens, as Go prints it: a wildcard is `[::]:port`. */
  readonly address: string;
  /** Stops accepting; what was accepted lives on. */
  close(): void;
}

/** How much may wait to be written on a socket before its peer is no longer read from. */
export const WRITE_BUFFER_BYTES: number = 256 * 1024;

/**
 * @param onConnection gets each socket before anything has been read from it
 * @throws AddressError `listen tcp …: bind: address already in use` and the like
 */
export async function listen(text: string, onConnection: (socket: Socket) => void): Promise<Listener> {
  let address: TcpAddress;
  try {
    address = await resolveTcpAddress(text);
  } catch (error) {
    throw error instanceof AddressError
      ? new AddressError(`listen tcp: ${error.message}`, { cause: error })
      : error;
  }
  const server = createServer({
    allowHalfOpen: true,
    pauseOnConnect: true,
    noDelay: true,
    highWaterMark: WRITE_BUFFER_BYTES,
  });
  server.on("connection", onConnection);
  try {
    await bind(server, address);
  } catch (error) {
    const problem = bindProblems[(error as NodeJS.ErrnoException).code ?? ""] ?? (error as Error).message;
    throw new AddressError(`listen tcp ${formatTcpAddress(address)}: bind: ${problem}`, { cause: error });
  }
  const bound = server.address() as AddressInfo;
  return {
    address: formatTcpAddress({ ip: bound.address, port: bound.port }),
    close: () => {
      server.close();
    },
  };
}

const bindProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

/** A wildcard means both families, as in Go; only IPv4 where the machine has no IPv6. */
async function bind(server: Server, { ip, port }: TcpAddress): Promise<void> {
  const isWildcard = ip === "" || ip === "0.0.0.0" || ip === "::";
  try {
    await listenOn(server, isWildcard ? "::" : ip, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!isWildcard || (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL")) throw error;
    await listenOn(server, "0.0.0.0", port);
  }
}

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      // Running out of file descriptors while accepting must not end the process; the client sees it.
      server.on("error", () => {});
      resolve();
    });
  });
}
