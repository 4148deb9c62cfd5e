/** Durations as people write them: `500ms`, `5s`, `1m`, `1h`, `1d`, or a plain number of seconds. Pure. */

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds, or undefined when it is not a duration. A number without a unit is seconds. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value !== "number" && typeof value !== "string") return undefined;
  const [, figure, unit = "s"] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?$/.exec(String(value).trim()) ?? [];
  const perUnit = MS_PER_UNIT[unit];
  if (figure === undefined || perUnit === undefined) return undefined;
  return Math.round(Number(figure) * perUnit);
}

/** `1500ms`, `10s`, `1h`: in the largest unit that needs no fraction. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const perUnit = MS_PER_UNIT[unit] ?? 1;
    if (ms !== 0 && ms % perUnit === 0) return `${ms / perUnit}${unit}`;
  }
  return ms === 0 ? "0s" : `${ms}ms`;
}
