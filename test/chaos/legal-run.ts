/**
 * A model of everything going right, for property tests: one primary, replicas that apply a prefix of its commits, and
 * a router that notices faults within its budgets. Faults take effect and end at moments drawn between the begin of
 * a step and its observation. Nothing here is shared with the checkers but the policy's figures.
 */
import type { Fault } from "../../chaos/faults/fault.ts";
import type { RouterConfig } from "../../src/config/config.ts";
import { createPrng } from "../../src/runtime/prng.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import { emptySelection, nextEpoch, selectNext } from "../../src/routing/select.ts";
import type { Selection } from "../../src/routing/select.ts";
import { faults as make, HistoryBuilder, testPolicy } from "./history-builder.ts";

export interface PlannedFault {
  readonly kind: "appDown" | "blackHole" | "killed" | "paused" | "replicationDown";
  /** 0 is the primary, which can neither be paused nor cut from itself. */
  readonly node: number;
  readonly at: number;
  readonly forMs: number;
}

export interface LegalRun {
  readonly builder: HistoryBuilder;
  readonly policy: RouterConfig;
  /** Everything is well, and known to be, from here on. */
  readonly calmAt: number;
  readonly writes: [number, number][];
  /** The last heartbeat, still being written every {@link HEARTBEAT_MS}. */
  readonly heartbeats: number;
}

export const HEARTBEAT_MS = 100;
const WEIGHTS = { "replica-1": 3, "replica-2": 2, "replica-3": 1 };
const NODES = ["primary", ...Object.keys(WEIGHTS)];
const LONG_MS = 12_000;
// The policy's own, worked out by hand: fall × (interval + timeout), threshold, rise × interval, one probe.
const DOWN_MS = 800;
const THRESHOLD_MS = 1_000;
const PROBE_MS = 400;
const RETURN_MS = 400;
/** The longest that a replica here takes to have what it missed. */
const CATCH_UP_MS = 900;

interface Span {
  readonly from: number;
  readonly to: number;
}

interface Effects {
  readonly cut: Span[];
  readonly halted: Span[];
}

export function legalRun(
  planned: readonly PlannedFault[],
  options: { seed: number; reads: number },
): LegalRun {
  const prng = createPrng(options.seed);
  const policy = testPolicy({}, WEIGHTS);
  const builder = new HistoryBuilder();
  const effects = new Map<string, Effects>(NODES.map((node) => [node, { cut: [], halted: [] }]));
  let lastHealAt = 0;
  for (const fault of planned) lastHealAt = Math.max(lastHealAt, inject(builder, effects, fault, prng));
  const calmAt = lastHealAt + LONG_MS;

  const killed = merged(effects.get("primary")?.halted ?? []);
  const commits: number[] = [];
  for (let at = 1; at < calmAt + LONG_MS; at += HEARTBEAT_MS) {
    const number = commits.length + 1;
    if (isIn(killed, at) || isIn(killed, at + 2)) {
      // It may have been committed and never acknowledged.
      builder.heartbeat(number, at, { type: "info", tookMs: 2 });
      commits.push(isIn(killed, at) ? Infinity : at + 1);
    } else {
      builder.heartbeat(number, at, { tookMs: 2 });
      commits.push(at + 1);
    }
  }

  const world = new World({ prng, effects, commits, killed });
  const router = new ModelRouter(builder, world, prng);
  const writes: [number, number][] = [];
  for (let i = 0; i < options.reads; i++) {
    const at = 5 + Math.floor((i * calmAt) / options.reads);
    router.read(at, i);
    if (i % 10 === 0) write(builder, world, { at: at + 1, id: i, prng, writes });
  }
  router.finish(calmAt);
  return { builder, policy, calmAt, writes, heartbeats: commits.length };
}

/** Gives the observed end of its heal. */
function inject(
  builder: HistoryBuilder,
  effects: Map<string, Effects>,
  fault: PlannedFault,
  prng: Prng,
): number {
  const node = NODES[fault.node] ?? "primary";
  const kind = node === "primary" && fault.kind !== "killed" ? "blackHole" : fault.kind;
  const onBegun = fault.at;
  const onSeen = onBegun + 1 + prng.integer(300);
  const offBegun = onSeen + fault.forMs;
  const offSeen = offBegun + 1 + prng.integer(300);
  builder.fault(make[kind](node) satisfies Fault, [onBegun, onSeen], [offBegun, offSeen]);
  const span: Span = {
    from: onBegun + prng.integer(onSeen - onBegun),
    to: offBegun + 1 + prng.integer(offSeen - offBegun),
  };
  const { cut, halted } = effects.get(node) as Effects;
  if (kind === "appDown" || kind === "blackHole" || kind === "killed") cut.push(span);
  if (kind === "paused" || kind === "replicationDown" || kind === "killed") {
    if (node === "primary") {
      halted.push(span);
      // Replicas get nothing while it is dead, and take a while to reconnect.
      for (const replica of NODES.slice(1)) {
        effects.get(replica)?.halted.push({ from: span.from, to: span.to + prng.integer(CATCH_UP_MS) });
      }
    } else {
      halted.push({ from: span.from, to: span.to + prng.integer(CATCH_UP_MS) });
    }
  }
  return offSeen;
}

