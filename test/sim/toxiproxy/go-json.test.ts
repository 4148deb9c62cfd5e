import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeGoJson } from "../../../sim/toxiproxy/go-json-encode.ts";
import { parseGoJson } from "../../../sim/toxiproxy/go-json-parse.ts";
import type { JsonValue } from "../../../sim/toxiproxy/go-json-parse.ts";

/** What `JSON.parse` would have made of it. */
function toPlain(value: JsonValue): unknown {
  switch (value.kind) {
    case "null":
      return null;
    case "number":
      return Number(value.text);
    case "bool":
    case "string":
      return value.value;
    case "array":
      return value.items.map(toPlain);
    case "object":
      return Object.fromEntries(value.entries.map(([key, item]) => [key, toPlain(item)]));
  }
}

function accepts(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

describe("JSON as Go reads and writes it", () => {
  test("reads what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value, null, 1);
        expect(toPlain(parseGoJson(Buffer.from(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("refuses what JSON.parse refuses, and nothing else", () => {
    // In a list, and without a bracket that could end it early, nothing can follow the value unseen.
    const element = fc.string({
      unit: fc.constantFrom(...'{[":,\\u09ae-+.trufalsn '.split("")),
      maxLength: 6,
    });
    fc.assert(
      fc.property(element, (text) => {
        const list = `[${text}]`;
        const isValid = accepts(() => JSON.parse(list));
        expect(accepts(() => parseGoJson(Buffer.from(list)))).toBe(isValid);
      }),
      { numRuns: 5000 },
    );
  });

  // The texts are those of Go's encoding/json (scanner.go), for the same input.
  test.each([
    ["", "EOF"],
    [" \n", "EOF"],
    ["{", "unexpected EOF"],
    ['"abc', "unexpected EOF"],
    ["[1 2]", "invalid character '2' after array element"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ["é", "invalid character 'Ã' looking for beginning of value"],
    ["[01]", "invalid character '1' after array element"],
    ["trux", "invalid character 'x' in literal true (expecting 'e')"],
  ])("says of %j: %s", (text, message) => {
    expect(() => parseGoJson(Buffer.from(text))).toThrow(message);
  });

  test("writes 32-bit floats with the fewest digits, and strings safe inside HTML", () => {
    const floats = [0.1, 0.25, 1, 7, 1 / 3, 1e-7, 16_777_216].map((value) =>
      encodeGoJson(Math.fround(value)),
    );
    expect(floats).toEqual(
      ["0.1", "0.25", "1", "7", "0.33333334", "1e-7", "16777216"].map((text) =>
        expect.stringMatching(`^${text}`),
      ),
    );
    expect(encodeGoJson("<a> & \u2028 \ud83d\ude00 \n")).toBe(
      String.raw`"\u003ca\u003e \u0026 \u2028 ${"\ud83d\ude00"} \n"`,
    );
  });
});
