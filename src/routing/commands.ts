/**
 * Statements that are judged by their first words, without the parser: everything that cannot be a read. A write
 * costs next to nothing here, however long it is.
 */
import type { Classification, PrimaryReason, TransactionEffect } from "./classification.ts";
import { leadingTokens, skipBlank, splitStatements } from "./sql-lexer.ts";

/** True for the first words of statements that may read, so that only the parser can tell. */
export function mayRead(keyword: string): boolean {
  return READ_KEYWORDS.has(keyword);
}

/** Classifies a text whose first word is not one of those that {@link mayRead}. */
export function classifyCommand(text: string, keyword: string): Classification {
  const plain = PLAIN.get(keyword);
  // The common write: one statement, known by its first word.
  if (plain !== undefined && text.indexOf(";") === -1) return plain;
  if (!hasSecondStatement(text, keyword)) return plain ?? classifyOne(text, keyword);
  return text.length <= SPLIT_UP_TO ? classifySeveral(text, keyword) : classifyLong(text, keyword);
}

/**
 * A text that begins as reads do and that nobody has read may be anything. What it leaves in the session or does to
 * the transaction is told by its words.
 */
export function classifyUnread(
  text: string,
  reason: "too-long" | "not-read-yet" | "unparsable",
  detail?: string,
): Classification {
  const pins = SESSION_WORDS.test(text);
  const unread = primary(reason, {
    certainWrite: false,
    pinsSession: pins,
    ...(detail !== undefined && { detail }),
  });
  const semicolon = text.indexOf(";");
  if (semicolon === -1 || skipBlank(text, semicolon + 1) >= text.length) return unread;
  if (text.length > SPLIT_UP_TO) return mayChangeState(text) ? { ...unread, pinsSession: true } : unread;
  const statements = splitStatements(text);
  if (statements.length <= 1) return unread;
  const { transaction, pinsSession } = combine(statements.map((statement) => classifyPart(statement)));
  return { ...unread, pinsSession: pins || pinsSession, ...(transaction && { transaction }) };
}

/** What several statements in one text leave behind, each judged by `classify`. They never go to a replica. */
export function combine(parts: readonly Classification[]): Classification {
  const transactions = parts.flatMap((part) => (part.transaction === undefined ? [] : [part.transaction]));
  const last = transactions.findLast((effect) => effect.command !== "savepoint") ?? transactions.at(-1);
  return primary("multi-statement", {
    pinsSession: parts.some((part) => part.pinsSession),
    certainWrite: parts.some((part) => part.certainWrite),
    mayWrite: parts.some((part) => part.mayWrite),
    missed: parts.some((part) => part.missed),
    fingerprint: parts.map((part) => part.fingerprint).join(";"),
    ...(last && { transaction: { command: last.command, readOnly: false, serializable: last.serializable } }),
  });
}

type Overrides = Partial<Omit<Classification, "target" | "reason">>;

/** A classification for the primary; what is not said otherwise is a certain write that leaves nothing behind. */
export function primary(reason: PrimaryReason, overrides: Overrides = {}): Classification {
  return {
    target: "primary",
    reason,
    pinsSession: false,
    certainWrite: true,
    mayWrite: true,
    missed: false,
    fingerprint: "",
    ...overrides,
  };
}

function classifyOne(statement: string, keyword: string): Classification {
  const tokens = leadingTokens(statement, 24);
  switch (keyword) {
    case "BEGIN":
    case "START":
      return control("begin", beginModes(tokens));
    case "COMMIT":
    case "END":
    case "ROLLBACK":
    case "ABORT":
      return endOfTransaction(tokens);
    case "SAVEPOINT":
    case "RELEASE":
      return control("savepoint");
    case "PREPARE":
      return tokens[1] === "TRANSACTION" ? control("end") : primary("prepared-statement", KEEPS_SESSION);
    case "SET":
      return TRANSACTION_SETTINGS.has(tokens[1] ?? "") ? primary("set", READS) : primary("set", SETS_SESSION);
    case "DECLARE":
      return primary("cursor", tokens.join(" ").includes("WITH HOLD") ? KEEPS_SESSION : {});
    case "CREATE":
      return createsTemporary(tokens) ? primary("temp-object", { pinsSession: true }) : primary("ddl");
    case "":
      return isEmpty(statement)
        ? primary("empty", { certainWrite: false, mayWrite: false })
        : primary("unparsable", { certainWrite: false });
    default:
      return primary("unknown-statement", { certainWrite: false, detail: keyword });
  }
}

