import { describe, expect, it } from "vitest";
import { nameOf, ownConfig, textOf, unnamed } from "../../src/driver/query-config.ts";

describe("a caller's query config", () => {
  it("is handed on as a copy, with everything that pg reads and no callback", () => {
    const config = {
      text: "select $1",
      values: [1],
      name: "n",
      rowMode: "array",
      binary: true,
      queryMode: "extended",
      portal: "p",
      rows: 5,
      query_timeout: 100,
      types: {},
      callback: () => {},
    };
    const own = ownConfig(config as never);
    const { callback: _callback, ...read } = config;
    expect(own).not.toBe(config);
    expect(own).toEqual(read);
  });

  it("may be frozen, or inherit what it says", () => {
    class Template {
      get text(): string {
        return "select 1";
      }
    }
    expect(ownConfig(Object.freeze({ text: "select 1" }))).toMatchObject({ text: "select 1" });
    expect(ownConfig(new Template())).toMatchObject({ text: "select 1" });
  });

  it("gives an empty text where there is none", () => {
    expect([undefined, null, 7, {}, { text: 7 }, { name: "n" }].map(textOf)).toEqual([
      "",
      "",
      "",
      "",
      "",
      "",
    ]);
    expect([textOf("select 1"), textOf({ text: "select 2" })]).toEqual(["select 1", "select 2"]);
  });

  it("has a name only when it names a prepared statement", () => {
    expect(["select 1", { text: "select 1" }, { name: undefined }, { name: "" }, null].map(nameOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(nameOf({ name: "by-id", text: "select 1" })).toBe("by-id");
  });

  it("loses its name, and nothing else, to be planned afresh", () => {
    const config = { name: "by-id", text: "select $1", values: [1] };
    expect(unnamed(config)).toMatchObject({ text: "select $1", values: [1], name: undefined });
    expect(config.name).toBe("by-id");
    expect(unnamed("select 1")).toBe("select 1");
  });
});
