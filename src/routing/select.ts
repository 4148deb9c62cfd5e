/**
 * Weighted choice among the eligible, provably fair: for a fixed set and fixed weights the count of each stays
 * within one read of its exact share, at every prefix.
 *
 * @see R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980): of those whose deviation allows
 *   it, take the one whose deadline comes first; the largest deviation is then 1 − 1/(2n − 2), which is optimal.
 */

export interface Candidate {
  readonly name: string;
  /** A positive integer. */
  readonly weight: number;
}

/**
 * A debt that is carried into another set is rarely a whole number of that set's shares. It is kept to this part of one, so
 * that thousands of short epochs do not add up what was rounded away.
 */
export const PARTS = 4096;

/** One epoch: a fixed set with fixed weights, and how far each is from its exact share. */
export interface Selection {
  readonly epoch: number;
  readonly candidates: readonly Candidate[];
  readonly total: number;
  /** Exact share so far minus count so far, times `total` × {@link PARTS}: integers that sum to 0. Positive = owed. */
  readonly owed: readonly number[];
  /** The same for picks that were made among fewer (retries, tokens): counted apart, outside the proof. */
  readonly owedApart: readonly number[];
  /** Debts in reads that outlive an epoch: what was shifted so that `owed` sums to 0, and whom it concerns. */
  readonly carried: CarriedDebts;
  /** Where ties begin, drawn per process so that a fleet does not move in step. */
  readonly phase: number;
}

interface CarriedDebts {
  /** Taken off everybody's debt at the start of the epoch, because those who are away owe or are owed the rest. */
  readonly shift: number;
  /** What those who left were owed then. */
  readonly away: readonly Debt[];
}

interface Debt {
  readonly name: string;
  readonly owed: number;
}

export function emptySelection(phase: number): Selection {
  const carried = { shift: 0, away: [] };
  return { epoch: 0, candidates: [], total: 0, owed: [], owedApart: [], carried, phase };
}

/** Picks the next in order. `selection` must have a candidate. */
export function selectNext(selection: Selection): { readonly index: number; readonly selection: Selection } {
  const index = earliestDeadline(selection);
  const owed = selection.owed.slice();
  for (let i = 0; i < owed.length; i++) {
    owed[i] = (owed[i] as number) + (selection.candidates[i] as Candidate).weight * PARTS;
  }
  owed[index] = (owed[index] as number) - selection.total * PARTS;
  return {
    index,
    selection: {
      epoch: selection.epoch,
      candidates: selection.candidates,
      total: selection.total,
      owed,
      owedApart: selection.owedApart,
      carried: selection.carried,
      phase: selection.phase,
    },
  };
}

function earliestDeadline({ candidates, total, owed, phase }: Selection): number {
  const count = candidates.length;
  if (count === 1) return 0;
  // Times 2n − 2 throughout, so that every comparison is between integers.
  const scale = 2 * count - 2;
  const first = phase % count;
  let best = -1;
  let bestSlack = 0;
  let bestWeight = 1;
  for (let k = 0; k < count; k++) {
    const i = first + k < count ? first + k : first + k - count;
    const weight = (candidates[i] as Candidate).weight;
    const due = ((owed[i] as number) + weight * PARTS) * scale;
    if (due < total * PARTS) continue;
    const slack = total * PARTS * (scale - 1) - due;
    // slack / weight is the time to the deadline; compared crosswise to stay exact.
    if (best === -1 || slack * bestWeight < bestSlack * weight) {
      best = i;
      bestSlack = slack;
      bestWeight = weight;
    }
  }
  // Never reached: the debts sum to 0, so somebody's allows it.
  return best === -1 ? mostOwed(owed, first, () => true) : best;
}

/** Picks among those `allowed`, outside the order that the proof speaks of; `undefined` when none is allowed. */
export function selectApart(
  selection: Selection,
  allowed: (name: string) => boolean,
): { readonly index: number; readonly selection: Selection } | undefined {
  const { candidates } = selection;
  const isAllowed = candidates.map((candidate) => allowed(candidate.name));
  // Epochs may be short: who comes first must not be the same in every epoch and in every process.
  const first = (selection.phase + selection.epoch) % Math.max(1, candidates.length);
  const index = mostOwed(selection.owedApart, first, (i) => isAllowed[i] as boolean);
  if (index === -1) return undefined;
  let total = 0;
  const owedApart = selection.owedApart.map((owed, i) => {
    if (!isAllowed[i]) return owed;
    const { weight } = candidates[i] as Candidate;
    total += weight;
    return owed + weight;
  });
  owedApart[index] = (owedApart[index] as number) - total;
  return { index, selection: { ...selection, owedApart } };
}

function mostOwed(owed: readonly number[], first: number, allowed: (index: number) => boolean): number {
  let best = -1;
  for (let k = 0; k < owed.length; k++) {
    const i = (first + k) % owed.length;
    if (allowed(i) && (best === -1 || (owed[i] as number) > (owed[best] as number))) best = i;
  }
  return best;
}

/**
 * Begins a new epoch. What each candidate is owed is carried over, clamped to one read, also by one that was away in
 * between: a set that changes often is still fair in the long run.
 */
export function nextEpoch(previous: Selection, candidates: readonly Candidate[]): Selection {
  const total = candidates.reduce((sum, candidate) => sum + candidate.weight, 0);
  const debts = debtsAfter(previous);
  const owed = candidates.map(({ name }) => {
    const debt = debts.find((one) => one.name === name)?.owed ?? 0;
    return Math.max(-1, Math.min(1, debt));
  });
  const shift = owed.reduce((sum, debt) => sum + debt, 0) / Math.max(1, owed.length);
  return {
    epoch: previous.epoch + 1,
    candidates,
    total,
    owed: inParts(
      owed.map((debt) => debt - shift),
      total * PARTS,
      previous.epoch,
    ),
    owedApart: candidates.map(() => 0),
    carried: {
      shift,
      away: debts.filter((debt) => !candidates.some(({ name }) => name === debt.name)),
    },
    phase: previous.phase,
  };
}

function debtsAfter({ candidates, owed, total, carried }: Selection): readonly Debt[] {
  const present = candidates.map(({ name }, i) => ({
    name,
    owed: (owed[i] as number) / (total * PARTS) + carried.shift,
  }));
  return [...present, ...carried.away];
}

/** `fractions` that sum to 0, as integers of `parts` that sum to exactly 0; what is left over goes to each in turn. */
function inParts(fractions: readonly number[], parts: number, turn: number): number[] {
  if (fractions.length === 0) return [];
  const scaled = fractions.map((fraction) => Math.round(fraction * parts));
  const excess = scaled.reduce((sum, value) => sum + value, 0);
  const index = turn % scaled.length;
  scaled[index] = (scaled[index] as number) - excess;
  return scaled;
}

/** Whether a set differs from the one that is being chosen among. */
export function sameCandidates(a: readonly Candidate[], b: readonly Candidate[]): boolean {
  return (
    a.length === b.length &&
    a.every((candidate, i) => candidate.name === b[i]?.name && candidate.weight === b[i]?.weight)
  );
}
