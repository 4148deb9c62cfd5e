/**
 * The log tells of a fallback once: one warning when it begins, one line when it ends, whatever happens in between, and
 * none otherwise. What the router said is held against itself and against the times in which nobody but the primary
 * could serve.
 */
import type { Testimony } from "../history/operation.ts";
import { deriveTruth } from "../history/truth.ts";
import type { Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

/** The words that the checklist promises to whoever reads the log; written here anew on purpose. */
const WARNING = "no healthy read replicas available, falling back to primary";
const ENDED = "fallback to primary has ended";

export const logOnce: Checker = {
  name: "log-once",
  guarantee: "Each fallback is logged by exactly one WARN line when it begins and one line when it ends.",
  claim: "log-once",

  check(input) {
    const truth = deriveTruth(input);
    const violations = new Violations();
    const told = toldBy(input);
    judgeAlternation(told.transitions, violations);
    judgeLines("WARN", told.warnings, told.starts, { truth, violations });
    judgeLines("end", told.endLines, told.ends, { truth, violations });
    const demanded = judgeDemand(input, truth, told, violations);
    return verdictOf({
      checker: logOnce.name,
      violations,
      evidence: told.transitions.length + demanded,
      figures: {
        fallbacksStarted: told.starts.length,
        fallbacksEnded: told.ends.length,
        warnLines: told.warnings.length,
        endLines: told.endLines.length,
        fallbacksDemanded: demanded,
      },
      held: `${told.starts.length} fallbacks began with one WARN line each and ${told.ends.length} ended with one; ${demanded} were demanded`,
      nothing: "there was no fallback, and none had to be",
      doubts: doubtsOf(truth),
    });
  },
};

interface Told {
  readonly transitions: readonly Testimony[];
  readonly starts: readonly Testimony[];
  readonly ends: readonly Testimony[];
  readonly warnings: readonly Testimony[];
  readonly endLines: readonly Testimony[];
}

function toldBy({ history }: CheckInput): Told {
  const testimony = history.filter((entry) => entry.type === "testimony");
  const of = (matches: (event: Testimony["event"]) => boolean): readonly Testimony[] =>
    testimony.filter(({ event }) => matches(event));
  return {
    transitions: of(({ kind }) => kind === "fallback-started" || kind === "fallback-ended"),
    starts: of(({ kind }) => kind === "fallback-started"),
    ends: of(({ kind }) => kind === "fallback-ended"),
    warnings: of((event) => event.kind === "log" && event.message.includes(WARNING)),
    endLines: of((event) => event.kind === "log" && event.message.includes(ENDED)),
  };
}

function judgeAlternation(transitions: readonly Testimony[], violations: Violations): void {
  let expected: "fallback-started" | "fallback-ended" = "fallback-started";
  for (const { event, index } of transitions) {
    if (event.kind !== expected) violations.add([index], () => `${event.kind} was told twice in a row`);
    expected = event.kind === "fallback-started" ? "fallback-ended" : "fallback-started";
  }
}

/** The nth line belongs to the nth transition, and is written then. */
function judgeLines(
  what: "WARN" | "end",
  lines: readonly Testimony[],
  transitions: readonly Testimony[],
  { truth, violations }: { readonly truth: Truth; readonly violations: Violations },
): void {
  if (lines.length !== transitions.length) {
    violations.add(
      [...transitions, ...lines].map(({ index }) => index),
      () => `${lines.length} ${what} lines for ${transitions.length} fallbacks`,
    );
    return;
  }
  for (const [i, line] of lines.entries()) {
    const transition = transitions[i] as Testimony;
    const offMs = Math.abs(line.at - transition.at);
    if (offMs > truth.slackMs) {
      violations.add(
        [transition.index, line.index],
        () => `the ${what} line came ${ms(offMs)} away from its transition`,
      );
    }
    if (what === "WARN" && line.event.kind === "log" && line.event.level !== "warn") {
      const { level } = line.event;
      violations.add([line.index], () => `the fallback was logged at level ${level}, not warn`);
    }
  }
}

/** How many times the truth demanded a fallback; in each the router must have been in one all along. */
function judgeDemand(input: CheckInput, truth: Truth, told: Told, violations: Violations): number {
  if (input.policy.fallback.to === "error") return 0;
  let demanded = 0;
  for (const { from, to } of truth.noReplica) {
    if (from > input.until || to < input.from) continue;
    demanded++;
    const last = told.transitions.findLast(({ at }) => at <= from);
    if (last?.event.kind === "fallback-started") {
      const early = told.transitions.find(({ at }) => at > from && at < to);
      if (early !== undefined) {
        violations.add(
          [early.index],
          () => "the fallback was told to have ended while no replica could serve",
        );
      }
      continue;
    }
    const faults = truth.faults.filter(({ possibly }) => possibly.from <= from).map(({ index }) => index);
    violations.add(
      faults,
      () => `no replica could serve from ${ms(from)} on, and no WARN told of a fallback`,
    );
  }
  return demanded;
}
