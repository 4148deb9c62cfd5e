/**
 * Decides from its text alone whether a statement may be served by a replica: only when everything in it is proven
 * to read. PURE given its inputs; the parser and the catalogue come from outside.
 *
 *     text ─► first word ─► a write, a command: primary, unparsed
 *                   └─► may read ─► cache ─► parser ─► facts ─► judge(catalogue) ─► hint
 *
 * SHOW, settings views, functions that tell about the server and sequences read as relations belong to one node
 * (`node-local`): they go to the primary, so that asking twice gives one answer.
 */
import type { CatalogueSnapshot } from "./catalogue.ts";
import type { Classification, ReplicaReason } from "./classification.ts";
import { classifyCommand, combine, mayRead, primary } from "./commands.ts";
import { fingerprintOf, judge } from "./weigh.ts";
import type { Parser } from "./parser.ts";
import { leadingKeyword, routingHint, splitStatements } from "./sql-lexer.ts";
import { statementFacts } from "./statement-facts.ts";
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
  /** Longer texts are not parsed, because that would block the event loop. @defaultValue 32768 */
  readonly maxBytes?: number;
  /** How many texts are remembered. @defaultValue 10000 */
  readonly cacheSize?: number;
  /** How much text is remembered, in UTF-16 code units. @defaultValue 8388608 */
  readonly cacheLength?: number;
  /** Called each time a statement names what the catalogue does not know: it may be stale. Must be cheap. */
  readonly onMiss?: () => void;
}

export function createClassifier(options: ClassifierOptions): Classifier {
  return new CachingClassifier(options);
}

class CachingClassifier implements Classifier {
  readonly #options: ClassifierOptions;
  readonly #maxBytes: number;
  readonly #cache: TextCache<Classification>;
  #signature: string | undefined;
  #snapshot: CatalogueSnapshot | undefined;

  constructor(options: ClassifierOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 32_768;
    this.#cache = new TextCache({
      entries: options.cacheSize ?? 10_000,
      length: options.cacheLength ?? 8_388_608,
    });
  }

  classify(text: string): Classification {
    const keyword = leadingKeyword(text);
    if (!mayRead(keyword)) return classifyCommand(text, keyword);
    if (text.length > this.#maxBytes) return hinted(text, unread(text, "too-long"));
    this.#takeSnapshot();
    const known = this.#cache.get(text);
    const classification = known ?? this.#classifyRead(text, keyword);
    if (classification.missed) this.#options.onMiss?.();
    return classification;
  }

  clear(): void {
    this.#cache.clear();
  }

  #takeSnapshot(): void {
    const snapshot = this.#options.catalogue();
    if (snapshot === this.#snapshot) return;
    this.#snapshot = snapshot;
    if (snapshot?.signature === this.#signature) return;
    this.#signature = snapshot?.signature;
    this.#cache.clear();
  }

  #classifyRead(text: string, keyword: string): Classification {
    if (exceedsBytes(text, this.#maxBytes)) return hinted(text, unread(text, "too-long"));
    const { classification, lasting } = this.#parse(text, keyword);
    const routed = hinted(text, classification);
    if (lasting) this.#cache.set(text, routed);
    return routed;
  }

  #parse(text: string, keyword: string): { classification: Classification; lasting: boolean } {
    // C strings end at NUL, and a lone surrogate is not what the server will receive.
    if (text.includes("\0") || LONE_SURROGATE.test(text)) {
      return { classification: unread(text, "unparsable", "invalid text"), lasting: true };
    }
    const outcome = this.#options.parser.parse(text);
    switch (outcome.kind) {
      case "parsed":
        return { classification: this.#several(text, keyword, outcome.statements), lasting: true };
      case "syntax-error":
      case "overwhelmed":
        return { classification: unread(text, "unparsable", outcome.kind), lasting: true };
      case "unavailable":
        return { classification: unread(text, "unparsable", outcome.kind), lasting: false };
    }
  }

  #several(text: string, keyword: string, statements: readonly unknown[]): Classification {
    if (statements.length === 1) return judgeStatement(statements[0], keyword, this.#snapshot);
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
  statement: unknown,
  keyword: string,
  catalogue: CatalogueSnapshot | undefined,
): Classification {
  if (keyword === "SHOW") return NODE_LOCAL_SHOW;
  const facts = statementFacts(statement);
  const { verdict, pinsSession, missed } = judge(facts, catalogue);
  const explains = keyword === "EXPLAIN";
  const runs = !explains || isAnalyzed(statement);
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

/** What nobody has read may be anything; whether it stays in the session is told by its words. */
function unread(text: string, reason: "too-long" | "unparsable", detail?: string): Classification {
  return primary(reason, {
    certainWrite: false,
    pinsSession: SESSION_WORDS.test(text),
    ...(detail !== undefined && { detail }),
  });
}

/** ANALYZE in any form counts, `ANALYZE off` too: being wrong that way costs nothing. */
function isAnalyzed(statement: unknown): boolean {
  return JSON.stringify(
    (statement as { ExplainStmt?: { options?: unknown } }).ExplainStmt?.options ?? [],
  ).includes('"analyze"');
}

/** Exact only where the length in UTF-16 leaves a doubt. */
function exceedsBytes(text: string, maxBytes: number): boolean {
  return text.length * 3 > maxBytes && new TextEncoder().encode(text).length > maxBytes;
}

const NODE_LOCAL_SHOW: Classification = primary("node-local", {
  certainWrite: false,
  mayWrite: false,
  detail: "SHOW",
});

const LONE_SURROGATE = /\p{Surrogate}/u;
const SESSION_WORDS = /set_config|advisory_|setseed|\binto\s+temp/i;
