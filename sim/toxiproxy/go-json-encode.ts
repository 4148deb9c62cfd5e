/** Writes JSON byte for byte as Go's `json.Marshal` does. */

export type Encodable =
  | null
  | string
  | number
  | bigint
  | boolean
  | readonly Encodable[]
  | ReadonlyMap<string, Encodable>
  | { readonly [field: string]: Encodable };

/** Fields come in the order of the object's own keys, or of the map. Numbers are 32-bit floats; integers are given as bigint. */
export function encodeGoJson(value: Encodable): string {
  if (value === null) return "null";
  if (typeof value === "string") return encodeString(value);
  if (typeof value === "number") return formatFloat32(value);
  if (typeof value !== "object") return String(value);
  if (isList(value)) return `[${value.map(encodeGoJson).join(",")}]`;
  const entries: Iterable<[string, Encodable]> = value instanceof Map ? value : Object.entries(value);
  const fields = Array.from(entries, ([name, item]) => `${encodeString(name)}:${encodeGoJson(item)}`);
  return `{${fields.join(",")}}`;
}

// `Array.isArray` does not narrow a readonly array.
function isList(value: object): value is readonly Encodable[] {
  return Array.isArray(value);
}

/** JSON that can stand inside HTML: Go escapes what could end a script. */
function encodeString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The fewest digits that give the same 32-bit float back. */
function formatFloat32(value: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === Math.fround(value)) return String(candidate);
  }
  return String(value);
}
