/** `fairlead explain`: where a statement would go, and why. Without a database it knows PostgreSQL's own objects only. */
import { createInterface } from "node:readline/promises";
import type { RouterConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { createSqlParser } from "../driver/sql-parser.ts";
import { createRouter } from "../router.ts";
import type { Classification } from "../routing/classification.ts";
import { assumedCatalogue } from "../routing/catalogue.ts";
import { createClassifier } from "../routing/classify.ts";
import { silentLogger } from "../runtime/logger.ts";
import type { Logger } from "../runtime/logger.ts";
import { EXIT, UsageError } from "./io.ts";
import type { Io } from "./io.ts";
import { configFromDsn } from "./dsn.ts";

export interface ExplainFlags {
  readonly config?: string;
  readonly envFile?: string;
  readonly dsn?: string;
  readonly json?: boolean;
  readonly stdin?: boolean;
}

/** One line of the answer. */
interface Answer {
  readonly target: "primary" | "replica";
  readonly reason: string;
  readonly detail?: string;
  readonly node?: string;
  readonly decision?: string;
  /** What was taken for granted because no database was asked. */
  readonly assumes?: string;
}

export async function runExplain(flags: ExplainFlags, [sql]: readonly [string?], io: Io): Promise<number> {
  if ((flags.stdin === true) === (sql !== undefined)) {
    throw new UsageError(
      'give one statement, as in fairlead explain "select 1", or --stdin with a JSON string a line',
    );
  }
  await using explainer = await openExplainer(flags, io.signal);
  if (sql !== undefined) {
    const answer = explainer.explain(sql);
    io.stdout(flags.json === true ? JSON.stringify(answer) : inWords(answer));
    return EXIT.held;
  }
  return await answerLines(explainer, io);
}

async function answerLines(explainer: Explainer, io: Io): Promise<number> {
  const { signal } = io;
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY, signal });
  let lineNumber = 0;
  for await (const line of lines) {
    if (signal.aborted || io.stdoutIsGone()) break;
    lineNumber += 1;
    if (line.trim() === "") continue;
    io.stdout(JSON.stringify(explainer.explain(parseLine(line, lineNumber))));
  }
  return signal.aborted ? EXIT.interrupted : EXIT.held;
}

function parseLine(line: string, lineNumber: number): string {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "string") return value;
  } catch {
    // Told below, with the line's number.
  }
  throw new UsageError(`stdin:${lineNumber}: expected one JSON string a line, such as "select 1"`);
}

interface Explainer extends AsyncDisposable {
  explain(text: string): Answer;
}

async function openExplainer(flags: ExplainFlags, signal: AbortSignal): Promise<Explainer> {
  if (flags.config !== undefined && flags.dsn !== undefined) {
    throw new UsageError("give --config or --dsn, not both");
  }
  if (flags.config === undefined && flags.dsn === undefined) return offline();
  const config =
    flags.dsn === undefined
      ? await loadConfig(flags.config as string, { envFile: flags.envFile })
      : configFromDsn(flags.dsn);
  const failures = new Map<string, string>();
  const router = await createRouter(config, { logger: probeFailuresInto(failures) });
  const { primary, replicas } = router.status();
  const nobodyAnswers =
    primary.standing !== "up" && replicas.every((replica) => replica.sampleAgeMs === undefined);
  if (signal.aborted || nobodyAnswers) await router.end();
  signal.throwIfAborted();
  if (nobodyAnswers) {
    throw new UsageError(
      `no database answers (${whoFailed(config, failures)}): ` +
        "check hosts, ports and credentials, or leave --config and --dsn out",
    );
  }
  return {
    explain: (text) => {
      const { target, reason, detail, node, decision } = router.explain(text);
      return {
        target,
        reason,
        ...(detail === undefined ? {} : { detail }),
        ...(node === undefined ? {} : { node }),
        decision,
      };
    },
    [Symbol.asyncDispose]: () => router.end(),
  };
}

/** The router tells only transitions aloud; why nobody answered is in its debug lines. */
function probeFailuresInto(failures: Map<string, string>): Logger {
  return {
    ...silentLogger,
    debug: (message, { node, cause } = {}) => {
      if (message === "probe failed" && cause !== undefined) failures.set(String(node), String(cause));
    },
  };
}

/** Each node with what its server or the system said; neither knows the password. */
function whoFailed({ primary, replicas }: RouterConfig, failures: ReadonlyMap<string, string>): string {
  return [primary, ...replicas]
    .map(({ name, host, port }) => `${name} ${host}:${port}: ${failures.get(name) ?? "no answer in time"}`)
    .join("; ");
}

async function offline(): Promise<Explainer> {
  const parser = await createSqlParser();
  const classifier = createClassifier({ parser, catalogue: () => assumedCatalogue });
  return {
    explain: (text) => answerOffline(classifier.classify(text)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function answerOffline({ target, reason, detail }: Classification): Answer {
  const said = { target, reason, ...(detail === undefined ? {} : { detail }) };
  return target === "replica"
    ? { ...said, assumes: "tables are ordinary tables; --dsn or --config looks" }
    : said;
}

function inWords({ target, reason, detail, node, decision, assumes }: Answer): string {
  const why = detail === undefined ? reason : `${reason}: ${detail}`;
  const where = node === undefined || node === target ? target : `${target} ${node}`;
  const how = decision === undefined ? "" : `; ${decision}`;
  return `${where} (${why}${how})${assumes === undefined ? "" : `\n  assuming that ${assumes}`}`;
}
