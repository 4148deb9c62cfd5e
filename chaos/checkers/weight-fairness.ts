/**
 * Reads are shared by weight, exactly: at every prefix of an epoch each replica's count is within one read of its exact
 * share, within two where the epoch began with something owed. The picks are the router's testimony, held against
 * the policy's weights and against who answered the clients.
 */
import type { History, Testimony } from "../history/operation.ts";
import { forEachOperation } from "../history/operations.ts";
import { MAX_PROOF } from "./checker.ts";
import type { CheckInput, Checker } from "./checker.ts";
import { verdictOf, Violations } from "./verdict.ts";

/** Reads that a subject may make beside the workload (to see whether it is up), on top of one in a hundred. */
const UNRECORDED_READS = 20;

export const weightFairness: Checker = {
  name: "weight-fairness",
  guarantee:
    "At every moment of an epoch each replica has served its exact share by weight, within one read (two after a change of the set).",
  claim: "exact-weights",

  check(input) {
    const violations = new Violations();
    const epochs = epochsOf(input.history);
    judgeWeights(input, violations);
    const deviation = judgePrefixes(epochs, violations);
    const picks = epochs.reduce((sum, epoch) => sum + epoch.picks.length, 0);
    const apart = epochs.reduce((sum, epoch) => sum + epoch.apart, 0);
    const untold = epochs.filter(({ told }) => !told).map(({ epoch }) => epoch);
    const answers = answersOf(input.history);
    judgeZeroWeights(input, answers, violations);
    if (untold.length === 0) judgeAnswers({ epochs, picks, apart }, answers, violations);
    const doubts: string[] = [];
    if (untold.length > 0) doubts.push(`the router did not tell its picks of epoch ${untold.join(", ")}`);
    if (apart > picks)
      doubts.push(`${apart} picks were made outside the proof, more than the ${picks} within`);
    return verdictOf({
      checker: weightFairness.name,
      violations,
      evidence: picks,
      figures: {
        picks,
        apartPicks: apart,
        epochs: epochs.length,
        worstDeviationReads: deviation.fresh,
        worstCarriedDeviationReads: deviation.carried,
        replicaAnswers: answers.byReplicas,
      },
      held: `${picks} picks in ${epochs.length} epochs, never ${deviation.fresh.toFixed(3)} reads or more from the exact share (${deviation.carried.toFixed(3)} after a change of the set); ${apart} apart; ${answers.byReplicas} answers agree`,
      nothing: "the router told no picks",
      doubts,
    });
  },
};

interface Epoch {
  readonly epoch: number;
  readonly weights: ReadonlyMap<string, number>;
  readonly index: number;
  picks: readonly string[];
  picksIndex: number;
  apart: number;
  told: boolean;
}

/** In the order in which they were announced. */
function epochsOf(history: History): readonly Epoch[] {
  const epochs = new Map<number, Epoch>();
  for (const entry of history) {
    if (entry.type !== "testimony") continue;
    const { event } = entry;
    if (event.kind === "epoch") {
      const weights = new Map(Object.entries(event.weights));
      // Nobody to choose among: no picks to tell of.
      const told = weights.size === 0;
      const { index } = entry;
      epochs.set(event.epoch, {
        epoch: event.epoch,
        weights,
        index,
        picks: [],
        picksIndex: index,
        apart: 0,
        told,
      });
    } else if (event.kind === "epoch-picks") {
      const epoch = epochs.get(event.epoch) ?? unannounced(entry, event.epoch);
      epochs.set(event.epoch, epoch);
      epoch.picks = epoch.picks.length === 0 ? event.picks : [...epoch.picks, ...event.picks];
      epoch.apart += event.apart;
      epoch.picksIndex = entry.index;
      epoch.told = true;
    }
  }
  return [...epochs.values()];
}

/** Its weights are unknown, so each of its picks is one outside of its set. */
function unannounced({ index }: Testimony, epoch: number): Epoch {
  return { epoch, weights: new Map(), index, picks: [], picksIndex: index, apart: 0, told: true };
}

/**
 * Every prefix in whole numbers: count × total against picks × weight. An epoch is fresh as long as none before it ended
 * with somebody owed something: debts outlive an epoch, also of one who was away in between.
 */
function judgePrefixes(
  epochs: readonly Epoch[],
  violations: Violations,
): { readonly fresh: number; readonly carried: number } {
  let fresh = 0;
  let carried = 0;
  let carries = false;
  for (const epoch of epochs) {
    const { worst, owes } = judgeEpoch(epoch, carries, violations);
    if (carries) carried = Math.max(carried, worst);
    else fresh = Math.max(fresh, worst);
    carries ||= owes;
  }
  return { fresh, carried };
}

