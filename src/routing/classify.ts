/**
 * Decides from its text alone whether a statement may be served by a replica: only when everything in it is proven
 * to read. PURE given its inputs; the parser and the catalogue come from outside.
 *
 *     text ─► first word ─► a write, a command: primary, unparsed
 *                   └─► may read ─► cache by text ─► shape ─► cache by shape ─► parser ─► judge(catalogue) ─► hint
 *
 * A shape is parsed at once when that is quick, else aside: until it has been read, its statements go to the primary.
 *
 * SHOW, settings views, functions that tell about the server and sequences read as relations belong to one node
 * (`node-local`): they go to the primary, so that asking twice gives one answer.
 */
import type { CatalogueSnapshot } from "./catalogue.ts";
import type { Classification, ReplicaReason } from "./classification.ts";
import { classifyCommand, classifyUnread, combine, mayRead, primary } from "./commands.ts";
import { fingerprintOf, judge } from "./weigh.ts";
import { readWith } from "./parser.ts";
import type { AsideReader, Parser, ReadOutcome, ReadStatement } from "./parser.ts";
import { leadingKeyword, routingHint, splitStatements } from "./sql-lexer.ts";
import { shapeOf } from "./statement-shape.ts";
import { TextCache } from "./text-cache.ts";

export interface Classifier {
  /** Never throws. A text that was seen lately costs one Map lookup. */
  classify(text: string): Classification;
  /** Forgets every text. */
  clear(): void;
}

export interface ClassifierOptions {
  readonly parser: Parser;
  /** The catalogue as last read, or undefined before it was. A new snapshot empties the cache. */
  readonly catalogue: () => CatalogueSnapshot | undefined;
  /** Longer texts are not looked at, because that would block the event loop. @defaultValue 32768 */
  readonly maxBytes?: number;
  /**
   * Shapes of more tokens are not parsed at once, because that would block the event loop.
   * @defaultValue no limit
   */
  readonly maxTokensAtOnce?: number;
  /** Reads what is too much to be parsed at once; without it such statements stay on the primary. */
  readonly aside?: AsideReader;
  /** How many texts are remembered, and how many shapes. @defaultValue 10000 */
  readonly cacheSize?: number;
  /** How much of both is remembered, in UTF-16 code units. @defaultValue 8388608 */
  readonly cacheLength?: number;
  /** Called each time a statement names what the catalogue does not know: it may be stale. Must be cheap. */
  readonly onMiss?: () => void;
}

export function createClassifier(options: ClassifierOptions): Classifier {
  return new CachingClassifier(options);
}

/** A judgement, and whether it will be the same the next time. */
interface Judged {
  readonly classification: Classification;
  readonly lasting: boolean;
}

class CachingClassifier implements Classifier {
  readonly #options: ClassifierOptions;
  readonly #maxBytes: number;
  readonly #maxTokens: number;
  /** With the hint. */
  readonly #texts: TextCache<Classification>;
  /** Without it. */
  readonly #shapes: TextCache<Classification>;
  /** Shapes that are being read aside. */
  readonly #awaited = new Set<string>();
  #signature: string | undefined;
  #snapshot: CatalogueSnapshot | undefined;

  constructor(options: ClassifierOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 32_768;
    this.#maxTokens = options.maxTokensAtOnce ?? Number.POSITIVE_INFINITY;
    const entries = options.cacheSize ?? 10_000;
    const length = Math.floor((options.cacheLength ?? 8_388_608) / 2);
    this.#texts = new TextCache({ entries, length });
    this.#shapes = new TextCache({ entries, length });
  }

  classify(text: string): Classification {
    const keyword = leadingKeyword(text);
    if (!mayRead(keyword)) return classifyCommand(text, keyword);
    if (text.length > this.#maxBytes) return hinted(text, classifyUnread(text, "too-long"));
    this.#takeSnapshot();
    const known = this.#texts.get(text);
    const classification = known ?? this.#classifyRead(text, keyword);
    if (classification.missed) this.#options.onMiss?.();
    return classification;
  }

  clear(): void {
    this.#texts.clear();
    this.#shapes.clear();
  }

  #takeSnapshot(): void {
    const snapshot = this.#options.catalogue();
    if (snapshot === this.#snapshot) return;
    this.#snapshot = snapshot;
    if (snapshot?.signature === this.#signature) return;
    this.#signature = snapshot?.signature;
    this.clear();
  }

  #classifyRead(text: string, keyword: string): Classification {
    const bytes = Buffer.byteLength(text);
    if (bytes > this.#maxBytes) return hinted(text, classifyUnread(text, "too-long"));
    const { classification, lasting } = this.#judgeText(text, keyword, bytes);
    const routed = hinted(text, classification);
    if (lasting) this.#texts.set(text, routed);
    return routed;
  }

  #judgeText(text: string, keyword: string, bytes: number): Judged {
    // C strings end at NUL, and a lone surrogate is not what the server will receive.
    if (text.includes("\0") || (bytes > text.length && LONE_SURROGATE.test(text))) {
      return { classification: classifyUnread(text, "unparsable", "invalid text"), lasting: true };
    }
    const shape = shapeOf(text);
    switch (shape.kind) {
      case "statement": {
        const { classification, lasting } = this.#judgeShape(shape.text, keyword, shape.tokens);
        return { classification, lasting: lasting && isWorthRemembering(text, shape.text) };
      }
      case "none":
        return this.#judgeShape(text, keyword, mostTokens(text));
      case "several":
        // They go to the primary anyway: all there is to know is what they leave behind.
        if (mostTokens(text) > this.#maxTokens) {
          return { classification: classifyUnread(text, "too-long"), lasting: true };
        }
        return this.#judgeOutcome(text, keyword, readWith(this.#options.parser, text));
    }
  }

  #judgeShape(shape: string, keyword: string, tokens: number): Judged {
    const known = this.#shapes.get(shape);
    if (known !== undefined) return { classification: known, lasting: true };
    if (tokens > this.#maxTokens) return this.#readAside(shape, keyword);
    const judged = this.#judgeOutcome(shape, keyword, readWith(this.#options.parser, shape));
    if (judged.lasting) this.#shapes.set(shape, judged.classification);
    return judged;
  }

  #readAside(shape: string, keyword: string): Judged {
    const awaited = this.#awaited.has(shape) || this.#beginReading(shape, keyword);
    return { classification: classifyUnread(shape, awaited ? "not-read-yet" : "too-long"), lasting: false };
  }

