import { assert, property, string } from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createSqlParser } from "../../src/driver/sql-parser.ts";
import type { SqlParser } from "../../src/driver/sql-parser.ts";
import type { CatalogueSnapshot } from "../../src/routing/catalogue.ts";
import { createCatalogue } from "../../src/routing/catalogue.ts";
import { createClassifier } from "../../src/routing/classify.ts";
import type { Classifier, ClassifierOptions } from "../../src/routing/classify.ts";
import { readWith } from "../../src/routing/parser.ts";
import type { AsideReader, Parser, ReadOutcome } from "../../src/routing/parser.ts";
import { READING_EXPRESSIONS, WRITING_EXPRESSIONS, statementsAround } from "./sql/combinations.ts";
import { capturedCatalogue } from "./sql/fixture.ts";
import { STATEMENTS } from "./sql/statements.ts";

let parser: SqlParser;
let catalogue: CatalogueSnapshot;
let classifier: Classifier;

beforeAll(async () => {
  parser = await createSqlParser();
  catalogue = capturedCatalogue();
  classifier = createClassifier({ parser, catalogue: () => catalogue });
});

function targetOf(text: string): string {
  return classifier.classify(text).target;
}

function fingerprint(text: string): string {
  return classifier.classify(text).fingerprint;
}

/** A parser that counts what it is asked. */
function counting(): Parser & { asked: number } {
  return {
    asked: 0,
    parse(text) {
      this.asked++;
      return parser.parse(text);
    },
  };
}

function classifierWith(options: Partial<ClassifierOptions>): Classifier {
  return createClassifier({ parser, catalogue: () => catalogue, ...options });
}

describe("a listed statement", () => {
  test.each(STATEMENTS.map(([text, reason]) => ({ text, reason })))("$text → $reason", ({ text, reason }) => {
    expect(classifier.classify(text).reason).toBe(reason);
  });

  test("goes to a replica only when it is proven to read, and then neither writes nor pins", () => {
    const wrong = STATEMENTS.map(([text]) => ({ text, ...classifier.classify(text) })).filter(
      ({ target, reason, certainWrite, mayWrite, pinsSession }) =>
        target === "replica"
          ? !(reason === "select" || reason === "explain") || certainWrite || mayWrite || pinsSession
          : reason === "select" || reason === "explain",
    );
    expect(wrong).toEqual([]);
  });
});

