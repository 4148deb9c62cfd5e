/**
 * Paired measurement on a machine that is not quiet: variants take turns within one run, so that what disturbs one disturbs the
 * others, and what is quoted is their ratio.
 */
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";

/** One call that is measured; `turn` counts up, for statements that differ. */
export type Call = (turn: number) => Promise<unknown>;

export interface Variant {
  readonly name: string;
  readonly call: Call;
}

export interface Measured {
  readonly name: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly calls: number;
}

export interface PairedOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly concurrency: number;
  /** Rounds in which every variant has one turn, in an order drawn anew. */
  readonly rounds: number;
  /** Calls of one turn. */
  readonly callsPerTurn: number;
}

export interface PairedResult {
  readonly measured: readonly Measured[];
  /** Of two variants: the median over rounds of the quotient of their p50s, and of their throughputs. */
  ratio(name: string, to: string): { readonly p50: number; readonly throughput: number };
}

interface Turn {
  readonly latenciesMs: readonly number[];
  readonly tookMs: number;
}

export async function measurePaired(
  variants: readonly Variant[],
  options: PairedOptions,
): Promise<PairedResult> {
  const turns = new Map<string, Turn[]>(variants.map(({ name }) => [name, []]));
  // The first round warms connections, plans and compiled code, and is thrown away.
  for (let round = -1; round < options.rounds; round++) {
    for (const variant of options.prng.shuffle(variants)) {
      const turn = await takeTurn(variant.call, options);
      if (round >= 0) turns.get(variant.name)?.push(turn);
    }
  }
  return {
    measured: variants.map(({ name }) => summarize(name, turns.get(name) ?? [])),
    ratio: (name, to) => {
      const pairs = (turns.get(name) ?? []).map(
        (turn, i) => [turn, (turns.get(to) ?? [])[i] as Turn] as const,
      );
      return {
        p50: median(pairs.map(([a, b]) => quantile(a.latenciesMs, 0.5) / quantile(b.latenciesMs, 0.5))),
        throughput: median(pairs.map(([a, b]) => b.tookMs / a.tookMs)),
      };
    },
  };
}

async function takeTurn(call: Call, { clock, concurrency, callsPerTurn }: PairedOptions): Promise<Turn> {
  const latenciesMs: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < callsPerTurn) {
      const turn = next++;
      const begunAt = clock.now();
      await call(turn);
      latenciesMs.push(clock.now() - begunAt);
    }
  };
  const begunAt = clock.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  return { latenciesMs, tookMs: clock.now() - begunAt };
}

function summarize(name: string, turns: readonly Turn[]): Measured {
  const latencies = turns.flatMap((turn) => turn.latenciesMs);
  const tookMs = turns.reduce((sum, turn) => sum + turn.tookMs, 0);
  return {
    name,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    perSecond: (latencies.length / tookMs) * 1000,
    calls: latencies.length,
  };
}

/** Nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
