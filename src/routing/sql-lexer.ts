/**
 * Just enough of PostgreSQL's lexical rules to tell code from comments and quotes: where a text begins, where its
 * statements end, what its comments say. Everything else is the parser's business.
 *
 * @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html (`standard_conforming_strings` = on)
 */

/** The first word of a text, upper case, behind blanks, comments and opening parentheses; "" when there is none. */
export function leadingKeyword(text: string): string {
  let at = skipBlank(text, 0);
  while (text.charCodeAt(at) === PAREN_OPEN) at = skipBlank(text, at + 1);
  return wordAt(text, at);
}

/**
 * The next position that is neither white space nor inside a comment. An unterminated comment ends the text, and is
 * told by a position behind its end.
 */
export function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (isSpace(code)) at++;
    else if (code === MINUS && text.charCodeAt(at + 1) === MINUS) at = endOfLine(text, at + 2);
    else if (code === SLASH && text.charCodeAt(at + 1) === STAR) at = endOfComment(text, at);
    else return at;
  }
}

/** The statements of a text, without their semicolons; empty ones are left out. */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let start = 0;
  const keep = (end: number): void => {
    const statement = text.slice(start, end);
    if (skipBlank(statement, 0) < statement.length) statements.push(statement);
  };
  for (let at = 0; at < text.length; at = nextToken(text, at)) {
    if (text.charCodeAt(at) !== SEMICOLON) continue;
    keep(at);
    start = at + 1;
  }
  keep(text.length);
  return statements;
}

/** What a block comment of the text asks the router for. The last one that asks counts. */
export function routingHint(text: string): "primary" | "replica" | undefined {
  if (!text.includes("fairlead:")) return undefined;
  let hint: "primary" | "replica" | undefined;
  for (let at = 0; at < text.length;) {
    const end = nextToken(text, at);
    if (text.charCodeAt(at) === SLASH && text.charCodeAt(at + 1) === STAR) {
      const asked = HINT.exec(text.slice(at, end))?.[1];
      if (asked === "primary" || asked === "replica") hint = asked;
    }
    at = end;
  }
  return hint;
}

/** The first `limit` words of a statement, upper case; other tokens come as they stand, comments not at all. */
export function leadingTokens(statement: string, limit: number): string[] {
  const tokens: string[] = [];
  let at = skipBlank(statement, 0);
  while (at < statement.length && tokens.length < limit) {
    const end = nextToken(statement, at);
    tokens.push(statement.slice(at, Math.min(end, at + LONGEST_WORD)).toUpperCase());
    at = skipBlank(statement, end);
  }
  return tokens;
}

/** One token: a whole quoted text, comment or word, else a single character. Always moves on. */
function nextToken(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code === QUOTE) return endOfQuoted(text, at + 1, QUOTE);
  if (code === DOUBLE_QUOTE) return endOfQuoted(text, at + 1, DOUBLE_QUOTE);
  if (code === MINUS && text.charCodeAt(at + 1) === MINUS) return endOfLine(text, at + 2);
  if (code === SLASH && text.charCodeAt(at + 1) === STAR) return endOfComment(text, at);
  if (code === DOLLAR) return endOfDollarQuoted(text, at);
  if (!isWordStart(code)) return at + 1;
  const end = endOfWord(text, at);
  const escapes = end === at + 1 && (code | 0x20) === LOWER_E && text.charCodeAt(end) === QUOTE;
  return escapes ? endOfEscapeString(text, end + 1) : end;
}

function wordAt(text: string, at: number): string {
  let end = at;
  while (end - at < LONGEST_WORD && isLetter(text.charCodeAt(end))) end++;
  return text.slice(at, end).toUpperCase();
}

function endOfWord(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && isWordPart(text.charCodeAt(end))) end++;
  return end;
}

/** A doubled quote stays inside; it reads as the end of one quoted text and the start of the next. */
function endOfQuoted(text: string, from: number, quote: number): number {
  const end = text.indexOf(quote === QUOTE ? "'" : '"', from);
  return end === -1 ? text.length : end + 1;
}

function endOfEscapeString(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 2;
    else if (code !== QUOTE) at++;
    else if (text.charCodeAt(at + 1) === QUOTE) at += 2;
    else return at + 1;
  }
  return text.length;
}

function endOfDollarQuoted(text: string, at: number): number {
  DOLLAR_TAG.lastIndex = at;
  const tag = DOLLAR_TAG.exec(text)?.[0];
  if (tag === undefined) return at + 1;
  const end = text.indexOf(tag, at + tag.length);
  return end === -1 ? text.length : end + tag.length;
}

function endOfLine(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== 10 && text.charCodeAt(at) !== 13) at++;
  return at;
}

/** Block comments nest. One that is not closed ends behind the text. */
function endOfComment(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === SLASH && text.charCodeAt(i + 1) === STAR) {
      depth++;
      i++;
    } else if (code === STAR && text.charCodeAt(i + 1) === SLASH) {
      depth--;
      i++;
      if (depth === 0) return i + 1;
    }
  }
  return text.length + 1;
}

/** Tab, newline, vertical tab, form feed, carriage return, space. */
export function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 97 && lower <= 122;
}

export function isWordStart(code: number): boolean {
  return isLetter(code) || code === UNDERSCORE || code >= 0x80;
}

export function isWordPart(code: number): boolean {
  return isWordStart(code) || isDigit(code) || code === DOLLAR;
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

const HINT = /^\/\*\s*fairlead:\s*(primary|replica)\s*\*\/$/;
/** Sticky: set `lastIndex`. */
export const DOLLAR_TAG: RegExp = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
/** Longer than any keyword. */
const LONGEST_WORD = 32;

const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const QUOTE = 0x27;
const PAREN_OPEN = 0x28;
const STAR = 0x2a;
const MINUS = 0x2d;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const LOWER_E = 0x65;
