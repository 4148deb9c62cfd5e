/** Sockets that remember what happened to them, for both ends of a proxied connection. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export type Ending = "end" | "reset" | "refused";

/** One side of a connection, with everything that came in and how it ended. */
export class Peer implements Disposable {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #ending: Ending | undefined;
  #changed: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#changed();
    });
    socket.on("end", () => this.#end("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#end(error.code === "ECONNREFUSED" ? "refused" : "reset");
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  write(data: string | Buffer): void {
    this.socket.write(data);
  }

  /** Resolves with all that came in, once it is at least `bytes`; rejects after `timeoutMs`. */
  async receive(bytes: number, timeoutMs: number = 5000): Promise<Buffer> {
    await this.#until(() => this.#receivedBytes >= bytes, timeoutMs, `${bytes} bytes`);
    return this.received;
  }

  async ended(timeoutMs: number = 5000): Promise<Ending> {
    await this.#until(() => this.#ending !== undefined, timeoutMs, "the end");
    return this.#ending as Ending;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#changed();
  }

  #until(isSo: () => boolean, timeoutMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const state = `${this.#receivedBytes} bytes, ending ${this.#ending ?? "none"}`;
        reject(new Error(`waited ${timeoutMs} ms for ${what}; so far: ${state}`));
      }, timeoutMs);
      this.#changed = () => {
        if (!isSo()) return;
        clearTimeout(timer);
        resolve();
      };
      this.#changed();
    });
  }
}

export function connectTo(port: number): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const peer = new Peer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }));
    peer.socket.once("connect", () => resolve(peer));
    peer.socket.once("error", reject);
  });
}

/** How an attempt to connect ends: `connected`, or as {@link Peer.ending}. */
export async function tryConnect(port: number): Promise<"connected" | Ending> {
  const peer = new Peer(connect({ port, host: "127.0.0.1" }));
  return await new Promise((resolve) => {
    peer.socket.once("connect", () => {
      peer.socket.destroy();
      resolve("connected");
    });
    peer.socket.once("error", () => resolve(peer.ending ?? "reset"));
  });
}

/** A server whose sides of the connections can be looked at. */
export interface Upstream extends AsyncDisposable {
  readonly port: number;
  /** The server's side of the connection that comes in next (or has, and was not asked for). */
  accept(timeoutMs?: number): Promise<Peer>;
}

export async function listenUpstream(onPeer: (peer: Peer) => void = () => {}): Promise<Upstream> {
  const waiting: Peer[] = [];
  const askers: ((peer: Peer) => void)[] = [];
  const all: Peer[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const peer = new Peer(socket);
    all.push(peer);
    onPeer(peer);
    const asker = askers.shift();
    if (asker === undefined) waiting.push(peer);
    else asker(peer);
  });
  await new Promise<void>((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    accept: (timeoutMs = 5000) =>
      new Promise((resolve, reject) => {
        const peer = waiting.shift();
        if (peer !== undefined) {
          resolve(peer);
          return;
        }
        const timer = setTimeout(() => reject(new Error(`no connection in ${timeoutMs} ms`)), timeoutMs);
        askers.push((peer) => {
          clearTimeout(timer);
          resolve(peer);
        });
      }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const peer of all) peer.socket.destroy();
        server.close(() => resolve());
      }),
  };
}

export function listenEcho(): Promise<Upstream> {
  return listenUpstream((peer) => {
    peer.socket.on("data", (data) => peer.socket.write(data));
    peer.socket.on("end", () => peer.socket.end());
  });
}

/** Ports that were free a moment ago, all of five digits. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen({ host: "127.0.0.1", port: 0 }, () =>
            resolve((server.address() as AddressInfo).port),
          );
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Bytes that differ at every offset one looks at, so that a swap or a loss shows. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = (index * 31 + (index >> 8) * 17) & 0xff;
  return bytes;
}

export function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
