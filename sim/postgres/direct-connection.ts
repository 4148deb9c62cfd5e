/**
 * The harness's own connections to a server: plain, short-lived, and with a deadline on everything, because
 * the servers they go to are stopped, killed and frozen on purpose. The socket is ours, so that it can be
 * destroyed whatever state the protocol is in.
 */
import { Socket } from "node:net";
import { Client } from "pg";
import type { DirectConnection } from "../../chaos/world.ts";
import { type Clock, withDeadline } from "../../src/runtime/clock.ts";

export interface ConnectionTarget {
  /** For errors. */
  readonly node: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface ConnectionOptions {
  readonly clock: Clock;
  /** For connecting, and again for each statement. Default 5000. */
  readonly timeoutMs?: number;
}

export interface OwnConnection extends DirectConnection {
  /** Lets go of the socket at once; a running statement is rejected. */
  destroy(): void;
  /** Calls `listener` once, when the socket is gone, whoever closed it. */
  onClose(listener: () => void): void;
}

const defaultTimeoutMs = 5_000;
const goodbyeTimeoutMs = 500;

/**
 * Connects, or rejects within the deadline.
 * @throws DeadlineError when the server does not answer; otherwise what `pg` or the socket says
 */
export async function openConnection(
  target: ConnectionTarget,
  options: ConnectionOptions,
): Promise<OwnConnection> {
  const { clock, timeoutMs = defaultTimeoutMs } = options;
  const { node, ...parameters } = target;
  const socket = new Socket();
  const client = new Client({ ...parameters, application_name: "fairlead-harness", stream: () => socket });
  // A server that dies between two statements reports here; the next statement says it again.
  client.on("error", () => {});
  const destroy = (): void => {
    socket.destroy();
  };
  try {
    await withDeadline(clock, client.connect(), {
      what: `connecting to ${node} on ${target.host}:${target.port}`,
      timeoutMs,
      onTimeout: destroy,
    });
  } catch (error) {
    destroy();
    throw error;
  }
  return new PgConnection({ node, client, socket, clock, timeoutMs });
}

interface Parts {
  readonly node: string;
  readonly client: Client;
  readonly socket: Socket;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

class PgConnection implements OwnConnection {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const { node, client, clock, timeoutMs } = this.#parts;
    const answer = client.query<Row>(text, values.length === 0 ? undefined : [...values]);
    const result = await withDeadline(clock, answer, {
      what: `"${text.slice(0, 80)}" on ${node}`,
      timeoutMs,
      onTimeout: () => this.destroy(),
    });
    return result.rows;
  }

  async close(): Promise<void> {
    const { node, client, clock } = this.#parts;
    try {
      await withDeadline(clock, client.end(), { what: `leaving ${node}`, timeoutMs: goodbyeTimeoutMs });
    } catch {
      // Whoever does not take the goodbye is left without one.
    } finally {
      this.destroy();
    }
  }

  destroy(): void {
    this.#parts.socket.destroy();
  }

  onClose(listener: () => void): void {
    if (this.#parts.socket.closed) listener();
    else this.#parts.socket.once("close", listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
