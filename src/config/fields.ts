/**
 * The kinds of settings there are. Each takes a value as written, in YAML or from a variable, gives it as the
 * router needs it, and says its unit, default and bounds once: for the check, the error and the JSON Schema.
 */
import { z } from "zod";
import { formatDuration, parseDuration } from "./duration.ts";

/** A setting's input is whatever was written; its output is checked and converted. */
export type Field<T> = z.ZodType<T>;

/** What the JSON Schema and the sample say of a setting. */
export interface FieldDoc {
  readonly description: string;
  /** As written in YAML. */
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly "x-unit"?: string;
  readonly [keyword: string]: unknown;
}

export interface Description {
  /** One or two sentences: what it does, and what to know when choosing. */
  readonly is: string;
  /** A value to show where there is no default. */
  readonly example?: unknown;
}

/** Holds the {@link FieldDoc} of every field below. */
export const fieldDocs: z.core.$ZodRegistry<FieldDoc> = z.registry<FieldDoc>();

/** Text, as it is. */
export function text(
  options: Description & {
    readonly must: string;
    readonly pattern: RegExp;
    readonly maxLength?: number;
    readonly default?: string;
  },
): Field<string> {
  const { must, pattern, maxLength = 1024 } = options;
  const error = (): string => `must be ${must}`;
  const checked = z.string({ error }).regex(pattern, { error }).max(maxLength, { error });
  const initial = options.default;
  return documented(initial === undefined ? checked : checked.default(initial), options, {
    ...(initial === undefined ? {} : { default: initial }),
    type: "string",
    anyOf: [{ pattern: pattern.source, maxLength }, VARIABLE],
  });
}

/** One of a few words. */
export function word<const T extends string>(
  options: Description & { readonly of: readonly T[]; readonly default: T; readonly must?: string },
): Field<T> {
  const must = options.must ?? `one of ${options.of.join(", ")}`;
  const checked = z.enum(options.of, { error: () => `must be ${must}` }).default(options.default as never);
  return documented(checked as unknown as Field<T>, options, {
    default: options.default,
    anyOf: [{ enum: options.of }, VARIABLE],
  });
}

/** A whole number. */
export function integer(
  options: Description & {
    readonly min: number;
    readonly max: number;
    readonly unit: string;
    readonly default: number;
  },
): Field<number> {
  return documented(wholeNumber(options).default(options.default), options, {
    default: options.default,
    ...integerSchema(options),
  });
}

/** Yes or no. */
export function flag(options: Description & { readonly default: boolean }): Field<boolean> {
  const checked = z
    .unknown()
    .transform((value) => (value === "true" ? true : value === "false" ? false : value))
    .pipe(z.boolean({ error: () => "must be true or false" }))
    .default(options.default);
  return documented(checked, options, {
    default: options.default,
    anyOf: [{ type: "boolean" }, { enum: ["true", "false"] }, VARIABLE],
  });
}

interface DurationOptions extends Description {
  readonly minMs: number;
  readonly maxMs: number;
  /** Written as in YAML. */
  readonly default?: string | number;
}

/** A duration, in milliseconds. */
export function duration(options: DurationOptions & { readonly default: string | number }): Field<number> {
  return documented(milliseconds(options, "").default(defaultMs(options)), options, durationDoc(options, []));
}

/** A duration, or `off`. */
export function durationOrOff(options: DurationOptions): Field<number | "off"> {
  const zero = options.minMs > 0 ? " (0 is not off)" : "";
  const checked = z.union([z.literal("off"), milliseconds(options, `, or off${zero}`)], {
    error: () => durationLimit(options, `, or off${zero}`),
  });
  const initial = options.default === "off" ? "off" : defaultMs(options);
  return documented(checked.default(initial), options, durationDoc(options, ["off"]));
}

/** A setting that may be left out: undefined then. What `field` has as its default becomes an example. */
export function optional<T>(field: Field<T>, note?: string): Field<T | undefined> {
  const doc = fieldDocs.get(field);
  const inner = field instanceof z.ZodDefault ? (field.unwrap() as unknown as Field<T>) : field;
  const { default: initial, ...others } = doc ?? { description: "" };
  const rest = initial === undefined ? others : { examples: [initial], ...others };
  const described = note === undefined ? rest : { ...rest, description: `${rest.description} ${note}` };
  return inner.optional().register(fieldDocs, described);
}

export type Shape<T> = { readonly [K in keyof T]-?: Field<T[K]> };

/** Settings under a common name; unknown ones are errors. */
export function section<T>(shape: Shape<T>, is: string): Field<T> {
  return documented(sectionOf(shape), { is }, {});
}

/** A section that may be left out, because each of its settings has a default. */
export function sectionWithDefaults<T>(shape: Shape<T>, is: string): Field<T> {
  return documented(sectionOf(shape).prefault({}) as unknown as Field<T>, { is }, {});
}

/** Any number of `item`; none when left out. */
export function list<T>(item: Field<T>, is: string): Field<readonly T[]> {
  return documented(z.array(item, { error: () => "must be a list" }).default([]), { is }, { default: [] });
}

function sectionOf<T>(shape: Shape<T>): z.ZodType<T, object> {
  const checked = z.strictObject(shape, { error: () => "must be a section (a mapping)" });
  return checked as unknown as z.ZodType<T, object>;
}

/** `${NAME}` in place of a value, which only the loader can judge. */
const VARIABLE = { type: "string", pattern: "\\$\\{" };

function documented<T>(
  checked: Field<T>,
  { is, example }: Description,
  schema: Record<string, unknown>,
): Field<T> {
  return checked.register(fieldDocs, {
    description: is,
    ...(example === undefined ? {} : { examples: [example] }),
    ...schema,
  });
}

function wholeNumber({ min, max }: { readonly min: number; readonly max: number }): Field<number> {
  const error = (): string => `must be a whole number from ${min} to ${max}`;
  return z
    .unknown()
    .transform((value) => (typeof value === "string" && /^[+-]?\d+$/.test(value) ? Number(value) : value))
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }));
}

function integerSchema(options: {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}): object {
  return {
    "x-unit": options.unit,
    anyOf: [
      { type: "integer", minimum: options.min, maximum: options.max },
      { type: "string", pattern: "^[+-]?\\d+$" },
      VARIABLE,
    ],
  };
}

function milliseconds(options: DurationOptions, alternative: string): Field<number> {
  const error = (): string => durationLimit(options, alternative);
  return z
    .unknown()
    .transform(parseDuration)
    .pipe(z.number({ error }).min(options.minMs, { error }).max(options.maxMs, { error }));
}

function durationLimit({ minMs, maxMs }: DurationOptions, alternative: string): string {
  const bounds = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return `must be a duration ${bounds}, such as 500ms or 5s (a plain number is seconds)${alternative}`;
}

function defaultMs(options: DurationOptions): number {
  const ms = parseDuration(options.default);
  if (ms === undefined) throw new Error(`not a duration: ${String(options.default)}`);
  return ms;
}

function durationDoc(options: DurationOptions, words: readonly string[]): Record<string, unknown> {
  return {
    ...(options.default === undefined ? {} : { default: options.default }),
    "x-unit": "s",
    "x-minimum": formatDuration(options.minMs),
    "x-maximum": formatDuration(options.maxMs),
    anyOf: [
      { type: "number", minimum: options.minMs / 1000, maximum: options.maxMs / 1000 },
      { type: "string", pattern: "^\\d+(\\.\\d+)? ?(ms|s|m|h|d)?$" },
      ...words.map((word) => ({ const: word })),
      VARIABLE,
    ],
  };
}