function judgeEpoch(
  { epoch, weights, picks, index, picksIndex }: Epoch,
  carries: boolean,
  violations: Violations,
): { readonly worst: number; readonly owes: boolean } {
  const names = [...weights.keys()];
  const shares = [...weights.values()];
  const total = shares.reduce((sum, weight) => sum + weight, 0);
  const positions = new Map(names.map((name, position) => [name, position]));
  // Count × total − picks × weight, kept up to date from pick to pick.
  const deviations = names.map(() => 0);
  const limit = carries ? 2 * total : total;
  let worst = 0;
  let convicted = false;
  for (const [position, name] of picks.entries()) {
    const picked = positions.get(name);
    if (picked === undefined || shares[picked] === 0) {
      violations.add(
        [index, picksIndex],
        () => `pick ${position + 1} of epoch ${epoch} was ${name}, which has no share in it`,
      );
      break;
    }
    for (let i = 0; i < deviations.length; i++) {
      const deviation = (deviations[i] as number) - (shares[i] as number) + (i === picked ? total : 0);
      deviations[i] = deviation;
      const size = Math.abs(deviation);
      if (size > worst) worst = size;
      if (size < limit || convicted) continue;
      convicted = true;
      violations.add(
        [index, picksIndex],
        () =>
          `after ${position + 1} picks of epoch ${epoch} ${names[i]} was ${(deviation / total).toFixed(3)} reads from its exact share, allowed is less than ${carries ? 2 : 1}`,
      );
    }
  }
  return { worst: total === 0 ? 0 : worst / total, owes: deviations.some((deviation) => deviation !== 0) };
}

/** The announced weights are the policy's; only a replica that is on its way back may have a smaller share. */
function judgeWeights({ history, policy }: CheckInput, violations: Violations): void {
  const configured = new Map(policy.replicas.map(({ name, weight }) => [name, weight]));
  const returning = new Set<string>();
  for (const entry of history) {
    if (entry.type !== "testimony") continue;
    const { event, index } = entry;
    if (event.kind === "readmitted" || event.kind === "undrained") returning.add(event.node);
    else if (event.kind === "restored" || event.kind === "evicted") returning.delete(event.node);
    else if (event.kind === "epoch") {
      const wrong = wrongShare(event.weights, configured, returning);
      if (wrong === undefined) continue;
      violations.add([index], () => `epoch ${event.epoch} gave ${wrong} another share than the policy does`);
    }
  }
}

/** Compared crosswise, because a router may scale all weights alike. */
function wrongShare(
  weights: Readonly<Record<string, number>>,
  configured: ReadonlyMap<string, number>,
  returning: ReadonlySet<string>,
): string | undefined {
  const reference = Object.entries(weights).find(([name]) => !returning.has(name));
  for (const [name, weight] of Object.entries(weights)) {
    const due = configured.get(name) ?? 0;
    if (weight > 0 && due === 0) return name;
    if (reference === undefined) continue;
    const actual = weight * (configured.get(reference[0]) ?? 0);
    const expected = reference[1] * due;
    if (returning.has(name) ? actual > expected : actual !== expected) return name;
  }
  return undefined;
}

interface NodeAnswers {
  count: number;
  /** Indexes of the first of them. */
  readonly first: number[];
}

interface Answers {
  /** Reads and transactions answered by each replica. */
  readonly byNode: ReadonlyMap<string, NodeAnswers>;
  readonly byReplicas: number;
  /** A pick may have been spent on these too: answered by the primary, failed, or never answered. */
  readonly otherwise: number;
}

function answersOf(history: History): Answers {
  const byNode = new Map<string, NodeAnswers>();
  let byReplicas = 0;
  let otherwise = 0;
  forEachOperation(history, (invoke, completion) => {
    if (invoke.f !== "read" && invoke.f !== "transaction") return;
    const served = completion?.type === "ok" ? completion.evidence?.[0] : undefined;
    if (completion === undefined || served?.role !== "replica") {
      otherwise++;
      return;
    }
    byReplicas++;
    const answers = byNode.get(served.node) ?? { count: 0, first: [] };
    byNode.set(served.node, answers);
    answers.count++;
    if (answers.first.length < MAX_PROOF) answers.first.push(completion.index);
  });
  return { byNode, byReplicas, otherwise };
}

function judgeZeroWeights({ policy }: CheckInput, { byNode }: Answers, violations: Violations): void {
  for (const { name, weight } of policy.replicas) {
    const answers = byNode.get(name);
    if (weight > 0 || answers === undefined) continue;
    violations.add(answers.first, () => `${name} has weight 0 and answered ${answers.count} reads`);
  }
}

interface Told {
  readonly epochs: readonly Epoch[];
  readonly picks: number;
  readonly apart: number;
}

/**
 * Each answer needs a pick: those of its node, or one made apart (a retry, a caller's own write). And each pick needs an
 * answer, a failure, or a read that nobody recorded. Neither is a matter of chance, so there is no error rate.
 */
function judgeAnswers({ epochs, picks, apart }: Told, answers: Answers, violations: Violations): void {
  if (picks === 0) return;
  const picked = new Map<string, number>();
  for (const epoch of epochs) {
    for (const name of epoch.picks) picked.set(name, (picked.get(name) ?? 0) + 1);
  }
  const told = epochs.map(({ picksIndex }) => picksIndex);
  for (const [name, { count }] of answers.byNode) {
    const most = (picked.get(name) ?? 0) + apart;
    if (count <= most) continue;
    violations.add(told, () => `${name} answered ${count} reads, but was picked ${most} times at most`);
  }
  const accounted = answers.byReplicas + answers.otherwise + apart;
  if (picks > accounted + Math.ceil(picks / 100) + UNRECORDED_READS) {
    violations.add(told, () => `the router told ${picks} picks, clients account for ${accounted}`);
  }
}