function isIn(spans: readonly Span[], at: number): boolean {
  return spans.some(({ from, to }) => from <= at && at <= to);
}

function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && span.from <= last.to) {
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    } else {
      result.push(span);
    }
  }
  return result;
}

interface WorldParts {
  readonly prng: Prng;
  readonly effects: ReadonlyMap<string, Effects>;
  readonly commits: readonly number[];
  readonly killed: readonly Span[];
}

interface Outage extends Span {
  readonly node: string;
  readonly reason: string;
}

/** Who is reachable again and still late has not come back: one fault, one outage. */
function withoutRelapses(outages: readonly Outage[]): Outage[] {
  const kept: Outage[] = [];
  for (const outage of [...outages].sort((a, b) => a.from - b.from)) {
    const last = kept.at(-1);
    const lateMs = outage.reason === "lagging" ? CATCH_UP_MS : 0;
    if (last === undefined || outage.from > last.to + lateMs) kept.push(outage);
    else kept[kept.length - 1] = { ...last, to: Math.max(last.to, outage.to) };
  }
  return kept;
}

/** What is true, and what a router that keeps its budgets makes of it. */
class World {
  readonly outages: Outage[] = [];
  readonly #parts: WorldParts;

  constructor(parts: WorldParts) {
    this.#parts = parts;
    for (const node of NODES.slice(1)) {
      const { cut, halted } = parts.effects.get(node) as Effects;
      const { prng } = parts;
      const outages: Outage[] = [];
      for (const { from, to } of merged(cut)) {
        const noticedAt = from + prng.integer(DOWN_MS);
        const backAt = to + prng.integer(RETURN_MS + PROBE_MS);
        if (noticedAt < backAt) outages.push({ node, reason: "unreachable", from: noticedAt, to: backAt });
      }
      for (const { from, to } of merged(halted)) {
        const noticedAt = this.#lagNoticedAt(from);
        if (noticedAt >= to) continue;
        outages.push({
          node,
          reason: "lagging",
          from: noticedAt,
          to: to + prng.integer(RETURN_MS + PROBE_MS),
        });
      }
      this.outages.push(...withoutRelapses(outages));
    }
  }

