// The statistics behind verdicts: medians, exact binomial tests, and what netem's models come to in the mean.
// Pure; knows nothing of links.

/** The middle value, or the mean of the middle two; null of none. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[at]! : (sorted[at - 1]! + sorted[at]!) / 2;
}

/** Coefficients of Lanczos' approximation for g = 7, 9 terms (good to 1e-13). */
const LANCZOS = [
  0.99999999999980993,
  676.5203681218851,
  -1259.1392167224028,
  771.32342877765313,
  -176.61502916214059,
  12.507343278686905,
  -0.13857109526572012,
  9.9843695780195716e-6,
  1.5056327351493116e-7,
];

/** The natural logarithm of the gamma function, for x > 0. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  const t = z + 7.5;
  const sum = LANCZOS.slice(1).reduce((all, term, index) => all + term / (z + index + 1), LANCZOS[0]!);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Probabilities of 0 to n successes of n, each with chance p. */
export function binomial(n: number, p: number): readonly number[] {
  if (p <= 0) return Array.from({ length: n + 1 }, (_, k) => k === 0 ? 1 : 0);
  if (p >= 1) return Array.from({ length: n + 1 }, (_, k) => k === n ? 1 : 0);
  const [all, yes, no] = [logGamma(n + 1), Math.log(p), Math.log1p(-p)];
  return Array.from(
    { length: n + 1 },
    (_, k) => Math.exp(all - logGamma(k + 1) - logGamma(n - k + 1) + k * yes + (n - k) * no),
  );
}

/** Slack for equal probabilities that floating point makes unequal (as R's binom.test has it). */
const EQUAL = 1 + 1e-7;

/** The least and the most successes of n that the exact two-sided binomial test does not reject at level `alpha`. */
export function accepted(n: number, p: number, alpha: number): readonly [number, number] {
  const chances = binomial(n, p).map((chance, k) => ({ chance, k })).sort((a, b) => a.chance - b.chance);
  let sum = 0;
  let at = 0;
  while (at < chances.length - 1) {
    // All equally likely ones together, as the test does.
    let next = at;
    let added = 0;
    while (next < chances.length && chances[next]!.chance <= chances[at]!.chance * EQUAL) {
      added += chances[next++]!.chance;
    }
    if (sum + added > alpha || next >= chances.length) break;
    sum += added;
    at = next;
  }
  let [low, high] = [n, 0];
  for (const { k } of chances.slice(at)) [low, high] = [Math.min(low, k), Math.max(high, k)];
  return [low, high];
}

/** Gilbert and Elliott's model, in shares of 1. */
export interface BurstModel {
  readonly toBad: number;
  readonly toGood: number;
  readonly inBad: number;
  readonly inGood: number;
}

/** What the model loses in the mean. */
export function burstMean({ toBad, toGood, inBad, inGood }: BurstModel): number {
  const bad = toBad + toGood === 0 ? 0 : toBad / (toBad + toGood);
  return bad * inBad + (1 - bad) * inGood;
}

/**
 * By how much the variance of the model's count exceeds that of independent losses with the same mean: the states'
 * correlation from packet to packet is 1 - toBad - toGood, and that of losses is less by what is not the states'.
 */
export function burstInflation(model: BurstModel): number {
  const { toBad, toGood, inBad, inGood } = model;
  const mean = burstMean(model);
  const [turns, variance] = [toBad + toGood, mean * (1 - mean)];
  if (turns <= 0 || variance <= 0) return 1;
  const bad = toBad / turns;
  const between = bad * (1 - bad) * (inBad - inGood) ** 2;
  // Σ of the covariances of one packet with all later ones, twice: a geometric series.
  return Math.max(1, 1 + 2 * (between / variance) * (1 - turns) / turns);
}

/** Draws that `correlated` makes. */
const DRAWS = 400_000;
const WORD = 2 ** 32;

/**
 * What netem's "correlation" makes of a share, and by how much it inflates the variance. The kernel (get_crandom in
 * net/sched/sch_netem.c) mixes each draw with the one before, so draws crowd around the middle, and a small share
 * becomes far smaller than was asked for. Simulated, always with the same numbers.
 */
export function correlated(share: number, correlation: number): { share: number; inflation: number } {
  if (correlation <= 0) return { share, inflation: 1 };
  const rho = Math.min(1, correlation);
  let [seed, last, hits, pairs, before] = [0x9e3779b9, 0.5, 0, 0, false];
  for (let at = 0; at < DRAWS; at++) {
    // Marsaglia's xorshift32.
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    last = ((seed >>> 0) / WORD) * (1 - rho) + last * rho;
    const hit = last < share;
    if (hit) hits++;
    if (hit && before) pairs++;
    before = hit;
  }
  const mean = hits / DRAWS;
  const variance = mean * (1 - mean);
  if (variance === 0) return { share: mean, inflation: 1 };
  const r = Math.min(0.99, Math.max(0, (pairs / DRAWS - mean * mean) / variance));
  return { share: mean, inflation: (1 + r) / (1 - r) };
}
