/**
 * The nemesis of the real worlds. It keeps the one rule that makes an experiment worth judging: a fault is on when
 * an outsider has seen it, and off when an outsider has seen it gone. How either is done is the table's business.
 */
import { type Fault, faultTarget } from "../../chaos/faults/fault.ts";
import { type ActiveFault, FaultNotObserved, type Nemesis } from "../../chaos/world.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { type FaultProcedure, type FaultTable, kindsIn, procedureFor } from "./procedure.ts";
import { messageOf, Watch } from "./watch.ts";

export interface NemesisOptions {
  readonly clock: Clock;
  readonly table: FaultTable;
  /** How long an injected fault may take to be seen. Default 5000. */
  readonly onWithinMs?: number;
  /** How long a heal may take to be seen; a server may have to start and catch up. Default 20000. */
  readonly offWithinMs?: number;
  /** Sets right whatever it finds wrong, whoever did it. Part of {@link Nemesis.healAll}. */
  readonly sweep?: () => Promise<void>;
  /** Errors of the tools, not of what they act on: told as they are, and at once. */
  readonly isFatal?: (error: unknown) => boolean;
  /** Asked when something was not observed: the error that explains it, if the tools themselves are gone. */
  readonly diagnose?: () => Promise<Error | undefined>;
}

type Parts = Required<NemesisOptions>;

export class ObservedNemesis implements Nemesis, AsyncDisposable {
  readonly #parts: Parts;
  /** In the order of injection. A fault is in here before anything is broken. */
  readonly #active = new Set<FaultInHand>();

  constructor(options: NemesisOptions) {
    this.#parts = {
      onWithinMs: 5_000,
      offWithinMs: 20_000,
      sweep: async () => {},
      isFatal: () => false,
      diagnose: async () => undefined,
      ...options,
    };
  }

  async inject(fault: Fault, signal?: AbortSignal): Promise<ActiveFault> {
    signal?.throwIfAborted();
    const procedure = procedureFor(this.#parts.table, fault);
    if (procedure === undefined) {
      const kinds = kindsIn(this.#parts.table).join(", ");
      throw new Error(`this world has no ${fault.kind}: it can do ${kinds}`);
    }
    const inHand = new FaultInHand({
      fault,
      procedure,
      world: this.#parts,
      onHealed: () => this.#active.delete(inHand),
    });
    this.#active.add(inHand);
    await inHand.inject(signal);
    return inHand;
  }

  async healAll(): Promise<void> {
    const inHand = [...this.#active];
    await Promise.all(inHand.map((each) => each.overtake("everything is healed")));
    // First, because one fault may hide the heal of another. After it, heals have little left but to look.
    const outcomes = [
      ...(await Promise.allSettled([this.#parts.sweep()])),
      ...(await Promise.allSettled(inHand.map((each) => each.heal()))),
    ];
    const failures = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    const fatal = failures.find((failure) => this.#parts.isFatal(failure));
    if (fatal !== undefined || failures.length === 1) throw fatal ?? failures[0];
    if (failures.length > 1) throw new AggregateError(failures, failures.map(messageOf).join("; "));
  }

  /** Ends injections that are under way and lets go of connections. What is broken stays broken: its world ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#active].map((each) => each.abandon()));
    this.#active.clear();
  }
}

interface InHandParts {
  readonly fault: Fault;
  readonly procedure: FaultProcedure;
  readonly world: Parts;
  readonly onHealed: () => void;
}

/** One fault from its injection to its heal. */
class FaultInHand implements ActiveFault {
  readonly fault: Fault;
  readonly #parts: InHandParts;
  /** Ends the injection, when a heal or the end of the world overtakes it. */
  readonly #overtaken = new AbortController();
  /** Ends a heal, when the world ends. */
  readonly #abandoned = new AbortController();
  #injecting: Promise<void> | undefined;
  #healing: Promise<void> | undefined;
  /** Whether there may be something to undo. Set before it is broken. */
  #isTouched = false;
  #isHealed = false;

  constructor(parts: InHandParts) {
    this.fault = parts.fault;
    this.#parts = parts;
  }

  inject(signal: AbortSignal | undefined): Promise<void> {
    const { world } = this.#parts;
    const signals = [this.#overtaken.signal, ...(signal === undefined ? [] : [signal])];
    const watch = this.#watch(world.onWithinMs, AbortSignal.any(signals));
    const breaking = this.#break(watch);
    // Whoever heals waits for the breaking to end, not for the undoing that may follow it.
    this.#injecting = breaking.catch(() => {});
    return breaking.catch(async (error: unknown) => {
      throw await this.#undo(error, watch.signal);
    });
  }

  heal(): Promise<void> {
    this.#healing ??= this.#heal().finally(() => (this.#healing = undefined));
    return this.#healing;
  }

  /** Ends the injection, if it is still under way; resolves when nothing more will be broken. */
  async overtake(why: string): Promise<void> {
    this.#overtaken.abort(new Error(`the injection of ${this.fault.kind} was given up: ${why}`));
    await this.#injecting;
  }

  async abandon(): Promise<void> {
    this.#overtaken.abort(new Error(`the world ended before ${this.fault.kind} was seen`));
    this.#abandoned.abort(new Error(`the world ended before the heal of ${this.fault.kind} was seen`));
    await Promise.allSettled([this.#injecting, this.#healing]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.heal();
  }

  async #break(watch: Watch): Promise<void> {
    const { procedure } = this.#parts;
    try {
      await procedure.prepare?.(watch);
      watch.signal.throwIfAborted();
      this.#isTouched = true;
      await procedure.inject(watch);
      await watch.retry(() => procedure.observeOn(watch));
    } finally {
      await procedure.release?.();
    }
  }

  async #heal(): Promise<void> {
    if (this.#isHealed) return;
    await this.overtake("it was healed meanwhile");
    if (!this.#isTouched) return this.#finish();
    const { world, procedure } = this.#parts;
    const watch = this.#watch(world.offWithinMs, this.#abandoned.signal);
    try {
      await watch.retry(() => procedure.heal(watch));
      await watch.retry(() => procedure.observeOff(watch));
    } catch (error) {
      throw await this.#explain("heal", error);
    }
    this.#finish();
  }

  #finish(): void {
    this.#isHealed = true;
    this.#parts.onHealed();
  }

  /** Undoes an injection that went wrong; gives what to tell about it. */
  async #undo(error: unknown, signal: AbortSignal): Promise<unknown> {
    const reason = signal.aborted ? signal.reason : await this.#explain("inject", error);
    try {
      await this.heal();
      return reason;
    } catch (undoing) {
      if (this.#parts.world.isFatal(reason)) return reason;
      const text = `${messageOf(reason)}; and it is still on: ${messageOf(undoing)}`;
      return new AggregateError([reason, undoing], text);
    }
  }

  async #explain(phase: "inject" | "heal", error: unknown): Promise<unknown> {
    const { world } = this.#parts;
    if (world.isFatal(error) || this.#abandoned.signal.aborted) return error;
    const diagnosis = await world.diagnose().catch((failure: unknown) => failure);
    if (diagnosis !== undefined) return diagnosis;
    const detail = `${faultTarget(this.fault)}: ${messageOf(error)}`;
    return new FaultNotObserved(this.fault, phase, detail, { cause: error });
  }

  #watch(usualMs: number, signal: AbortSignal): Watch {
    const { world, procedure } = this.#parts;
    const timeoutMs = usualMs + (procedure.slowerByMs ?? 0);
    return new Watch({ clock: world.clock, timeoutMs, signal, isFatal: world.isFatal });
  }
}
