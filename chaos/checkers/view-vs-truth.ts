/**
 * How far what the router believed of each node was from what was true of it, and for how long: believed well while it was
 * out, believed out while it was well. This one reads what the router says of itself. Within the budgets the distance is
 * a figure; beyond them it is a failure.
 */
import { difference, intersection, union } from "../history/intervals.ts";
import type { Interval, IntervalSet } from "../history/intervals.ts";
import type { RouterEvent, Testimony } from "../history/operation.ts";
import { endOf } from "../history/operations.ts";
import { deriveTruth } from "../history/truth.ts";
import type { NodeTruth, Truth } from "../history/truth.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { doubtsOf, ms, verdictOf, Violations } from "./verdict.ts";

export const viewVsTruth: Checker = {
  name: "view-vs-truth",
  guarantee: "What the router believes of a node is wrong for no longer than the budgets allow, either way.",
  claim: "events",

  check(input) {
    const truth = deriveTruth(input);
    const violations = new Violations();
    const figures: Record<string, number> = {};
    const worst = { wellWhileOutMs: 0, outWhileWellMs: 0 };
    let changes = 0;
    const testimony = input.history.filter((entry) => entry.type === "testimony");
    const endAt = Math.min(input.until, endOf(input.history));
    for (const node of [truth.primary, ...truth.replicas.values()]) {
      const beliefs = beliefsOf(node.name, testimony, endAt);
      changes += beliefs.length;
      const { wellWhileOut, outWhileWell } = judge(node, beliefs, { input, truth, violations });
      worst.wellWhileOutMs = Math.max(worst.wellWhileOutMs, wellWhileOut);
      worst.outWhileWellMs = Math.max(worst.outWhileWellMs, outWhileWell);
      if (beliefs.length === 0) continue;
      figures[`${node.name}WellWhileOutMs`] = wellWhileOut;
      figures[`${node.name}OutWhileWellMs`] = outWhileWell;
    }
    return verdictOf({
      checker: viewVsTruth.name,
      violations,
      evidence: changes,
      figures: { beliefs: changes, ...figures },
      held: `${changes} beliefs: a node was taken for well while it was out for ${ms(worst.wellWhileOutMs)} at most, for out while it was well for ${ms(worst.outWhileWellMs)}, all within the budgets`,
      nothing: "the router told nothing of any node",
      doubts: doubtsOf(truth),
    });
  },
};

interface Belief extends Interval {
  readonly well: boolean;
  /** Where it was told, in the history. */
  readonly index: number;
}

interface Judging {
  readonly input: CheckInput;
  readonly truth: Truth;
  readonly violations: Violations;
}

/** An event is told a turn of the event loop after the router came to believe it. */
const TOLD_WITHIN_MS = 5;

/** For how long it was wrong either way in all, budgets included. */
function judge(
  node: NodeTruth,
  beliefs: readonly Belief[],
  { input: { from, until }, truth, violations }: Judging,
): { readonly wellWhileOut: number; readonly outWhileWell: number } {
  const measured = [{ from, to: until }];
  const isOut = union([...node.certainlyUnreachable, ...node.certainlyLagging]);
  // While the primary is dead, one replica may be behind the others, and be left for it.
  const maybeIll = union([...node.possiblyIll, ...truth.primaryKilled]);
  const settledWell = union([...node.unsettled, ...truth.primaryKilled]);
  let wellWhileOut = 0;
  let outWhileWell = 0;
  for (const belief of beliefs) {
    const held = intersection([belief], measured);
    const told = belief.well ? "well" : "out";
    const wrong = belief.well ? intersection(held, node.certainlyOut) : difference(held, settledWell);
    if (belief.well) wellWhileOut += lengthOf(intersection(held, isOut));
    else outWhileWell += lengthOf(difference(held, maybeIll));
    const wrongMs = lengthOf(wrong);
    if (wrongMs <= TOLD_WITHIN_MS) continue;
    violations.add(
      [belief.index],
      () =>
        `${node.name} was believed ${told} for ${ms(wrongMs)} beyond the budget while it was certainly ${belief.well ? "out" : "well"}`,
    );
  }
  return { wellWhileOut, outWhileWell };
}

/** From what was told of it to the next that was told. Whoever drains says what is wanted, not what is believed. */
function beliefsOf(node: string, testimony: readonly Testimony[], endAt: number): readonly Belief[] {
  const told = testimony.filter(({ event }) => "node" in event && event.node === node);
  return told.flatMap(({ at, index, event }, i) => {
    const well = isWell(event);
    const to = told[i + 1]?.at ?? Math.max(at, endAt);
    return well === undefined ? [] : [{ from: at, to, index, well }];
  });
}

const WELL: ReadonlySet<RouterEvent["kind"]> = new Set(["joined", "readmitted", "restored", "primary-up"]);
const OUT: ReadonlySet<RouterEvent["kind"]> = new Set(["evicted", "primary-down"]);

function isWell({ kind }: RouterEvent): boolean | undefined {
  if (WELL.has(kind)) return true;
  return OUT.has(kind) ? false : undefined;
}

function lengthOf(set: IntervalSet): number {
  return set.reduce((sum, { from, to }) => sum + to - from, 0);
}
