// Units: what is written is read back as the same number, and what is ambiguous is refused.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Problem } from "../../lib/config/problem.ts";
import * as units from "../../lib/config/units.ts";

const kinds = [
  ["rate", units.parseRate, units.formatRate],
  ["delay", units.parseDelay, units.formatDelay],
  ["duration", units.parseDuration, units.formatDuration],
  ["size", units.parseSize, units.formatSize],
] as const;

for (const [kind, parse, format] of kinds) {
  test(`a ${kind} survives being written and read`, () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e14 }), (value) => {
      assert.is(parse(format(value)), value);
      assert.match(format(value), new RegExp(units.PATTERNS[kind]));
    }));
  });

  test(`any text is a ${kind} or a problem, never an exception`, () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      const parsed = parse(text);
      assert.ok(parsed instanceof Problem || Number.isSafeInteger(parsed));
    }));
  });

  test(`what parses as a ${kind} is written shortest and means the same`, () => {
    const letters = fc.string({
      unit: fc.constantFrom(..."0123456789.kmgbitusKMGTiBhs%".split("")),
      maxLength: 12,
    });
    fc.assert(fc.property(letters, (text) => {
      const parsed = parse(text);
      if (!(parsed instanceof Problem)) assert.is(parse(format(parsed)), parsed);
    }));
  });
}

test("a share survives being written and read", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 100_000_000 }), (millionths) => {
    const percent = millionths / 1e6;
    assert.is(units.parsePercent(units.formatPercent(percent)), percent);
    assert.match(units.formatPercent(percent), new RegExp(units.PATTERNS.percent));
  }));
});

test("a queue survives being written and read, in packets and in bytes", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e12 }), (value) => {
    for (const queue of [{ packets: value }, { bytes: value }]) {
      assert.equal(units.parseQueue(units.formatQueue(queue)), queue);
    }
  }));
  assert.equal(units.parseQueue("1packet"), { packets: 1 });
  const told = (text: string) => (units.parseQueue(text) as Problem).next;
  assert.is(told("100"), 'Write such as "100packets"');
  assert.is(told("64kb"), 'Write "64KiB"');
});

const table: readonly [(text: string) => number | Problem, string, number | string][] = [
  [units.parseRate, "10mbit", 10_000_000],
  [units.parseRate, "64kbit", 64_000],
  [units.parseRate, "1gbit", 1_000_000_000],
  [units.parseRate, "0.1gbit", 100_000_000],
  [units.parseRate, "1.5 Mbit", 1_500_000],
  [units.parseRate, "10", "A rate needs its unit"],
  [units.parseRate, "10Mbps", '"Mbps" is ambiguous: bits or bytes'],
  [units.parseRate, "0.5bit", "Is finer than a rate can be: the smallest step is 1bit"],
  [units.parseRate, "-1mbit", "Is not a rate"],
  [units.parseRate, "999999999999999gbit", "Is too large for a rate"],
  [units.parseDelay, "500us", 500],
  [units.parseDelay, "20ms", 20_000],
  [units.parseDelay, "1s", 1_000_000],
  [units.parseDelay, "20MS", '"MS" is not a unit of a delay'],
  [units.parseDuration, "60s", 60_000],
  [units.parseDuration, "1.5h", 5_400_000],
  [units.parseSize, "4GiB", 4 * 2 ** 30],
  [units.parseSize, "512MiB", 512 * 2 ** 20],
  [units.parseSize, "4GB", "Is ambiguous: powers of 1000 or of 1024"],
  [units.parsePercent, "1%", 1],
  [units.parsePercent, "0.1%", 0.1],
  [units.parsePercent, "100%", 100],
  [units.parsePercent, "100.1%", "Is over 100 %"],
  [units.parsePercent, "1", "A share needs its unit"],
];

for (const [parse, text, wanted] of table) {
  test(`${parse.name}("${text}") is ${wanted}`, () => {
    const parsed = parse(text);
    assert.is(parsed instanceof Problem ? parsed.message : parsed, wanted);
  });
}

test.run();
