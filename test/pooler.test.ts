import { describe, expect, it } from "vitest";
import { poolerRefusal } from "../src/pooler.ts";
import { classifyCommand } from "../src/routing/commands.ts";
import { leadingKeyword } from "../src/routing/sql-lexer.ts";

const refusalOf = (input: string | { name: string; text: string }): ReturnType<typeof poolerRefusal> => {
  const text = typeof input === "string" ? input : input.text;
  return poolerRefusal("replica-2", input, classifyCommand(text, leadingKeyword(text)));
};

describe("behind a transaction pooler", () => {
  it.each(["set work_mem = '5MB'", "listen news", "prepare p as select 1", "create temp table t (id int)"])(
    "%s is refused, because it stays in a session that others get",
    (text) => {
      expect(refusalOf(text)).toMatchObject({ code: "POOLER_UNSUPPORTED", node: "replica-2" });
    },
  );

  it("a named statement is refused by its name, and told what to do instead", () => {
    const refusal = refusalOf({ name: "by-id", text: "update t set x = 1" });
    expect(refusal).toMatchObject({ code: "POOLER_UNSUPPORTED", node: "replica-2" });
    expect(refusal?.message).toContain('"by-id"');
    expect(refusal?.message).toContain("Leave the name out");
  });

  it.each(["begin", "commit", "update t set x = 1", "set local work_mem = '5MB'", "create table t (id int)"])(
    "%s runs",
    (text) => {
      expect(refusalOf(text)).toBeUndefined();
    },
  );
});
