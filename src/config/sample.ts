/** A sample configuration that explains itself, made from the schema so that the two cannot disagree. */
import { configJsonSchema } from "./json-schema.ts";

interface SettingSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly required?: readonly string[];
  readonly items?: SettingSchema;
  readonly anyOf?: readonly Bounds[];
  readonly "x-unit"?: string;
  readonly "x-minimum"?: string;
  readonly "x-maximum"?: string;
}

interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly const?: string;
  readonly enum?: readonly unknown[];
}

const WIDTH = 100;

/**
 * YAML with every setting: what it does, its unit, bounds and default. What is required, or has a default, is
 * set (to the default); the rest is commented out. It loads as it is.
 */
export function sampleConfig(): string {
  const { properties } = configJsonSchema() as SettingSchema;
  return [
    "# Every setting, with its default. What is commented out has none, or takes another setting's.",
    "# ${NAME} and ${NAME:-default} are replaced from the environment. Durations: 500ms, 5s, 1m, 1h;",
    "# a plain number is seconds.",
    "db:",
    ...settings(properties?.["db"] ?? {}, "  ").slice(1),
    "",
  ].join("\n");
}

function settings(section: SettingSchema, indent: string): string[] {
  return Object.entries(section.properties ?? {}).flatMap(([name, setting]) => {
    const comment = wrap(explanation(setting), `${indent}# `);
    if (setting.items !== undefined) {
      return ["", ...comment, `${indent}${name}:`, ...firstItem(setting.items, `${indent}  `)];
    }
    if (setting.properties !== undefined) {
      return ["", ...comment, `${indent}${name}:`, ...settings(setting, `${indent}  `)];
    }
    const isSet = setting.default !== undefined || section.required?.includes(name) === true;
    const value = written(setting.default ?? setting.examples?.[0]);
    return ["", ...comment, `${indent}${isSet ? "" : "# "}${name}: ${value}`];
  });
}

/** A list item begins with `- ` on its first key's line, which comes after that key's comment. */
function firstItem(item: SettingSchema, indent: string): string[] {
  const lines = settings(item, `${indent}  `);
  const first = lines.findIndex((line) => line !== "" && !line.trimStart().startsWith("#"));
  return lines.map((line, index) => (index === first ? `${indent}- ${line.trimStart()}` : line));
}

function explanation(setting: SettingSchema): string {
  return [setting.description ?? "", allowed(setting)].filter((part) => part !== "").join(" ");
}

function allowed(setting: SettingSchema): string {
  const alternatives = setting.anyOf ?? [];
  const words = alternatives.flatMap((bounds) => bounds.enum ?? bounds.const ?? []);
  const range = alternatives.find((bounds) => bounds.maximum !== undefined);
  if (setting["x-minimum"] !== undefined) {
    const orWords = words.map((word) => `, or ${String(word)}`).join("");
    return `(${setting["x-minimum"]} to ${setting["x-maximum"] ?? ""}${orWords})`;
  }
  if (range !== undefined) {
    return `(${range.minimum ?? 0} to ${range.maximum ?? ""} ${setting["x-unit"] ?? ""})`.replace(
      " port)",
      ")",
    );
  }
  return words.length > 1 && !words.includes("true") ? `(${words.join(", ")})` : "";
}

/** Text that YAML could take for something else goes in quotes. */
function written(value: unknown): string {
  if (typeof value !== "string") return String(value);
  return /^[\w./][\w./-]*$/.test(value) ? value : JSON.stringify(value);
}

function wrap(text: string, prefix: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${prefix}${word}`);
  }
  return lines;
}