function control(
  command: TransactionEffect["command"],
  modes: Partial<TransactionEffect> = {},
): Classification {
  return primary("transaction-control", {
    mayWrite: false,
    transaction: { command, readOnly: false, serializable: false, ...modes },
  });
}

/** `BEGIN [WORK | TRANSACTION] [mode [,] …]`; the last of two contradicting modes counts. */
function beginModes(tokens: readonly string[]): Partial<TransactionEffect> {
  let readOnly = false;
  let serializable = false;
  for (const [i, token] of tokens.entries()) {
    if (token === "READ" && tokens[i + 1] === "ONLY") readOnly = true;
    if (token === "READ" && tokens[i + 1] === "WRITE") readOnly = false;
    if (token === "LEVEL") serializable = tokens[i + 1] === "SERIALIZABLE";
  }
  return { readOnly, serializable };
}

/** COMMIT and ROLLBACK, and their forms that do not end the open transaction. */
function endOfTransaction(tokens: readonly string[]): Classification {
  if (tokens[1] === "PREPARED") return primary("transaction-control");
  const chains = tokens.includes("CHAIN") && !tokens.includes("NO");
  return control(chains || tokens.includes("TO") ? "savepoint" : "end");
}

/** `CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP …`, or a name in the schema `pg_temp`. */
function createsTemporary(tokens: readonly string[]): boolean {
  const kind = tokens.slice(1).find((token) => !BEFORE_TEMP.has(token));
  if (kind === "TEMP" || kind === "TEMPORARY") return true;
  return tokens.some((token, i) => TEMP_SCHEMA.has(token) && tokens[i + 1] === ".");
}

function isEmpty(statement: string): boolean {
  let at = skipBlank(statement, 0);
  while (statement.charCodeAt(at) === SEMICOLON) at = skipBlank(statement, at + 1);
  return at >= statement.length;
}

/**
 * False when nothing but blanks follows the first semicolon, which is then the trailing one. A semicolon in a quoted
 * text answers true, to be looked at closely. The body of `CREATE FUNCTION … BEGIN ATOMIC` is one statement.
 */
function hasSecondStatement(text: string, keyword: string): boolean {
  const semicolon = text.indexOf(";");
  if (semicolon === -1 || skipBlank(text, semicolon + 1) >= text.length) return false;
  return !(keyword === "CREATE" && ATOMIC_BODY.test(text));
}

function classifySeveral(text: string, keyword: string): Classification {
  const statements = splitStatements(text);
  if (statements.length <= 1) {
    const statement = statements[0] ?? text;
    return PLAIN.get(keyword) ?? classifyOne(statement, keyword);
  }
  return combine(statements.map((statement) => classifyPart(statement)));
}

function classifyPart(statement: string): Classification {
  const keyword = leadingTokens(statement, 1)[0] ?? "";
  // A read beside a write changes nothing about the text; one that could pin the session is told by its name.
  if (mayRead(keyword) || keyword === "(") {
    return primary("multi-statement", { certainWrite: false, pinsSession: SESSION_CALL.test(statement) });
  }
  return PLAIN.get(keyword) ?? classifyOne(statement, keyword);
}

/** A long text with semicolons, most likely inside its values: splitting it would cost milliseconds. */
function classifyLong(text: string, keyword: string): Classification {
  const first = PLAIN.get(keyword) ?? classifyOne(text.slice(0, SPLIT_UP_TO), keyword);
  if (!mayChangeState(text)) return first;
  return primary("multi-statement", {
    pinsSession: true,
    ...(first.transaction && { transaction: { ...first.transaction, readOnly: false } }),
  });
}

