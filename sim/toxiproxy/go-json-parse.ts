/**
 * Reads one JSON value as Go's `json.Decoder` does: what follows the value is ignored, and what is wrong with it
 * is said in Go's words. Object keys keep their order and their repetitions, which decide what Go reports first.
 */

export type JsonValue =
  | { readonly kind: "null" }
  | { readonly kind: "bool"; readonly value: boolean }
  /** The number as written: whether it fits is for the field to say. */
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "array"; readonly items: readonly JsonValue[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, JsonValue])[] };

/** What Go would say of the text, without the prefix of the call. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** @throws JsonError `EOF`, `unexpected EOF`, `invalid character 'x' looking for beginning of value`, … */
export function parseGoJson(bytes: Buffer): JsonValue {
  const reader = new Reader(bytes);
  reader.skipSpace();
  if (reader.isAtEnd) throw new JsonError("EOF");
  return reader.readValue(0);
}

/** Go allows 10,000. Nothing that the API takes is deeper than three, and this much any stack holds. */
const MAX_DEPTH = 1000;
/** With the `u` flag, halves of a pair do not match. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  skipSpace(): void {
    while (!this.isAtEnd && " \t\r\n".includes(this.#character())) this.#at++;
  }

  readValue(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw new JsonError("exceeded max depth");
    const character = this.#peek();
    switch (character) {
      case "{":
        return this.#readObject(depth);
      case "[":
        return this.#readArray(depth);
      case '"':
        return { kind: "string", value: this.#readString() };
      case "t":
        this.#readLiteral("true");
        return { kind: "bool", value: true };
      case "f":
        this.#readLiteral("false");
        return { kind: "bool", value: false };
      case "n":
        this.#readLiteral("null");
        return { kind: "null" };
      default:
        if (character === "-" || isDigit(character)) return { kind: "number", text: this.#readNumber() };
        throw invalid(character, "looking for beginning of value");
    }
  }

  #readObject(depth: number): JsonValue {
    const entries: [string, JsonValue][] = [];
    this.#at++;
    this.skipSpace();
    if (this.#peek() === "}") {
      this.#at++;
      return { kind: "object", entries };
    }
    for (;;) {
      this.skipSpace();
      if (this.#peek() !== '"') throw invalid(this.#peek(), "looking for beginning of object key string");
      const key = this.#readString();
      this.skipSpace();
      if (this.#peek() !== ":") throw invalid(this.#peek(), "after object key");
      this.#at++;
      this.skipSpace();
      entries.push([key, this.readValue(depth + 1)]);
      this.skipSpace();
      const next = this.#peek();
      if (next !== "," && next !== "}") throw invalid(next, "after object key:value pair");
      this.#at++;
      if (next === "}") return { kind: "object", entries };
    }
  }

  #readArray(depth: number): JsonValue {
    const items: JsonValue[] = [];
    this.#at++;
    this.skipSpace();
    if (this.#peek() === "]") {
      this.#at++;
      return { kind: "array", items };
    }
    for (;;) {
      this.skipSpace();
      items.push(this.readValue(depth + 1));
      this.skipSpace();
      const next = this.#peek();
      if (next !== "," && next !== "]") throw invalid(next, "after array element");
      this.#at++;
      if (next === "]") return { kind: "array", items };
    }
  }

  #readString(): string {
    this.#at++;
    const parts: string[] = [];
    let plainFrom = this.#at;
    for (;;) {
      while (isPlain(this.#bytes[this.#at])) this.#at++;
      const character = this.#peek();
      if (character < " ") throw invalid(character, "in string literal");
      parts.push(this.#bytes.toString("utf8", plainFrom, this.#at));
      this.#at++;
      if (character === '"') return parts.join("").replaceAll(LONE_SURROGATE, "\uFFFD");
      parts.push(this.#readEscape());
      plainFrom = this.#at;
    }
  }

  #readEscape(): string {
    const character = this.#peek();
    this.#at++;
    if (character !== "u") {
      const meant = ESCAPES[character];
      if (meant === undefined) throw invalid(character, "in string escape code");
      return meant;
    }
    for (let digit = 0; digit < 4; digit++) {
      if (!/[0-9a-fA-F]/.test(this.#peek())) {
        throw invalid(this.#peek(), "in \\u hexadecimal character escape");
      }
      this.#at++;
    }
    return String.fromCharCode(Number.parseInt(this.#bytes.toString("latin1", this.#at - 4, this.#at), 16));
  }

  #readLiteral(word: string): void {
    for (let index = 0; index < word.length; index++) {
      const expected = word.charAt(index);
      if (this.#peek() !== expected) {
        throw invalid(this.#peek(), `in literal ${word} (expecting '${expected}')`);
      }
      this.#at++;
    }
  }

  #readNumber(): string {
    const start = this.#at;
    if (this.#peek() === "-") {
      this.#at++;
      if (!isDigit(this.#peek())) throw invalid(this.#peek(), "in numeric literal");
    }
    // A number that starts with 0 is over there; what follows is judged by whoever reads on.
    if (this.#character() === "0") this.#at++;
    else this.#skipDigits();
    if (this.#character() === ".") {
      this.#at++;
      if (!isDigit(this.#peek())) throw invalid(this.#peek(), "after decimal point in numeric literal");
      this.#skipDigits();
    }
    if (this.#character() === "e" || this.#character() === "E") {
      this.#at++;
      if (this.#peek() === "+" || this.#peek() === "-") this.#at++;
      if (!isDigit(this.#peek())) throw invalid(this.#peek(), "in exponent of numeric literal");
      this.#skipDigits();
    }
    return this.#bytes.toString("latin1", start, this.#at);
  }

  #skipDigits(): void {
    while (isDigit(this.#character())) this.#at++;
  }

  /** The byte at hand as a character, or the empty string at the end. */
  #character(): string {
    const byte = this.#bytes[this.#at];
    return byte === undefined ? "" : String.fromCharCode(byte);
  }

  /** The byte at hand, where something must come. */
  #peek(): string {
    if (this.isAtEnd) throw new JsonError("unexpected EOF");
    return this.#character();
  }
}

/** A byte that stands for itself in a string: no quote, backslash or control, and not the end. */
function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x20 && byte !== 0x22 && byte !== 0x5c;
}

function isDigit(character: string): boolean {
  return character.length === 1 && character >= "0" && character <= "9";
}

/** Go quotes one byte as it would a rune. */
function invalid(character: string, where: string): JsonError {
  return new JsonError(`invalid character ${quote(character)} ${where}`);
}

function quote(character: string): string {
  const named = { "'": "\\'", '"': '"', "\\": "\\\\" }[character] ?? CONTROLS[character];
  if (named !== undefined) return `'${named}'`;
  const code = character.charCodeAt(0);
  const isPrintable = (code >= 0x20 && code < 0x7f) || (code > 0xa0 && code !== 0xad);
  if (isPrintable) return `'${character}'`;
  return code < 0x80
    ? `'\\x${code.toString(16).padStart(2, "0")}'`
    : `'\\u${code.toString(16).padStart(4, "0")}'`;
}

const CONTROLS: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};