  /** After threshold and up to one probe; a primary that cannot be asked stops the clock until it can again. */
  #lagNoticedAt(haltedAt: number): number {
    const { commits, prng, effects } = this.#parts;
    const missedAt = commits.find((at) => at > haltedAt && at < Infinity) ?? Infinity;
    let noticedAt = missedAt + THRESHOLD_MS + prng.integer(PROBE_MS - 2);
    for (const lost of merged(effects.get("primary")?.cut ?? [])) {
      if (lost.from > noticedAt || lost.to < missedAt) continue;
      noticedAt = Math.max(noticedAt, lost.to + prng.integer(PROBE_MS));
    }
    // What it missed before the primary died counts from the moment the primary is back, for good.
    for (const lost of this.#parts.killed) {
      if (lost.from <= haltedAt && haltedAt <= lost.to) {
        noticedAt = Math.min(noticedAt, lost.to + prng.integer(PROBE_MS));
      } else if (lost.from <= noticedAt && noticedAt <= lost.to) {
        noticedAt = lost.to + prng.integer(PROBE_MS);
      }
    }
    return noticedAt;
  }

  reachable(node: string, at: number): boolean {
    return !isIn(this.#parts.effects.get(node)?.cut ?? [], at);
  }

  isOut(node: string, at: number): boolean {
    return this.outages.some((outage) => outage.node === node && outage.from <= at && at < outage.to);
  }

  /** The newest heartbeat that a read at `at` sees on `node`. */
  heartbeat(node: string, at: number): number {
    const { commits, effects, prng } = this.#parts;
    let seenUntil = at;
    if (node !== "primary") {
      const halted = merged(effects.get(node)?.halted ?? []).find(({ from, to }) => from <= at && at <= to);
      seenUntil = halted?.from ?? at - prng.integer(50);
    }
    return commits.reduce((newest, commit, i) => (commit <= seenUntil ? i + 1 : newest), 0);
  }

  primaryKilled(at: number): boolean {
    return isIn(this.#parts.killed, at);
  }
}

class ModelRouter {
  readonly #builder: HistoryBuilder;
  readonly #world: World;
  readonly #prng: Prng;
  #selection: Selection = emptySelection(0);
  #picks: string[] = [];
  #apart = 0;
  #inFallback = false;
  readonly #changesAt: number[];

  constructor(builder: HistoryBuilder, world: World, prng: Prng) {
    this.#builder = builder;
    this.#world = world;
    this.#prng = prng;
    for (const node of NODES.slice(1)) builder.tell(0, { kind: "joined", node });
    for (const { node, reason, from, to } of world.outages) {
      builder.tell(from, { kind: "evicted", node, reason, basis: "model" });
      builder.tell(to, { kind: "readmitted", node });
    }
    this.#changesAt = [0, ...world.outages.flatMap(({ from, to }) => [from, to])].sort((a, b) => a - b);
  }

  read(at: number, process: number): void {
    this.#advance(at);
    const f = this.#prng.chance(5) ? "transaction" : "read";
    let elapsedMs = 1 + this.#prng.integer(5);
    const tried = new Set<string>();
    for (;;) {
      const node = this.#pick(tried);
      if (node !== undefined && this.#world.reachable(node, at + elapsedMs)) {
        const heartbeat = this.#world.heartbeat(node, at + elapsedMs);
        const seen = {
          node,
          role: node === "primary" ? "primary" : "replica",
          heartbeat,
          backend: at,
        } as const;
        const evidence = f === "transaction" ? [seen, seen] : [seen];
        this.#builder.operation(f, { at, process, node, evidence, tookMs: elapsedMs + 1 });
        return;
      }
      if (node === undefined || tried.size === 2 || f === "transaction" || node === "primary") {
        this.#builder.operation(f, { at, process, type: "fail", tookMs: elapsedMs + 1 });
        return;
      }
      tried.add(node);
      elapsedMs += this.#prng.integer(200);
    }
  }

  finish(at: number): void {
    this.#advance(at);
    this.#tellPicks(at);
  }

  /** The weighted choice first; after a loss any other that is left, then the primary. */
  #pick(tried: ReadonlySet<string>): string | undefined {
    const { candidates } = this.#selection;
    if (candidates.length === 0) return "primary";
    if (tried.size === 0) {
      const { index, selection } = selectNext(this.#selection);
      this.#selection = selection;
      const { name } = candidates[index] as { name: string };
      this.#picks.push(name);
      return name;
    }
    const other = candidates.find(({ name }) => !tried.has(name));
    if (other === undefined) return "primary";
    this.#apart++;
    return other.name;
  }

  #advance(to: number): void {
    while ((this.#changesAt[0] ?? Infinity) <= to) {
      const at = this.#changesAt.shift() as number;
      const serving = Object.entries(WEIGHTS).filter(([name]) => !this.#world.isOut(name, at));
      if (at > 0) this.#tellPicks(at);
      this.#selection = nextEpoch(
        this.#selection,
        serving.map(([name, weight]) => ({ name, weight: 10 * weight })),
      );
      const weights = Object.fromEntries(serving.map(([name, weight]) => [name, 10 * weight]));
      this.#builder.tell(at, { kind: "epoch", epoch: this.#selection.epoch, weights });
      this.#tellFallback(at, serving.length === 0);
    }
  }

  #tellPicks(at: number): void {
    const { epoch } = this.#selection;
    this.#builder.tell(at, { kind: "epoch-picks", epoch, picks: this.#picks, apart: this.#apart });
    this.#picks = [];
    this.#apart = 0;
  }

  #tellFallback(at: number, isDue: boolean): void {
    if (isDue === this.#inFallback) return;
    this.#inFallback = isDue;
    this.#builder.tell(at, { kind: isDue ? "fallback-started" : "fallback-ended" });
    this.#builder.tell(at, {
      kind: "log",
      level: isDue ? "warn" : "info",
      message: isDue
        ? "no healthy read replicas available, falling back to primary"
        : "read replicas are available again, fallback to primary has ended",
    });
  }
}

interface Writing {
  readonly at: number;
  readonly id: number;
  readonly prng: Prng;
  readonly writes: [number, number][];
}

function write(builder: HistoryBuilder, world: World, { at, id, prng, writes }: Writing): void {
  const process = 100_000 + id;
  if (world.reachable("primary", at)) {
    builder.write({ id, at, process, tookMs: 3 });
    writes.push([id, 1]);
    return;
  }
  // Cut off, but alive: what was sent may have arrived.
  const unknown = !world.primaryKilled(at) && prng.chance(2);
  builder.write({ id, at, process, tookMs: 3, type: unknown ? "info" : "fail" });
  if (unknown && prng.chance(2)) writes.push([id, 1]);
}