  #beginReading(shape: string, keyword: string): boolean {
    const begun =
      this.#options.aside?.read(shape, (outcome) => {
        this.#awaited.delete(shape);
        this.#takeSnapshot();
        const { classification, lasting } = this.#judgeOutcome(shape, keyword, outcome);
        if (lasting) this.#shapes.set(shape, classification);
      }) ?? false;
    if (begun) this.#awaited.add(shape);
    return begun;
  }

  #judgeOutcome(text: string, keyword: string, outcome: ReadOutcome): Judged {
    switch (outcome.kind) {
      case "read":
        return { classification: this.#judgeAll(text, keyword, outcome.statements), lasting: true };
      case "syntax-error":
      case "overwhelmed":
        return { classification: classifyUnread(text, "unparsable", outcome.kind), lasting: true };
      case "unavailable":
        return { classification: classifyUnread(text, "unparsable", outcome.kind), lasting: false };
    }
  }

  #judgeAll(text: string, keyword: string, statements: readonly ReadStatement[]): Classification {
    const [first] = statements;
    if (first !== undefined && statements.length === 1) return judgeStatement(first, keyword, this.#snapshot);
    const texts = splitStatements(text);
    // Should the two ever disagree about where statements end, nothing is known about what they leave behind.
    if (texts.length !== statements.length) return primary("multi-statement", { pinsSession: true });
    return combine(
      statements.map((statement, i) => {
        const part = texts[i] ?? "";
        const keyword = leadingKeyword(part);
        return mayRead(keyword)
          ? judgeStatement(statement, keyword, this.#snapshot)
          : classifyCommand(part, keyword);
      }),
    );
  }
}

/** One statement that begins as reads do. EXPLAIN counts as what it explains, and runs it only with ANALYZE. */
function judgeStatement(
  { facts, analyzes }: ReadStatement,
  keyword: string,
  catalogue: CatalogueSnapshot | undefined,
): Classification {
  if (keyword === "SHOW") return NODE_LOCAL_SHOW;
  const { verdict, pinsSession, missed } = judge(facts, catalogue);
  const explains = keyword === "EXPLAIN";
  const runs = !explains || analyzes;
  const fingerprint = fingerprintOf(facts);
  if (verdict.rank === 0) return { ...proven(explains ? "explain" : "select"), fingerprint };
  return primary(verdict.reason ?? "unknown-statement", {
    ...(verdict.detail !== undefined && { detail: verdict.detail }),
    pinsSession: pinsSession && runs,
    certainWrite: verdict.rank === 3 && runs,
    mayWrite: verdict.rank >= 2 && runs,
    fingerprint,
    missed,
  });
}

/**
 * Follows a `/* fairlead: primary *\/` or `replica` in the text. The second moves what is not proven either way and
 * what belongs to one node, never what certainly needs the primary.
 */
function hinted(text: string, judged: Classification): Classification {
  const hint = routingHint(text);
  if (hint === undefined) return judged;
  const detail = judged.detail === undefined ? judged.reason : `${judged.reason}: ${judged.detail}`;
  if (hint === "primary") {
    return { ...judged, target: "primary", reason: "hint-primary", certainWrite: true, detail };
  }
  if (judged.certainWrite) return { ...judged, detail: `${judged.detail ?? judged.reason}, hint ignored` };
  return { ...judged, target: "replica", reason: "hint-replica", mayWrite: false, detail };
}

function proven(reason: ReplicaReason): Classification {
  return {
    target: "replica",
    reason,
    pinsSession: false,
    certainWrite: false,
    mayWrite: false,
    missed: false,
    fingerprint: "",
  };
}

/**
 * A long list is likely to have other values the next time. Its shape is remembered, and the text itself would push
 * out many small ones.
 */
function isWorthRemembering(text: string, shape: string): boolean {
  return text.length <= LONG_TEXT || text.length < shape.length * 4;
}

/** What a text that has no shape may come to: few have tokens of two characters on average, blanks included. */
function mostTokens(text: string): number {
  return text.length / 2;
}

const NODE_LOCAL_SHOW: Classification = primary("node-local", {
  certainWrite: false,
  mayWrite: false,
  detail: "SHOW",
});

const LONE_SURROGATE = /\p{Surrogate}/u;
/** In UTF-16 code units. */
const LONG_TEXT = 4_096;
