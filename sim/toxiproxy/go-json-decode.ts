/**
 * Puts parsed JSON into fields as Go's `encoding/json` does: names match whatever their case, `null` and unknown
 * fields are skipped, and the first value of a wrong type is reported in Go's words.
 */
import { JsonError } from "./go-json-parse.ts";
import type { JsonValue } from "./go-json-parse.ts";

/** A Go struct, as far as the wire shows it. */
export interface Shape {
  /** The struct's own name, which stands before the field in an error; empty when it has none. */
  readonly name: string;
  /** The type as Go prints it, for a value that is no object at all. */
  readonly goType: string;
  readonly fields: Readonly<Record<string, FieldType>>;
}

export type FieldType = "string" | "bool" | "int64" | "int" | "float32" | Shape;

/** What was given, by the field's own name. */
export interface Decoded {
  readonly [field: string]: string | boolean | bigint | number | Decoded | undefined;
}

/** @throws JsonError `json: cannot unmarshal number into Go struct field Proxy.name of type string` */
export function decodeStruct(value: JsonValue, shape: Shape): Decoded | undefined {
  return decodeFields(value, shape, { structName: "", path: [] });
}

/** @throws JsonError when it is no array, or an element has a wrong type */
export function decodeStructs(value: JsonValue, goType: string, element: Shape): Decoded[] {
  const nowhere: Place = { structName: "", path: [] };
  if (value.kind === "null") return [];
  if (value.kind !== "array") throw mismatch(value.kind, goType, nowhere);
  return value.items.map((item) => decodeFields(item, element, nowhere) ?? {});
}

interface Place {
  readonly structName: string;
  readonly path: readonly string[];
}

function decodeFields(value: JsonValue, shape: Shape, place: Place): Decoded | undefined {
  if (value.kind === "null") return undefined;
  if (value.kind !== "object") throw mismatch(value.kind, shape.goType, place);
  const decoded: Record<string, Decoded[string]> = {};
  for (const [key, item] of value.entries) {
    const name = fieldNamed(shape, key);
    const type = name === undefined ? undefined : shape.fields[name];
    if (name === undefined || type === undefined || item.kind === "null") continue;
    decoded[name] = decodeField(item, type, { structName: shape.name, path: [...place.path, name] });
  }
  return decoded;
}

function fieldNamed(shape: Shape, key: string): string | undefined {
  if (Object.hasOwn(shape.fields, key)) return key;
  return Object.keys(shape.fields).find((name) => name.toLowerCase() === key.toLowerCase());
}

function decodeField(value: JsonValue, type: FieldType, place: Place): Decoded[string] {
  if (typeof type === "object") return decodeFields(value, type, place);
  switch (type) {
    case "string":
      if (value.kind === "string") return value.value;
      break;
    case "bool":
      if (value.kind === "bool") return value.value;
      break;
    case "int64":
    case "int":
      if (value.kind !== "number") break;
      return parseInt64(value.text) ?? refuseNumber(value.text, type, place);
    case "float32":
      if (value.kind !== "number") break;
      return parseFloat32(value.text) ?? refuseNumber(value.text, type, place);
  }
  throw mismatch(value.kind, type, place);
}

function parseInt64(text: string): bigint | undefined {
  if (!/^-?\d+$/.test(text) || text.length > 20) return undefined;
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function parseFloat32(text: string): number | undefined {
  const value = Math.fround(Number(text));
  return Number.isFinite(value) ? value : undefined;
}

function refuseNumber(text: string, goType: string, place: Place): never {
  throw mismatch(`number ${text}`, goType, place);
}

function mismatch(what: string, goType: string, { structName, path }: Place): JsonError {
  const target = path.length === 0 ? "Go value" : `Go struct field ${structName}.${path.join(".")}`;
  return new JsonError(`json: cannot unmarshal ${what} into ${target} of type ${goType}`);
}
