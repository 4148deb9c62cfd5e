/**
 * fairlead's own router as a subject. It testifies to every transition, log line and pick, and claims everything but what only
 * its sessions promise: its reads here belong to none.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { DecisionMessage } from "../../src/channels.ts";
import { Router } from "../../src/router.ts";
import type { RouterEvents } from "../../src/router.ts";
import type { LogFields, Logger } from "../../src/runtime/logger.ts";
import type { RouterEvent } from "../history/operation.ts";
import type { Row, Subject, SubjectClient, SubjectOptions } from "../subject.ts";
import { PickLedger } from "./pick-ledger.ts";

type Tell = (event: RouterEvent) => void;

export const fairlead: Subject = {
  name: "fairlead",
  claims: ["weights", "exact-weights", "lag-limit", "fallback", "log-once", "no-leak", "events"],

  async connect({ policy, seed, tell }: SubjectOptions): Promise<SubjectClient> {
    const ledger = new PickLedger(tell);
    const onDecision = (message: unknown): void => ledger.note((message as DecisionMessage).decision);
    const router = new Router(policy, { seed, logger: tellingLogger(tell) });
    // Before it begins: what it says while it starts is testimony too.
    router.on("change", (change) => {
      const event = testimonyOf(change);
      tell(event);
      if (event.kind === "epoch") ledger.enter(event.epoch);
    });
    subscribe("fairlead:decision", onDecision);
    const end = async (): Promise<void> => {
      await router.end();
      unsubscribe("fairlead:decision", onDecision);
      ledger.end();
    };
    try {
      await router.begin();
    } catch (error) {
      await end();
      throw error;
    }
    return {
      read: async (text, values, name) =>
        (await router.read<Row>(name === undefined ? text : { name, text }, [...values])).rows,
      write: async (text, values) => (await router.write<Row>(text, [...values])).rows,
      readOnlyTransaction: (statements) =>
        router.transaction(
          async (transaction) => {
            const answers: (readonly Row[])[] = [];
            for (const { text, values } of statements) {
              answers.push((await transaction.query<Row>(text, [...values])).rows);
            }
            return answers;
          },
          { readOnly: true },
        ),
      close: end,
    };
  },
};

function testimonyOf(change: RouterEvents["change"][0]): RouterEvent {
  switch (change.kind) {
    case "evicted":
    case "epoch":
    case "fallback-started":
    case "fallback-ended":
    case "time-jumped":
    case "local-stall":
      return change;
    case "readmitted":
    case "restored":
    case "joined":
    case "draining":
    case "undrained":
    case "primary-up":
    case "primary-down":
      return { kind: change.kind, node: change.node };
  }
}

function tellingLogger(tell: Tell): Logger {
  const at =
    (level: keyof Logger) =>
    (message: string, fields: LogFields = {}): void => {
      const details = Object.entries(fields).map(([key, value]) => ` ${key}=${String(value)}`);
      tell({ kind: "log", level, message: `${message}${details.join("")}` });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
