/** A whole number out of a flag, or an error that names flag, value and limits. */
export interface IntegerLimits {
  readonly what: string;
  readonly minimum: number;
  readonly maximum: number;
}

export function parseInteger(input: string, { what, minimum, maximum }: IntegerLimits): number {
  const value = /^\d+$/.test(input) ? Number(input) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
  throw new RangeError(`${what} takes a whole number from ${minimum} to ${maximum}, got "${input}"`);
}
