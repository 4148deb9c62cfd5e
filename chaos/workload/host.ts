/** Where a subject lives while it is under load, as the runner sees it; and the host that needs no thread. */
import { systemClock } from "../../src/runtime/clock.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { HistorySource } from "../history/recorder.ts";
import type { HistoryBatch } from "../history/recorder.ts";
import type { Subject } from "../subject.ts";
import { Stage } from "./stage.ts";
import type { HandleCounts, StageSetting, SubjectFacts } from "./stage.ts";

/** The subject itself failed the run: it threw on connect, hung, or ended its thread. Such a run cannot be judged. */
export class SubjectFailed extends Error {
  override readonly name = "SubjectFailed";
}

/** The calls come in this order. Each rejects with a {@link SubjectFailed}, within a deadline of its own. */
export interface SubjectHost extends AsyncDisposable {
  /** Aborts, with a {@link SubjectFailed} as its reason, when the subject's thread ends unasked. */
  readonly lost: AbortSignal;
  load(): Promise<SubjectFacts>;
  connect(): Promise<void>;
  begin(): Promise<void>;
  quiet(on: boolean): Promise<void>;
  stop(): Promise<void>;
  /** What is still open in the subject's thread after it closed; `undefined` where that cannot be told. */
  close(): Promise<HandleCounts | undefined>;
}

export interface HostOptions {
  readonly setting: StageSetting;
  readonly subject: SubjectSource;
  /** Takes what is recorded here, batch by batch. */
  readonly receive: (batch: HistoryBatch) => void;
  /** Takes what the subject prints, line by line, where it has a thread of its own. Default: it is printed as it comes. */
  readonly onOutput?: ((line: string) => void) | undefined;
}

export type OpenHost = (options: HostOptions) => SubjectHost;

/** Names a subject in a way that crosses to a thread. */
export type SubjectSource =
  | { readonly kind: "builtin"; readonly name: string }
  /** A module that exports `subject`, a Subject. Relative paths start in the working directory. */
  | { readonly kind: "module"; readonly path: string };

/** In the caller's own thread, on the caller's clock: for virtual worlds, and for a subject that is at hand. */
export function inlineHost(subject: Subject, clock: Clock = systemClock): OpenHost {
  return ({ setting, receive }) => {
    const source = new HistorySource();
    const stage = new Stage({
      setting,
      clock,
      record: (draft) => {
        const number = source.append(draft);
        receive(source.drain());
        return number;
      },
      loadSubject: () => Promise.resolve(subject),
      ownThread: false,
    });
    const step = <T>(what: string, task: () => Promise<T>): Promise<T> =>
      task().catch((error: unknown) => {
        throw subjectFailed(what, error);
      });
    let closed = false;
    return {
      lost: new AbortController().signal,
      load: () => step("load", () => stage.load()),
      connect: () => step("connect", () => stage.connect()),
      begin: async () => stage.begin(),
      quiet: (on) => step("be quiet", () => stage.quiet(on)),
      stop: () => step("stop", () => stage.stop()),
      close: () => {
        closed = true;
        return step("close", () => stage.close());
      },
      [Symbol.asyncDispose]: async () => {
        if (closed) return;
        await stage.stop();
        await stage.close().catch(() => undefined);
      },
    };
  };
}

export function subjectFailed(what: string, error: unknown): SubjectFailed {
  const message = error instanceof Error ? error.message : String(error);
  return new SubjectFailed(`the subject did not ${what}: ${message}`, { cause: error });
}
