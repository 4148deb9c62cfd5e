/** The measured figures as lines for a person, and what of them fell. */
import type { DecisionCost } from "./decision.ts";
import { PROMISED_P99_MS } from "./overhead.ts";
import type { Overhead, Promise99 } from "./overhead.ts";
import { alignColumns } from "../report/table.ts";

export interface BenchReport {
  readonly schemaVersion: 1;
  readonly decision: DecisionCost;
  readonly overhead: Overhead;
}

export function benchLines({ decision, overhead }: BenchReport): string[] {
  return [
    `decision, cached statement: p50 ${decision.p50Ns.toFixed(0)} ns`,
    "",
    ...alignColumns([
      ["statement", "bare pg p50", "router p50", "bare pg p99", "router p99", "added p99", "noise floor"],
      ...overhead.promises.map(({ statement, bare, router, addedP99Ms, noiseMs }) => [
        statement,
        ms(bare.p50Ms),
        ms(router.p50Ms),
        ms(bare.p99Ms),
        ms(router.p99Ms),
        ms(addedP99Ms),
        ms(noiseMs),
      ]),
    ]),
    "",
    ...alignColumns([
      ["concurrency", "null router", "router", "p50 ratio (noise)", "throughput ratio (noise)"],
      ...overhead.ratios.map((ratio) => [
        String(ratio.concurrency),
        `${ms(ratio.nullRouter.p50Ms)}, ${ratio.nullRouter.perSecond.toFixed(0)}/s`,
        `${ms(ratio.router.p50Ms)}, ${ratio.router.perSecond.toFixed(0)}/s`,
        `${ratio.p50Ratio.toFixed(3)} (${ratio.noiseP50Ratio.toFixed(3)})`,
        `${ratio.throughputRatio.toFixed(3)} (${ratio.noiseThroughputRatio.toFixed(3)})`,
      ]),
    ]),
  ];
}

/** The promise is less than 1 ms at p99. What failed, in words; empty when it was kept or could not be judged. */
export function brokenPromises({ overhead }: BenchReport): string[] {
  return overhead.promises
    .filter((promise) => promise.addedP99Ms >= PROMISED_P99_MS && !isLostInNoise(promise))
    .map(
      ({ statement, addedP99Ms, noiseMs }) =>
        `${statement}: the router adds ${ms(addedP99Ms)} at p99, promised is less than ${PROMISED_P99_MS} ms ` +
        `(two bare pools differ by ${ms(noiseMs)})`,
    );
}

/** What could not be judged, because two equal opponents differed by as much as is promised. */
export function unjudgedPromises({ overhead }: BenchReport): string[] {
  return overhead.promises
    .filter(isLostInNoise)
    .map(
      ({ statement, noiseMs }) =>
        `${statement}: two bare pools differ by ${ms(noiseMs)} at p99, so less than ${PROMISED_P99_MS} ms cannot be told: ` +
        "run it again on a quieter machine",
    );
}

function isLostInNoise({ noiseMs }: Promise99): boolean {
  return Math.abs(noiseMs) >= PROMISED_P99_MS;
}

function ms(value: number): string {
  return `${value.toFixed(3)} ms`;
}
