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

/** One epoch: a fixed set with fixed weights, and how far each is from its exact share. */
export interface Selection {
  readonly epoch: number;
  readonly candidates: readonly Candidate[];
  readonly total: number;
  /** Exact share so far minus count so far, times `total`: integers that sum to 0. Positive = owed. */
  readonly owed: readonly number[];
  /** The same for picks that were made among fewer (retries, tokens): counted apart, outside the proof. */
  readonly owedApart: readonly number[];
  /** Where ties begin, drawn per process so that a fleet does not move in step. */
  readonly phase: number;
}

export function emptySelection(phase: number): Selection {
  return { epoch: 0, candidates: [], total: 0, owed: [], owedApart: [], phase };
}

/** Picks the next in order. `selection` must have a candidate. */
export function selectNext(selection: Selection): { readonly index: number; readonly selection: Selection } {
  const index = earliestDeadline(selection);
  const owed = selection.owed.slice();
  for (let i = 0; i < owed.length; i++) {
    owed[i] = (owed[i] as number) + (selection.candidates[i] as Candidate).weight;
  }
  owed[index] = (owed[index] as number) - selection.total;
  return {
    index,
    selection: {
      epoch: selection.epoch,
      candidates: selection.candidates,
      total: selection.total,
      owed,
      owedApart: selection.owedApart,
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
    const due = ((owed[i] as number) + weight) * scale;
    if (due < total) continue;
    const slack = total * (scale - 1) - due;
    // slack / weight is the time to the deadline; compared crosswise to stay exact.
    if (best === -1 || slack * bestWeight < bestSlack * weight) {
      best = i;
      bestSlack = slack;
      bestWeight = weight;
    }
  }
  return best === -1 ? mostOwed(owed, () => true) : best;
}

/** Picks among those `allowed`, outside the order that the proof speaks of; `undefined` when none is allowed. */
export function selectApart(
  selection: Selection,
  allowed: (name: string) => boolean,
): { readonly index: number; readonly selection: Selection } | undefined {
  const { candidates } = selection;
  const isAllowed = candidates.map((candidate) => allowed(candidate.name));
  const index = mostOwed(selection.owedApart, (i) => isAllowed[i] as boolean);
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

function mostOwed(owed: readonly number[], allowed: (index: number) => boolean): number {
  let best = -1;
  for (let i = 0; i < owed.length; i++) {
    if (allowed(i) && (best === -1 || (owed[i] as number) > (owed[best] as number))) best = i;
  }
  return best;
}

/**
 * Begins a new epoch. What each remaining candidate is owed is carried over, clamped to one read, so that a set
 * which changes often is still fair in the long run.
 */
export function nextEpoch(previous: Selection, candidates: readonly Candidate[]): Selection {
  const total = candidates.reduce((sum, candidate) => sum + candidate.weight, 0);
  const carried = candidates.map(({ name }) => {
    const index = previous.candidates.findIndex((candidate) => candidate.name === name);
    if (index === -1) return 0;
    return Math.max(-1, Math.min(1, (previous.owed[index] as number) / previous.total));
  });
  return {
    epoch: previous.epoch + 1,
    candidates,
    total,
    owed: balanced(carried, total),
    owedApart: candidates.map(() => 0),
    phase: previous.phase,
  };
}

/** `fractions` shifted to a sum of 0 and scaled to integers of `total` parts that sum to exactly 0. */
function balanced(fractions: readonly number[], total: number): number[] {
  if (fractions.length === 0) return [];
  const mean = fractions.reduce((sum, fraction) => sum + fraction, 0) / fractions.length;
  const scaled = fractions.map((fraction) => Math.round((fraction - mean) * total));
  const excess = scaled.reduce((sum, value) => sum + value, 0);
  scaled[0] = (scaled[0] as number) - excess;
  return scaled;
}

/** Whether a set differs from the one that is being chosen among. */
export function sameCandidates(a: readonly Candidate[], b: readonly Candidate[]): boolean {
  return (
    a.length === b.length &&
    a.every((candidate, i) => candidate.name === b[i]?.name && candidate.weight === b[i]?.weight)
  );
}
