// The statistics of `berth verify`: against brute force, and against links that are honest or are not.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  accepted,
  binomial,
  burstInflation,
  burstMean,
  correlated,
  logGamma,
  median,
} from "../../lib/vnode/verify/statistics.ts";

const near = (found: number, wanted: number, slack: number) =>
  assert.ok(Math.abs(found - wanted) <= slack, `found ${found}, wanted ${wanted} ± ${slack}`);

/** Pseudo-random numbers from 0 to 1, the same ones for a seed. */
function dice(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

test("median() takes the middle value, or the mean of the middle two", () => {
  assert.is(median([]), null);
  assert.is(median([9, 1, 5]), 5);
  assert.is(median([4, 1, 2, 9]), 3);
});

test("logGamma() is the factorial's logarithm", () => {
  let factorial = 1;
  for (let n = 1; n < 100; n++) {
    factorial *= n;
    near(logGamma(n + 1), Math.log(factorial), 1e-9);
  }
  near(logGamma(0.5), Math.log(Math.sqrt(Math.PI)), 1e-12);
});

/** Probabilities by building them up throw by throw. */
function bruteForce(n: number, p: number): number[] {
  let chances = [1];
  for (let thrown = 0; thrown < n; thrown++) {
    chances = Array.from(
      { length: thrown + 2 },
      (_, k) => (chances[k] ?? 0) * (1 - p) + (chances[k - 1] ?? 0) * p,
    );
  }
  return chances;
}

/** The chance of k, or anything no likelier: the exact two-sided binomial test, as R's binom.test has it. */
function binomialTest(k: number, chances: readonly number[]): number {
  const own = chances[k]! * (1 + 1e-7);
  return chances.filter((chance) => chance <= own).reduce((a, b) => a + b, 0);
}

test("binomial() is what throwing coins comes to", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, p) => {
      const brute = bruteForce(n, p);
      binomial(n, p).forEach((chance, k) => near(chance, brute[k]!, 1e-9));
    }),
    { numRuns: 60 },
  );
});

test("accepted() is where the binomial test does not reject", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 80 }),
      fc.integer({ min: 0, max: 100 }),
      fc.constantFrom(0.05, 0.01, 0.001),
      (n, percent, alpha) => {
        const [low, high] = accepted(n, percent / 100, alpha);
        const chances = binomial(n, percent / 100);
        for (let k = 0; k <= n; k++) {
          const inside = k >= low && k <= high;
          assert.is(binomialTest(k, chances) > alpha, inside, `${k} of ${n} at ${percent} %`);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a share without chance accepts nothing, a sure one all", () => {
  assert.equal(accepted(500, 0, 0.01), [0, 0]);
  assert.equal(accepted(500, 1, 0.01), [500, 500]);
});

test("of 2,000 honest links in one run none or next to none is blamed, and twice the loss is found", () => {
  const throws = dice(20261122);
  const lost = (n: number, p: number) => {
    let count = 0;
    for (let at = 0; at < n; at++) if (throws() < p) count++;
    return count;
  };
  // Each has its share of the run's level, and is measured once more before it is blamed: here only once.
  const [low, high] = accepted(3000, 0.01, 0.01 / 2000);
  let alarms = 0;
  for (let link = 0; link < 2000; link++) {
    const count = lost(3000, 0.01);
    if (count < low || count > high) alarms++;
  }
  assert.ok(alarms <= 3, `${alarms} false alarms`);
  const [least, most] = accepted(3000, 0.01, 0.01 / 4);
  let found = 0;
  for (let link = 0; link < 200; link++) {
    const count = lost(3000, 0.02);
    if (count < least || count > most) found++;
  }
  assert.ok(found >= 190, `${found} of 200 found`);
});

test("burstMean() and burstInflation() are what Gilbert and Elliott's model does", () => {
  const model = { toBad: 0.02, toGood: 0.2, inBad: 0.9, inGood: 0.01 };
  const throws = dice(4);
  const [packets, runs] = [4000, 400];
  const counts: number[] = [];
  let bad = false;
  for (let run = 0; run < runs; run++) {
    let count = 0;
    for (let at = 0; at < packets; at++) {
      if (throws() < (bad ? model.toGood : model.toBad)) bad = !bad;
      if (throws() < (bad ? model.inBad : model.inGood)) count++;
    }
    counts.push(count);
  }
  const mean = counts.reduce((a, b) => a + b, 0) / runs;
  const variance = counts.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (runs - 1);
  const share = burstMean(model);
  near(mean / packets, share, 0.004);
  const inflation = variance / (packets * share * (1 - share));
  assert.ok(
    Math.abs(inflation / burstInflation(model) - 1) < 0.25,
    `found ${inflation}, told ${burstInflation(model)}`,
  );
  assert.is(burstInflation({ toBad: 0.5, toGood: 0.5, inBad: 1, inGood: 0 }), 1);
});

test("correlated() knows that netem's correlation makes small shares smaller", () => {
  assert.equal(correlated(0.01, 0), { share: 0.01, inflation: 1 });
  const told = correlated(0.01, 0.25);
  assert.ok(told.share < 0.001, JSON.stringify(told));
  near(correlated(0.5, 0.25).share, 0.5, 0.01);
  assert.ok(correlated(0.5, 0.25).inflation > 1.2);
});

test.run();
