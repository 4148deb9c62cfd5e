/**
 * A port on which connecting hangs, without firewall or privileges: somebody listens and never accepts, and the queue of
 * those who wait to be accepted is full. The kernel then drops every further SYN.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { type Clock, withDeadline } from "../../src/runtime/clock.ts";
import type { TcpAddress } from "../nemesis/tcp.ts";

/**
 * It listens and then waits for the end of its input instead of for connections: nobody is accepted, and when
 * its parent is gone, however it went, so is it.
 */
const listener = `
  const { readSync, writeSync } = require("node:fs");
  const [host, port] = process.argv.slice(1);
  require("node:net").createServer().listen({ host, port: Number(port), backlog: 1 }, () => {
    writeSync(1, "listening\\n");
    try { readSync(0, Buffer.alloc(1)); } finally { process.exit(); }
  });
`;

const startTimeoutMs = 10_000;
/** Whoever is not connected by then is not going to be, on the loopback. */
const connectTimeoutMs = 100;
/** Linux queues backlog + 1, others up to twice that. */
const mostFillers = 16;

export class HangingPort implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #fillers = new Set<Socket>();

  /**
   * Takes the port, which must be free, and resolves when connecting to it hangs.
   * @throws Error when the port is taken, or connections are still accepted after 16
   */
  static async open(clock: Clock, address: TcpAddress): Promise<HangingPort> {
    const port = new HangingPort(address);
    try {
      await withDeadline(clock, port.#listening(), {
        what: `listening on ${address.port}`,
        timeoutMs: startTimeoutMs,
      });
      await port.#fill(clock, address);
      return port;
    } catch (error) {
      await port[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor({ host, port }: TcpAddress) {
    this.#child = spawn(process.execPath, ["-e", listener, host, String(port)], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#gone = new Promise((resolve) => {
      this.#child.once("exit", resolve);
      this.#child.once("error", resolve);
    });
    this.#child.stdin?.on("error", () => {});
  }

  /** Frees the port; resolves when it is free. Whoever waited there is reset. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#fillers) socket.destroy();
    this.#fillers.clear();
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  async #listening(): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("the listener has no output");
    const ended = this.#gone.then(() => {
      throw new Error("it ended at once: is the port taken?");
    });
    await Promise.race([once(stdout, "data"), ended]);
  }

  async #fill(clock: Clock, address: TcpAddress): Promise<void> {
    for (let i = 0; i < mostFillers; i++) {
      const socket = new Socket();
      this.#fillers.add(socket);
      const isConnected = await connects(clock, socket, address);
      if (isConnected) continue;
      this.#fillers.delete(socket);
      socket.destroy();
      return;
    }
    throw new Error(
      `port ${address.port} took ${mostFillers} connections, and connecting to it does not hang`,
    );
  }
}

function connects(clock: Clock, socket: Socket, { host, port }: TcpAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (value: boolean): void => {
      clock.cancel(timer);
      resolve(value);
    };
    const timer = clock.schedule(connectTimeoutMs, () => answer(false));
    socket.once("connect", () => answer(true));
    // The port is given up while somebody waits there.
    socket.on("error", () => answer(false));
    socket.connect(port, host);
  });
}
