/** Probes one node over a connection of its own, so that a full traffic pool never looks like a failed node. */
import type { NodeConfig } from "../config/config.ts";
import { NUDGE_SQL, PROBE_SQL, toSample } from "../driver/probe-sql.ts";
import type { ProbeRow } from "../driver/probe-sql.ts";
import type { Connection, Driver } from "../driver/driver.ts";
import type { NodeSample } from "../routing/sample.ts";

export interface ProbeAnswer {
  readonly sample: NodeSample;
  /** The server's process is not the one that the connection's start-up named: a pooler stands in between. */
  readonly behindPooler: boolean;
}

export class NodeProbe {
  readonly #node: NodeConfig;
  readonly #driver: Driver;
  #connection: Connection | undefined;
  #connecting: AbortController | undefined;
  #closed = false;

  constructor(node: NodeConfig, driver: Driver) {
    this.#node = node;
    this.#driver = driver;
  }

  /**
   * Connects if need be and asks once. Rejects with what the connection or the server said; whoever waits no longer calls
   * {@link reset}, which ends the question too.
   */
  async ask(timeoutMs: number): Promise<ProbeAnswer> {
    const connection = await this.#connected(timeoutMs);
    const row = (await queryRow(connection, PROBE_SQL)) as unknown as ProbeRow;
    return { sample: toSample(row), behindPooler: connection.processID !== row.backend_pid };
  }

  /** Writes one WAL message. The answer does not matter; a role that may not write it is told by the caller. */
  async nudge(): Promise<void> {
    if (this.#connection !== undefined) await queryRow(this.#connection, NUDGE_SQL);
  }

  /** Lets go of the connection at once, of one that is being made too; the next probe makes a new one. */
  reset(): void {
    this.#connecting?.abort();
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connecting?.abort();
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.end();
  }

  async #connected(timeoutMs: number): Promise<Connection> {
    if (this.#connection !== undefined) return this.#connection;
    const connecting = new AbortController();
    this.#connecting = connecting;
    const connection = await this.#driver.connect(this.#node, {
      timeoutMs,
      onLost: () => this.#forget(connection),
      signal: connecting.signal,
    });
    if (this.#closed || connecting.signal.aborted) {
      // It came after all, when nobody waited for it any more.
      connection.destroy();
      throw new Error(`the probe of "${this.#node.name}" was closed while it connected`);
    }
    this.#connecting = undefined;
    this.#connection = connection;
    return connection;
  }

  #forget(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
  }
}

function queryRow(connection: Connection, text: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    connection.query(text, undefined, (error, result) => {
      if (error !== null && error !== undefined) reject(error);
      else resolve((result.rows[0] ?? {}) as Record<string, unknown>);
    });
  });
}
