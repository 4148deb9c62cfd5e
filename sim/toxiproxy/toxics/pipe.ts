/**
 * The language toxics are written in. A toxic is a generator that asks for one thing at a time (a chunk, room
 * for a chunk, a rest) and is told what came of it; a {@link ToxicStub} runs it on one direction of one
 * connection. Nothing here is asynchronous, so a toxic can be put in, changed or taken out between two steps.
 */
import type { Prng } from "../../../src/runtime/prng.ts";
import type { Chunk } from "../channel.ts";

/** What a toxic may ask for. */
export type Step =
  | { readonly kind: "receive"; readonly withinMs: number | undefined }
  | { readonly kind: "send"; readonly chunk: Chunk }
  | { readonly kind: "sleep"; readonly delayMs: number; readonly interruptible: boolean };

/** What it is told. `interrupted`: the chain is being changed; pass on what you hold and return. */
export type Signal =
  | Chunk
  | { readonly kind: "closed" }
  | { readonly kind: "interrupted" }
  | { readonly kind: "elapsed" }
  | { readonly kind: "sent" };

/** How a toxic ends: changed from outside, done with the connection, or done with it by RST. */
export type Ending = "interrupted" | "closed" | "reset";

export type Pipe = Generator<Step, Ending, Signal>;

/** Attributes by wire name, as numbers. */
export type ToxicValues = Readonly<Record<string, number>>;

/** What a toxic may use besides its attributes. */
export interface PipeContext {
  now(): number;
  readonly random: Prng;
  /** What this toxic remembers of this connection, kept across updates of its attributes. */
  readonly memory: { bytesSent: number };
}

export interface ToxicType {
  readonly type: string;
  /** The Go type's name, which the wire shows in error texts. */
  readonly goName: string;
  readonly attributes: readonly { readonly name: string; readonly goType: "int64" | "int" }[];
  /** How many chunks may wait before it. @defaultValue 0 */
  readonly capacity?: number;
  /** Whether taking it away closes the connection. @defaultValue false */
  readonly closesOnRemoval?: boolean;
  /** Whether connections opened while it exists are closed by RST. @defaultValue false */
  readonly resets?: boolean;
  /** Why these attributes cannot work, for servers that check (`strict: false`). */
  refuse(values: ToxicValues): string | undefined;
  pipe(values: ToxicValues, context: PipeContext): Pipe;
}

/** Attributes with which Toxiproxy itself would die. Only the connection dies of it here. */
export class ToxicCrash extends Error {
  override readonly name = "ToxicCrash";
}

const RECEIVE: Step = { kind: "receive", withinMs: undefined };

/** The next chunk, or the end, or an interruption. */
export function* receive(): Generator<Step, Exclude<Signal, { kind: "sent" | "elapsed" }>, Signal> {
  return (yield RECEIVE) as Exclude<Signal, { kind: "sent" | "elapsed" }>;
}

/** As {@link receive}, but `elapsed` when nothing came within `withinMs`. */
export function* receiveWithin(withinMs: number): Generator<Step, Exclude<Signal, { kind: "sent" }>, Signal> {
  return (yield { kind: "receive", withinMs }) as Exclude<Signal, { kind: "sent" }>;
}

/** Passes a chunk on and waits until the next stage has room again. */
export function* send(chunk: Chunk): Generator<Step, void, Signal> {
  yield { kind: "send", chunk };
}

export function* sleep(delayMs: number): Generator<Step, "elapsed" | "interrupted", Signal> {
  const signal = yield { kind: "sleep", delayMs, interruptible: true };
  return signal.kind === "interrupted" ? "interrupted" : "elapsed";
}

/** A rest that a change of the chain has to wait for. */
export function* sleepThrough(delayMs: number): Generator<Step, void, Signal> {
  yield { kind: "sleep", delayMs, interruptible: false };
}

/** Why a value below zero cannot work, for {@link ToxicType.refuse}. */
export function refuseNegative(values: ToxicValues, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = values[name] ?? 0;
    if (value < 0) return `${name} must be 0 or more, got ${value}`;
  }
  return undefined;
}