/**
 * Whether anything that looks like a second statement could touch the transaction or the session. A text of so many
 * semicolons that looking behind each would take long counts as one that does.
 */
function mayChangeState(text: string): boolean {
  let semicolon = text.indexOf(";");
  for (let i = 0; semicolon !== -1; i++) {
    if (i === MOST_SEMICOLONS) return true;
    STATE_CHANGE.lastIndex = semicolon + 1;
    if (STATE_CHANGE.test(text)) return true;
    semicolon = text.indexOf(";", semicolon + 1);
  }
  return false;
}

const READ_KEYWORDS: ReadonlySet<string> = new Set(["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"]);

/** `SET LOCAL work_mem`, `SET TRANSACTION …`: over when the transaction is. */
const TRANSACTION_SETTINGS: ReadonlySet<string> = new Set(["LOCAL", "TRANSACTION", "CONSTRAINTS"]);

const BEFORE_TEMP: ReadonlySet<string> = new Set(["OR", "REPLACE", "LOCAL", "GLOBAL"]);
const TEMP_SCHEMA: ReadonlySet<string> = new Set(["PG_TEMP", '"PG_TEMP"']);

const KEEPS_SESSION: Overrides = { pinsSession: true };
const SETS_SESSION: Overrides = { pinsSession: true, mayWrite: false };
const READS: Overrides = { mayWrite: false };

/** Commands that need no second look, one shared classification each. */
const PLAIN: ReadonlyMap<string, Classification> = new Map<string, Classification>([
  ["INSERT", primary("insert")],
  ["UPDATE", primary("update")],
  ["DELETE", primary("delete")],
  ["MERGE", primary("merge")],
  ["COPY", primary("copy")],
  ["CALL", primary("call")],
  ["DO", primary("do")],
  ["LOCK", primary("lock")],
  ["LISTEN", primary("listen", SETS_SESSION)],
  ["UNLISTEN", primary("listen", SETS_SESSION)],
  ["NOTIFY", primary("notify")],
  ["RESET", primary("session-state", SETS_SESSION)],
  ["DISCARD", primary("session-state", SETS_SESSION)],
  ["LOAD", primary("session-state", SETS_SESSION)],
  ["EXECUTE", primary("prepared-statement", KEEPS_SESSION)],
  ["DEALLOCATE", primary("prepared-statement", SETS_SESSION)],
  ["FETCH", primary("cursor")],
  ["MOVE", primary("cursor")],
  ["CLOSE", primary("cursor", READS)],
  ...named("ddl", "ALTER DROP TRUNCATE GRANT REVOKE COMMENT SECURITY IMPORT REASSIGN"),
  ...named("maintenance", "VACUUM ANALYZE ANALYSE REINDEX CLUSTER REFRESH CHECKPOINT"),
]);

function named(reason: PrimaryReason, keywords: string): [string, Classification][] {
  return keywords.split(" ").map((keyword) => [keyword, primary(reason)]);
}

/** Texts up to this length are split exactly when they hold several statements. */
const SPLIT_UP_TO = 4_096;

/** Behind a semicolon, sticky. Blanks may be many: a comment counts. */
const STATE_CHANGE: RegExp =
  /[\s(]*(?:--|\/\*|begin|start|commit|end|rollback|abort|savepoint|release|prepare|set|reset|discard|load|listen|unlisten|execute|deallocate|declare|create|select|with|values|explain|do|call)/iy;
const MOST_SEMICOLONS = 2_048;
const SESSION_CALL = /set_config|advisory|setseed|\binto\b/i;
/** In a long text `into` alone may well be part of a value. */
const SESSION_WORDS = /set_config|advisory_|setseed|\binto\s+(?:(?:local|global)\s+)?(?:temp|pg_temp)/i;
const ATOMIC_BODY = /\bbegin\s+atomic\b/i;
const SEMICOLON = 0x3b;
