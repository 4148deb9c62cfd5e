/**
 * Tests of shares that may be looked at after every read: each is a wealth that a fair router multiplies by one on average,
 * so that it ever reaches 1/α with probability α at most, however often it is looked at (Ville's inequality). Pure.
 *
 * @see M. Lindon and A. Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022
 * @see A. Ramdas et al., "Game-Theoretic Statistics and Safe Anytime-Valid Inference", https://arxiv.org/abs/2210.01948
 */

/** How firmly the expected shares are believed beforehand: as if so many picks of each had been seen. */
const PRIOR_PER_NODE = 10;

/**
 * Counts against fixed shares: the Dirichlet-multinomial wealth B(a + counts) / B(a) / Π p^count, kept up to date pick by
 * pick. Alternatives near the expected shares are believed most.
 */
export class ShareTest {
  readonly counts: number[];
  /** The logarithm of the wealth, and the most that it ever was. */
  logWealth = 0;
  mostLogWealth = 0;
  total = 0;
  readonly #shares: readonly number[];
  readonly #priors: readonly number[];
  readonly #priorTotal: number;

  /** `shares` are positive and sum to 1. */
  constructor(shares: readonly number[]) {
    this.#shares = shares;
    this.counts = shares.map(() => 0);
    this.#priors = priorsOf(shares);
    this.#priorTotal = PRIOR_PER_NODE * shares.length;
  }

  note(node: number): void {
    const count = this.counts[node] as number;
    const predicted = ((this.#priors[node] as number) + count) / (this.#priorTotal + this.total);
    this.logWealth += Math.log(predicted / (this.#shares[node] as number));
    if (this.logWealth > this.mostLogWealth) this.mostLogWealth = this.logWealth;
    this.counts[node] = count + 1;
    this.total++;
  }
}

/** What {@link ShareTest} comes to for these counts, in whatever order they came; they need not be whole. */
export function logWealthOf(counts: readonly number[], shares: readonly number[]): number {
  const priors = priorsOf(shares);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const priorTotal = PRIOR_PER_NODE * shares.length;
  let log = logGamma(priorTotal) - logGamma(priorTotal + total);
  for (const [node, count] of counts.entries()) {
    const prior = priors[node] as number;
    log += logGamma(prior + count) - logGamma(prior) - count * Math.log(shares[node] as number);
  }
  return log;
}

function priorsOf(shares: readonly number[]): readonly number[] {
  return shares.map((share) => PRIOR_PER_NODE * shares.length * share);
}

/** The 99th percentile of the standard normal distribution: for a power of 99 %. */
const Z_99 = 2.326_347_874_040_841;
/** The 99.5th: for an interval of 99 % on both sides. */
const Z_99_5 = 2.575_829_303_548_901;

/**
 * The least factor on any one share that so many picks would have shown with a probability of about 99 % (normal
 * approximation); Infinity when not even a node that takes everything would have been seen.
 */
export function detectableFactor(shares: readonly number[], picks: number, logThreshold: number): number {
  return Math.max(...shares.map((_, node) => detectableFactorOf(node, shares, picks, logThreshold)));
}

function detectableFactorOf(
  node: number,
  shares: readonly number[],
  picks: number,
  logThreshold: number,
): number {
  const share = shares[node] as number;
  const isSeen = (factor: number): boolean => {
    const actual = Math.min(1, factor * share);
    const unlucky = picks * actual - Z_99 * Math.sqrt(picks * actual * (1 - actual));
    // Less than its share is not what this factor would show.
    if (unlucky <= picks * share) return false;
    const others = (picks - unlucky) / (1 - share);
    const counts = shares.map((other, i) => (i === node ? unlucky : others * other));
    return logWealthOf(counts, shares) >= logThreshold;
  };
  let low = 1;
  let high = 1 / share;
  if (share >= 1 || !isSeen(high)) return Infinity;
  while (high - low > 0.001) {
    const middle = (low + high) / 2;
    if (isSeen(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * The 99 % interval of a share from its count.
 * @see E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927)
 */
export function shareInterval(count: number, total: number): { readonly low: number; readonly high: number } {
  const z2 = Z_99_5 ** 2;
  const share = count / total;
  const centre = share + z2 / (2 * total);
  const spread = Z_99_5 * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total ** 2));
  const scale = 1 + z2 / total;
  return { low: Math.max(0, (centre - spread) / scale), high: Math.min(1, (centre + spread) / scale) };
}

/**
 * The logarithm of the gamma function for x > 0, to about 1e-10.
 * @see Abramowitz and Stegun 6.1.41 (Stirling's series), 6.1.15 (the recurrence, for small x)
 */
export function logGamma(x: number): number {
  let shifted = x;
  let log = 0;
  for (; shifted < 10; shifted++) log -= Math.log(shifted);
  const inverse = 1 / shifted;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return log + (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series;
}

/**
 * Whether one node gets another share than `share` (which may differ from read to read): the wealth of betting on
 * `alternative` instead. A bet that may begin at any read is the mixture over all beginnings.
 */
export class DriftTest {
  /** The most that it ever was. */
  mostWealth = 0;
  reads = 0;
  #wealth: number;
  readonly #anyBegin: boolean;

  constructor({ anyBegin }: { readonly anyBegin: boolean }) {
    this.#anyBegin = anyBegin;
    this.#wealth = anyBegin ? 0 : 1;
  }

  note({ isHit, share, alternative }: Bet): void {
    this.reads++;
    // The nth beginning is believed 1/n(n+1): all of them together, one.
    if (this.#anyBegin) this.#wealth += 1 / (this.reads * (this.reads + 1));
    this.#wealth *= isHit ? alternative / share : (1 - alternative) / (1 - share);
    if (this.#wealth > this.mostWealth) this.mostWealth = this.#wealth;
  }
}

interface Bet {
  /** Did the node get this read? */
  readonly isHit: boolean;
  /** Its share, more than 0 and less than 1. */
  readonly share: number;
  readonly alternative: number;
}
