import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interpolate } from "../../src/config/interpolate.ts";
import { parseConfig } from "../../src/config/load.ts";

describe("interpolation", () => {
  // Expected values: POSIX parameter expansion, sh -c 'echo "${A:-x}"'.
  it.each([
    ["${A}", { A: "1" }, "1"],
    ["${A:-x}", {}, "x"],
    ["${A:-x}", { A: "" }, "x"],
    ["${A:-}", {}, ""],
    ["${A}", { A: "" }, ""],
    ["${A:-http://h:1/}", {}, "http://h:1/"],
    ["<${A}-${B}>", { A: "1", B: "2" }, "<1-2>"],
    ["$A $$ {A} $", { A: "1" }, "$A $$ {A} $"],
    ["$${A}", { A: "1" }, "${A}"],
    ["$$${A}", { A: "1" }, "$${A}"],
  ])("turns %j with %j into %j", (text, env, expected) => {
    expect(interpolate(text, env)).toMatchObject({ text: expected, problems: [] });
  });

  it("does not look again at what a variable holds", () => {
    expect(interpolate("${A}", { A: "${B}", B: "no" }).text).toBe("${B}");
  });

  it("does not take what every object has for a variable", () => {
    expect(interpolate("${constructor}", {}).problems).toHaveLength(1);
  });

  it("names a variable that is not set", () => {
    expect(interpolate("${A} ${B}", { A: "1" }).problems).toEqual([
      expect.stringContaining("variable B is not set"),
    ]);
  });

  it.each(["${", "${A", "${}", "${1A}", "${A-b}", "${A:?b}", "${A:-${B}}"])(
    "refuses the malformed %j",
    (text) => {
      expect(interpolate(text, { A: "1", B: "2" }).problems).toEqual([expect.stringContaining("malformed")]);
    },
  );

  it("keeps any text whose ${ is written $${", () => {
    fc.assert(
      fc.property(textWithDollars, (text) => {
        expect(
          interpolate(
            text.replaceAll("${", () => "$${"),
            {},
          ),
        ).toEqual({ text, variables: [], problems: [] });
      }),
    );
  });

  it("hands over any value of a variable unchanged, whatever it would mean in YAML", () => {
    fc.assert(
      fc.property(textWithDollars, fc.constantFrom("${X}", '"${X}"', "'${X}'"), (value, written) => {
        fc.pre(value !== "" && !value.includes("\0") && value.length <= 1024);
        const text = `db:\n  host: h\n  username: u\n  database: d\n  password: ${written}\n`;
        expect(parseConfig(text, { env: { X: value } }).primary.password).toBe(value);
      }),
    );
  });
});

const textWithDollars = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.constantFrom("$", "{", "}", "${", "$${", "A", ": ", "\n", '"', "'", "#", "- ", "${A:-"), {
      maxLength: 12,
    })
    .map((parts) => parts.join("")),
);
