import { describe, expect, test } from "vitest";
import { classifyCommand, mayRead } from "../../src/routing/commands.ts";
import { leadingKeyword } from "../../src/routing/sql-lexer.ts";
import type { Classification } from "../../src/routing/classification.ts";

function classify(text: string): Classification {
  return classifyCommand(text, leadingKeyword(text));
}

describe("transaction control", () => {
  test.each([
    ["BEGIN", "begin", false, false],
    ["begin work", "begin", false, false],
    ["BEGIN READ ONLY", "begin", true, false],
    ["START TRANSACTION READ ONLY", "begin", true, false],
    ["START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "begin", true, false],
    ["BEGIN READ ONLY, READ WRITE", "begin", false, false],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", "begin", true, true],
    ["/* a */ BEGIN /* b */ ISOLATION LEVEL -- c\n SERIALIZABLE", "begin", false, true],
    ["COMMIT", "end", false, false],
    ["END;", "end", false, false],
    ["ROLLBACK", "end", false, false],
    ["ABORT WORK", "end", false, false],
    ["COMMIT AND NO CHAIN", "end", false, false],
    ["PREPARE TRANSACTION 'a'", "end", false, false],
    ["COMMIT AND CHAIN", "savepoint", false, false],
    ["ROLLBACK TO SAVEPOINT a", "savepoint", false, false],
    ["ROLLBACK TO a", "savepoint", false, false],
    ["SAVEPOINT a", "savepoint", false, false],
    ["RELEASE a", "savepoint", false, false],
  ])("%s → %s, read only %s, serializable %s", (text, command, readOnly, serializable) => {
    expect(classify(text)).toMatchObject({
      target: "primary",
      reason: "transaction-control",
      transaction: { command, readOnly, serializable },
    });
  });

  test("of a prepared transaction touches no open one", () => {
    expect(classify("COMMIT PREPARED 'a'").transaction).toBeUndefined();
    expect(classify("ROLLBACK PREPARED 'a'").transaction).toBeUndefined();
  });
});

describe("several statements in one text", () => {
  test.each([
    ["BEGIN; INSERT INTO t VALUES (1)", "begin"],
    ["BEGIN; INSERT INTO t VALUES (1); COMMIT", "end"],
    ["COMMIT; BEGIN", "begin"],
    ["BEGIN READ ONLY; SAVEPOINT a; SELECT 1", "begin"],
    ["INSERT INTO t VALUES (';'); ROLLBACK;", "end"],
    ["INSERT INTO t VALUES ($a$;$a$); /* ; */ COMMIT -- ;", "end"],
    ["SAVEPOINT a; RELEASE a", "savepoint"],
  ])("%s leaves it at %s", (text, command) => {
    expect(classify(text)).toMatchObject({
      reason: "multi-statement",
      transaction: { command, readOnly: false },
    });
  });

  test("without transaction control leave it as it was", () => {
    expect(classify("INSERT INTO t VALUES (1); DELETE FROM t").transaction).toBeUndefined();
  });

  test.each([
    "INSERT INTO t VALUES ('a;b')",
    "INSERT INTO t VALUES ('it''s; fine');",
    "INSERT INTO t VALUES (E'\\';')",
    'INSERT INTO ";" VALUES (1)',
    "INSERT INTO t VALUES ($$;$$)",
    "INSERT INTO t VALUES (1) -- ; COMMIT",
    "INSERT INTO t VALUES (1); /* COMMIT; */",
  ])("is not %s", (text) => {
    expect(classify(text).reason).toBe("insert");
  });

  test("in a long text pin the session when one of them could change it", () => {
    const values = "(1, 'some; text'), ".repeat(2_000);
    expect(classify(`INSERT INTO t VALUES ${values}(1, 'x')`)).toMatchObject({
      reason: "insert",
      pinsSession: false,
    });
    expect(classify(`INSERT INTO t VALUES ${values}(1, 'x'); COMMIT`)).toMatchObject({
      reason: "multi-statement",
      pinsSession: true,
    });
    expect(classify(`INSERT INTO t VALUES ${values}(1, 'x'); /* a */ SET ROLE b`).pinsSession).toBe(true);
  });

  test("are taken for granted where there are too many semicolons to look behind each", () => {
    const values = "(1, 'some; text'), ".repeat(20_000);
    expect(classify(`INSERT INTO t VALUES ${values}(1, 'x')`)).toMatchObject({
      target: "primary",
      certainWrite: true,
      pinsSession: true,
    });
  });
});

describe("the first word", () => {
  test.each([
    ["SELECT 1", "SELECT"],
    ["  select 1", "SELECT"],
    ["/* a /* b */ c */(( -- x\n values (1)))", "VALUES"],
    ["WITH a AS (SELECT 1) SELECT 1", "WITH"],
    ["--\r\nTABLE t", "TABLE"],
    ["", ""],
    ["/* open", ""],
    ["42", ""],
    [";SELECT 1", ""],
  ])("of %s is %s", (text, keyword) => {
    expect(leadingKeyword(text)).toBe(keyword);
  });

  test("decides who is asked further", () => {
    for (const keyword of ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"]) {
      expect(mayRead(keyword)).toBe(true);
    }
    for (const keyword of ["INSERT", "BEGIN", "COPY", "", "FETCH"]) expect(mayRead(keyword)).toBe(false);
  });
});
