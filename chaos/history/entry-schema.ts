/** The shape of a history's lines, checked when one is read. `operation.ts` says what they mean. */
import { z } from "zod";
import type { Fault, LinkName } from "../faults/fault.ts";
import type { Evidence, HistoryEntry, RouterEvent } from "./operation.ts";

const whole = z.int().min(0);
const time = z.number();
const name = z.string().min(1);
const counts = z.record(z.string(), whole);
const operationFunction = z.enum(["read", "write", "transaction", "heartbeat"]);

const link: z.ZodType<LinkName> = z.templateLiteral([z.enum(["app", "replication"]), ":", z.string().min(1)]);

const fault: z.ZodType<Fault> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal(["link-down", "link-black-hole", "link-reset", "link-syn-black-hole"]), link }),
  z.object({ kind: z.literal("link-bandwidth"), link, bytesPerSecond: z.number().min(0) }),
  z.object({
    kind: z.literal("link-latency"),
    link,
    latencyMs: z.number().min(0),
    direction: z.enum(["upstream", "downstream", "both"]),
  }),
  z.object({
    kind: z.literal([
      "node-killed",
      "node-frozen",
      "postmaster-frozen",
      "replay-paused",
      "write-transaction-open",
      "wal-at-page-boundary",
      "wal-switched",
      "checkpointed",
      "recovery-conflict",
      "replica-promoted",
      "table-altered",
    ]),
    node: name,
  }),
  z.object({ kind: z.literal("server-full"), node: name, slots: z.enum(["free", "all"]) }),
  z.object({ kind: z.literal("replica-fed"), node: name, by: z.enum(["replica", "archive"]) }),
  z.object({ kind: z.literal("statements-slow"), node: name, takeMs: z.number().min(0) }),
]);

const evidence: z.ZodType<Evidence> = z.object({
  node: name,
  role: z.enum(["primary", "replica"]),
  replayLsn: z.string().optional(),
  heartbeat: whole,
  backend: whole.optional(),
  ownWrite: whole.optional(),
});

const routerEvent: z.ZodType<RouterEvent> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("log"),
    level: z.enum(["debug", "info", "warn", "error"]),
    message: z.string(),
  }),
  z.object({ kind: z.literal("evicted"), node: name, reason: z.string(), basis: z.string() }),
  z.object({
    kind: z.literal([
      "readmitted",
      "restored",
      "joined",
      "draining",
      "undrained",
      "primary-up",
      "primary-down",
    ]),
    node: name,
  }),
  z.object({ kind: z.literal(["fallback-started", "fallback-ended", "time-jumped", "local-stall"]) }),
  z.object({ kind: z.literal("epoch"), epoch: whole, weights: z.record(z.string(), z.number().min(0)) }),
  z.object({ kind: z.literal("epoch-picks"), epoch: whole, picks: z.array(z.string()), apart: whole }),
]) as z.ZodType<RouterEvent>;

export const entrySchema: z.ZodType<HistoryEntry> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("invoke"),
    index: whole,
    process: whole,
    f: operationFunction,
    at: time,
    intendedAt: time,
    id: whole.optional(),
  }),
  z.object({
    type: z.literal(["ok", "fail", "info"]),
    index: whole,
    process: whole,
    f: operationFunction,
    at: time,
    invoke: whole,
    id: whole.optional(),
    evidence: z.array(evidence).optional(),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  }),
  z.object({
    type: z.literal("nemesis"),
    index: whole,
    phase: z.enum(["inject", "heal"]),
    fault,
    faultId: whole,
    begunAt: time,
    observedAt: time.nullable(),
  }),
  z.object({ type: z.literal("quiet"), index: whole, on: z.boolean(), at: time }),
  z.object({ type: z.literal("testimony"), index: whole, at: time, event: routerEvent }),
  z.object({
    type: z.literal("resources"),
    index: whole,
    at: time,
    phase: z.enum(["before-start", "running", "after-end"]),
    serverConnections: counts,
    handles: counts.optional(),
  }),
  z.object({
    type: z.literal("final"),
    index: whole,
    at: time,
    writes: z.array(z.tuple([whole, whole])),
    elsewhere: z.array(whole),
  }),
  z.object({ type: z.literal("dropped"), index: whole, at: time, f: operationFunction }),
]) as z.ZodType<HistoryEntry>;

export const headerSchema: z.ZodType<{
  readonly format: string;
  readonly version: number;
  readonly about: Readonly<Record<string, unknown>>;
}> = z.object({ format: z.string(), version: z.number(), about: z.record(z.string(), z.unknown()) });