describe("a combination", () => {
  test("with a writing part goes to the primary", () => {
    assert(
      property(statementsAround(WRITING_EXPRESSIONS), (text) => {
        expect({ text, target: targetOf(text) }).toEqual({ text, target: "primary" });
      }),
      { numRuns: 500 },
    );
  });

  test("of reading parts goes to a replica", () => {
    assert(
      property(statementsAround(READING_EXPRESSIONS), (text) => {
        expect({ text, target: targetOf(text) }).toEqual({ text, target: "replica" });
      }),
      { numRuns: 300 },
    );
  });

  test("of any characters is classified without an exception", () => {
    assert(
      property(string({ unit: "binary", maxLength: 60 }), (text) => {
        expect(["primary", "replica"]).toContain(targetOf(`SELECT ${text}`));
        expect(["primary", "replica"]).toContain(targetOf(text));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("certainty", () => {
  test.each([
    ["SELECT nextval('s')", true, true],
    ["SELECT * FROM seqview", true, true],
    ["SELECT * FROM u", true, true],
    ["SELECT wfn()", false, true],
    ["SELECT * FROM wview", false, true],
    ["SELECT nosuch()", false, true],
    ["SELECT pg_is_in_recovery()", false, false],
    ["SHOW work_mem", false, false],
    ["EXPLAIN INSERT INTO t VALUES (1)", false, false],
    ["EXPLAIN ANALYZE INSERT INTO t VALUES (1)", true, true],
    ["SELECT 1; SELECT 2", false, false],
    ["SELECT 1; SELECT nextval('s')", true, true],
    ["INSERT INTO t VALUES (1)", true, true],
  ])("of %s: certain %s, may write %s", (text, certainWrite, mayWrite) => {
    expect(classifier.classify(text)).toMatchObject({ certainWrite, mayWrite });
  });
});

describe("detail", () => {
  test.each([
    ["SELECT * FROM wview2", "view wview2 → view wview → wfn()"],
    ["SELECT * FROM defaultview", "view defaultview → defaulted() → nextval()"],
    ["SELECT * FROM dirty", "table dirty → table dirty_1"],
    ["SELECT a ### b FROM t a, t b", "operator ### → wop()"],
    ["SELECT 'ok'::mood::pair", "cast mood → pair → wcast()"],
    ["SELECT * FROM t FOR NO KEY UPDATE", "FOR NOKEYUPDATE"],
  ])("of %s is the way there", (text, detail) => {
    expect(classifier.classify(text).detail).toBe(detail);
  });
});

describe("a hint", () => {
  test.each([
    ["/* fairlead: replica */ SELECT wfn()", "replica", "hint-replica"],
    ["SELECT * FROM wview -- x\n/* fairlead: replica */", "replica", "hint-replica"],
    ["SELECT pg_is_in_recovery() /* fairlead:replica */", "replica", "hint-replica"],
    ["/* fairlead: replica */ SELECT nextval('s')", "primary", "primary-only-function"],
    ["/* fairlead: replica */ SELECT * FROM t FOR UPDATE", "primary", "locking-clause"],
    ["/* fairlead: replica */ INSERT INTO t VALUES (1)", "primary", "insert"],
    ["/* fairlead: primary */ SELECT 1", "primary", "hint-primary"],
    ["SELECT '/* fairlead: primary */'", "replica", "select"],
    ["SELECT $$ /* fairlead: primary */ $$", "replica", "select"],
    ["SELECT 1 -- /* fairlead: primary */", "replica", "select"],
    ["SELECT 1 /* say: fairlead: primary */", "replica", "select"],
  ])("in %s → %s, %s", (text, target, reason) => {
    expect(classifier.classify(text)).toMatchObject({ target, reason });
  });

  test("that is ignored says so", () => {
    const { detail } = classifier.classify("/* fairlead: replica */ SELECT nextval('s')");
    expect(detail).toBe("nextval(), hint ignored");
  });

  test("for the primary is binding, though the statement only reads", () => {
    expect(classifier.classify("/* fairlead: primary */ SELECT 1")).toMatchObject({
      certainWrite: true,
      mayWrite: false,
    });
  });
});

describe("a session", () => {
  test.each([
    "SET work_mem = '1MB'",
    "RESET ALL",
    "PREPARE p AS SELECT 1",
    "LISTEN c",
    "CREATE TEMP TABLE x (a int)",
    "SELECT * INTO TEMP x FROM t",
    "SELECT * FROM pg_temp.x",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LOAD 'auto_explain'",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared(1, 2)",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT set_config('a.b', $1, $2)",
    "SELECT set_config('a.b', 'c', true), set_config('a.b', 'c', false)",
    "SELECT 1; SET work_mem = '1MB'",
    "INSERT INTO t VALUES (1); SELECT pg_advisory_lock(1)",
  ])("is pinned by %s", (text) => {
    expect(classifier.classify(text).pinsSession).toBe(true);
  });

  test.each([
    "SELECT 1",
    "INSERT INTO t VALUES (1)",
    "SET LOCAL work_mem = '1MB'",
    "SET TRANSACTION READ ONLY",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT set_config('a.b', 'c', true)",
    "EXPLAIN SELECT pg_advisory_lock(1)",
    "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
    "CREATE TABLE temp (a int)",
    "BEGIN",
    "NOTIFY c",
  ])("is left as it was by %s", (text) => {
    expect(classifier.classify(text).pinsSession).toBe(false);
  });
});

describe("the catalogue", () => {
  test("that has not been read yet leaves only what PostgreSQL itself has", () => {
    const blind = classifierWith({ catalogue: () => undefined });
    expect(blind.classify("SELECT 1 + 1, now(), lower('A')")).toMatchObject({ target: "replica" });
    expect(blind.classify("SELECT * FROM pg_class")).toMatchObject({ target: "replica" });
    for (const text of ["SELECT * FROM t", "SELECT rfn(1)", "SELECT 'ok'::mood"]) {
      expect(blind.classify(text)).toMatchObject({ target: "primary", reason: "catalogue-not-loaded" });
    }
  });

  test("is asked for anew whenever a statement names what it does not know, remembered or not", () => {
    let misses = 0;
    const asking = classifierWith({
      onMiss: () => {
        misses++;
      },
    });
    asking.classify("SELECT * FROM t");
    expect(misses).toBe(0);
    asking.classify("SELECT * FROM brand_new");
    asking.classify("SELECT * FROM brand_new");
    expect(misses).toBe(2);
  });

  test("judges anew what was remembered when it has changed, and only then", () => {
    const counted = counting();
    let current = createCatalogue([], "1");
    const changing = classifierWith({ parser: counted, catalogue: () => current });
    expect(changing.classify("SELECT * FROM t").reason).toBe("unknown-relation");
    current = createCatalogue([], "1");
    changing.classify("SELECT * FROM t");
    expect(counted.asked).toBe(1);
    current = catalogue;
    expect(changing.classify("SELECT * FROM t").reason).toBe("select");
    expect(counted.asked).toBe(2);
  });
});

describe("the cost", () => {
  test("a text is parsed once, a command never", () => {
    const counted = counting();
    const cached = classifierWith({ parser: counted });
    for (let i = 0; i < 5; i++) cached.classify("SELECT 1");
    expect(counted.asked).toBe(1);
    cached.classify(`INSERT INTO t VALUES ${"(1, 'x;y'), ".repeat(10_000)}(1, 'x')`);
    cached.classify("UPDATE t SET v = 1");
    expect(counted.asked).toBe(1);
    cached.clear();
    cached.classify("SELECT 1");
    expect(counted.asked).toBe(2);
  });

  test("a text above the limit is not parsed; the limit is in bytes", () => {
    const counted = counting();
    const limited = classifierWith({ parser: counted, maxBytes: 100 });
    expect(limited.classify(`SELECT '${"a".repeat(91)}'`)).toMatchObject({ reason: "select" });
    expect(limited.classify(`SELECT '${"a".repeat(92)}'`)).toMatchObject({
      reason: "too-long",
      certainWrite: false,
    });
    expect(limited.classify(`SELECT '${"é".repeat(60)}'`).reason).toBe("too-long");
    expect(counted.asked).toBe(1);
  });

  test("statements of one shape are parsed once, hints and values aside", () => {
    const counted = counting();
    const shaped = classifierWith({ parser: counted });
    for (let i = 0; i < 5; i++) {
      const ids = Array.from({ length: 100 * (i + 1) }, (_, n) => n * i).join(", ");
      expect(shaped.classify(`SELECT v /* ${i} */ FROM t WHERE id IN (${ids}) LIMIT ${i}`).reason).toBe(
        "select",
      );
    }
    expect(shaped.classify("/* fairlead: primary */ SELECT v FROM t WHERE id IN (7) LIMIT 1")).toMatchObject({
      target: "primary",
      reason: "hint-primary",
    });
    expect(counted.asked).toBe(1);
    expect(shaped.classify("SELECT v FROM t WHERE id IN (rfn(7)) LIMIT 1").reason).toBe("select");
    expect(counted.asked).toBe(2);
  });

  test("a long list of ever new values does not push small texts out of the cache", () => {
    const shaped = classifierWith({ cacheLength: 100_000 });
    shaped.classify("SELECT 1");
    const known = shaped.classify("SELECT 1");
    for (let i = 0; i < 50; i++) shaped.classify(`SELECT 1 IN (${`${i}, `.repeat(2_000)}1)`);
    expect(shaped.classify("SELECT 1")).toBe(known);
  });

  test("a long text still says what it may leave in the session", () => {
    const padding = `'${"a".repeat(40_000)}'`;
    expect(classifier.classify(`SELECT ${padding}`).pinsSession).toBe(false);
    expect(classifier.classify(`SELECT ${padding}, PG_ADVISORY_LOCK(1)`).pinsSession).toBe(true);
  });
});

describe("a statement of more tokens than are parsed at once", () => {
  const long = (value: number): string => `SELECT ${"id, v, ".repeat(20)} ${value} FROM t`;

  /** Reads when it is told to. */
  function waiting(): AsideReader & { readonly texts: string[]; readNext(outcome?: ReadOutcome): void } {
    const texts: string[] = [];
    const answers: ((outcome: ReadOutcome) => void)[] = [];
    return {
      texts,
      read(text, done) {
        texts.push(text);
        answers.push(done);
        return true;
      },
      readNext(outcome) {
        answers.shift()?.(outcome ?? readWith(parser, texts.at(-answers.length - 1) ?? ""));
      },
    };
  }

  test("goes to the primary until it has been read aside, and is read once", () => {
    const counted = counting();
    const aside = waiting();
    const patient = classifierWith({ parser: counted, aside, maxTokensAtOnce: 50 });
    for (let i = 0; i < 3; i++) {
      expect(patient.classify(long(i))).toMatchObject({
        target: "primary",
        reason: "not-read-yet",
        certainWrite: false,
        mayWrite: true,
        pinsSession: false,
      });
    }
    expect(aside.texts).toHaveLength(1);
    aside.readNext();
    expect(patient.classify(long(9))).toMatchObject({ target: "replica", reason: "select" });
    expect(patient.classify("SELECT v FROM t")).toMatchObject({ target: "replica" });
    expect(aside.texts).toHaveLength(1);
    expect(counted.asked).toBe(1);
  });

  test("is judged by the catalogue there is when it has been read", () => {
    const aside = waiting();
    let current = createCatalogue([], "1");
    const patient = classifierWith({ aside, catalogue: () => current, maxTokensAtOnce: 50 });
    patient.classify(long(1));
    current = catalogue;
    aside.readNext();
    expect(patient.classify(long(2)).reason).toBe("select");
  });

  test("that could not be read is asked for again, or given up when it never will be", () => {
    const aside = waiting();
    const patient = classifierWith({ aside, maxTokensAtOnce: 50 });
    patient.classify(long(1));
    aside.readNext({ kind: "unavailable" });
    expect(patient.classify(long(1)).reason).toBe("not-read-yet");
    expect(aside.texts).toHaveLength(2);
    aside.readNext({ kind: "overwhelmed" });
    expect(patient.classify(long(1))).toMatchObject({ target: "primary", reason: "unparsable" });
    expect(aside.texts).toHaveLength(2);
  });

  test("is too long where nobody reads it", () => {
    const alone = classifierWith({ maxTokensAtOnce: 50 });
    const full = classifierWith({ maxTokensAtOnce: 50, aside: { read: () => false } });
    expect(alone.classify(long(1))).toMatchObject({ target: "primary", reason: "too-long" });
    expect(full.classify(long(1))).toMatchObject({ target: "primary", reason: "too-long" });
  });

  test("still says what it may do to the session and the transaction", () => {
    const patient = classifierWith({ aside: waiting(), maxTokensAtOnce: 50 });
    expect(patient.classify(`${long(1)} WHERE pg_advisory_lock(1)`).pinsSession).toBe(true);
    expect(patient.classify(`${long(1)}; COMMIT`)).toMatchObject({ transaction: { command: "end" } });
    expect(patient.classify(`${long(1)}; SET ROLE x`).pinsSession).toBe(true);
    expect(patient.classify(`${long(1)}; SELECT 2`)).toMatchObject({ target: "primary", pinsSession: false });
    expect(patient.classify(`SELECT '${"x".repeat(5_000)}'; SET ROLE x`)).toMatchObject({
      pinsSession: true,
    });
  });

  test("follows a hint", () => {
    const patient = classifierWith({ aside: waiting(), maxTokensAtOnce: 50 });
    expect(patient.classify(`/* fairlead: replica */ ${long(1)}`)).toMatchObject({
      target: "replica",
      reason: "hint-replica",
    });
  });
});

describe("the parser", () => {
  test("that is not there sends reads to the primary and is asked again", () => {
    let there = false;
    const coming = classifierWith({
      parser: { parse: (text) => (there ? parser.parse(text) : { kind: "unavailable" }) },
    });
    expect(coming.classify("SELECT 1")).toMatchObject({ target: "primary", reason: "unparsable" });
    there = true;
    expect(coming.classify("SELECT 1")).toMatchObject({ target: "replica" });
  });

  test("never sees a text that the server would receive otherwise", () => {
    const counted = counting();
    const careful = classifierWith({ parser: counted });
    expect(careful.classify("SELECT 1\0; DELETE FROM t").reason).toBe("unparsable");
    expect(careful.classify("SELECT '\uD800'").reason).toBe("unparsable");
    expect(counted.asked).toBe(0);
    expect(careful.classify("SELECT '😀'").reason).toBe("select");
  });

  test("meeting a node it never heard of proves nothing", () => {
    const future = classifierWith({
      parser: {
        parse: () => ({ kind: "parsed", statements: [{ SelectStmt: { targetList: [{ NewThing: {} }] } }] }),
      },
    });
    expect(future.classify("SELECT 1")).toMatchObject({ target: "primary", reason: "unknown-statement" });
  });
});

describe("the fingerprint", () => {
  test("is the same for the same names with other values, and another for other names", () => {
    const one = fingerprint("SELECT rfn(1) FROM t WHERE id = 1");
    expect(fingerprint("SELECT rfn(22)  FROM t WHERE id = 3")).toBe(one);
    expect(fingerprint("SELECT ifn(1) FROM t WHERE id = 1")).not.toBe(one);
    expect(fingerprint("SELECT * FROM t")).not.toBe(fingerprint("SELECT * FROM rview"));
  });
});
