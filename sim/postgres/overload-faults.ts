/** A server that is well and has no room, or no time: its connection slots are taken, or its statements take long. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import type { DirectConnection } from "../../chaos/world.ts";
import { READ_MS_SETTING } from "../../chaos/workload/statements.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { FaultProcedure } from "../nemesis/procedure.ts";
import type { Missing } from "../nemesis/watch.ts";

/** `too_many_connections`: what is reserved for superusers is still free. */
const TOO_MANY = "53300";

/** Within this a client that has a slot shows up. */
const LOGIN_MS = 100;

/** Opened at the same time: the server starts a process for each. */
const AT_ONCE = 8;

export interface FullServer {
  readonly estate: Estate;
  readonly node: NodeName;
  readonly slots: "free" | "all";
  /** Straight to the node, with an application's rights: superusers may use the slots that are kept for them. */
  readonly connectAsApplication: (node: NodeName) => Promise<DirectConnection>;
}

export function serverFull({ estate, node, slots, connectAsApplication }: FullServer): FaultProcedure {
  const held: DirectConnection[] = [];
  /** Ours, for as long as it lasts: one that left would leave a slot. */
  let own: DirectConnection | undefined;
  /** Takes what is free; resolves when a connection has been refused for want of a slot. */
  const fill = async (): Promise<void> => {
    let isFull = false;
    while (!isFull) {
      const opened = await Promise.allSettled(
        Array.from({ length: AT_ONCE }, () => connectAsApplication(node)),
      );
      for (const each of opened) {
        if (each.status === "fulfilled") held.push(each.value);
        else if (isTooMany(each.reason)) isFull = true;
        else throw each.reason;
      }
    }
  };
  return {
    slowerByMs: 10_000,
    async inject() {
      own = await estate.connect(node);
      await fill();
    },
    async observeOn(watch) {
      own ??= await estate.connect(node);
      const server = own;
      await watch.until(async (): Promise<Missing> => {
        await fill();
        if (slots === "free") return undefined;
        // Whoever is sent away comes back at once, may be faster, and is not seen before it has logged in.
        let others = await sendOthersAway(server);
        if (others === 0) {
          await watch.pause(LOGIN_MS);
          const heldBefore = held.length;
          await fill();
          others = held.length - heldBefore + (await sendOthersAway(server));
        }
        return others === 0 ? undefined : `${others} slots were not taken`;
      });
    },
    async heal() {
      await Promise.all(held.splice(0).map((connection) => connection.close()));
      await own?.close();
      own = undefined;
    },
    observeOff: (watch) =>
      watch.until(async () => {
        await using _connection = await connectAsApplication(node);
        return undefined;
      }),
  };
}

function isTooMany(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === TOO_MANY;
}

/** Every client but ours. */
async function sendOthersAway(server: DirectConnection): Promise<number> {
  const [row] = await server.query<{ others: number }>(
    `SELECT count(pg_terminate_backend(pid))::integer AS others FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND application_name <> current_setting('application_name')`,
  );
  return row?.others ?? 0;
}

export interface SlowStatements {
  readonly estate: Estate;
  readonly node: NodeName;
  readonly takeMs: number;
}

/**
 * Only a server's own settings differ: reads that look at one wait, probes do not. The other keeps the primary from removing
 * what such reads may still see: the replay would have to wait for them.
 */
export function statementsSlow({ estate, node, takeMs }: SlowStatements): FaultProcedure {
  const tell = async (setting: (name: string, value: string) => string): Promise<void> => {
    await using server = await estate.connect(node);
    // A setting without a module has to be known to the session before it can be written down.
    await server.query("SELECT set_config($1, '0', false)", [READ_MS_SETTING]);
    await server.query(setting(READ_MS_SETTING, String(takeMs)));
    await server.query(setting("hot_standby_feedback", "on"));
    await server.query("SELECT pg_reload_conf()");
  };
  const see = (expected: string) => async (): Promise<Missing> => {
    await using server = await estate.connect(node);
    const [row] = await server.query<{ ms: string | null }>("SELECT current_setting($1, true) AS ms", [
      READ_MS_SETTING,
    ]);
    const ms = row?.ms ?? "";
    return ms === expected ? undefined : `${READ_MS_SETTING} is "${ms}"`;
  };
  return {
    inject: () => tell((name, value) => `ALTER SYSTEM SET ${name} = '${value}'`),
    observeOn: (watch) => watch.until(see(String(takeMs))),
    heal: () => tell((name) => `ALTER SYSTEM RESET ${name}`),
    observeOff: (watch) => watch.until(see("")),
  };
}
