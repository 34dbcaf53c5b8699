// Units as people write them, read into bare numbers and written back: rates, delays, durations, sizes, shares.
// Owns no limits of meaning (a rate too low for a link is told by the schemas); pure.
import { Problem } from "./problem.ts";

export { formatPercent } from "./percent.ts";

type Units = Readonly<Record<string, number>>;

const RATE: Units = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const DELAY: Units = { us: 1, ms: 1e3, s: 1e6 };
const DURATION: Units = { ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
const SIZE: Units = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** What each kind of value looks like, for messages and the JSON Schema. */
export const FORMS = {
  rate: 'a number with bit, kbit, mbit or gbit, such as "10mbit"',
  delay: 'a number with us, ms or s, such as "20ms"',
  duration: 'a number with ms, s, m or h, such as "60s"',
  size: 'a number with KiB, MiB, GiB or TiB, such as "512MiB"',
  percent: 'a number from 0 to 100 with %, such as "0.1%"',
  queue: 'a number of packets, such as "100packets", or a size, such as "64KiB"',
} as const;

/** Patterns of the JSON Schema, in the same order of kinds. */
export const PATTERNS = {
  rate: "^[0-9]+(\\.[0-9]+)?([kKmMgG]?[bB][iI][tT])$",
  delay: "^[0-9]+(\\.[0-9]+)?(us|ms|s)$",
  duration: "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$",
  size: "^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|TiB)$",
  percent: "^[0-9]+(\\.[0-9]{1,6})?%$",
  queue: "^[0-9]+(\\.[0-9]+)?(packets|B|KiB|MiB|GiB)$",
} as const;

const NUMBER = /^([0-9]{1,15}(?:\.[0-9]{1,12})?)[ ]?([A-Za-z%]*)$/;

/** Slack for what floating point makes of "0.1gbit". */
const SLACK = 1e-6;

function scaled(text: string, what: string, form: string, units: Units, fold: boolean): number | Problem {
  const found = NUMBER.exec(text);
  if (found === null) return new Problem(`Is not a ${what}`, form);
  const unit = fold ? found[2]!.toLowerCase() : found[2]!;
  if (unit === "") {
    const usual = /"[0-9]+(\w+)"$/.exec(form)![1];
    return new Problem(`A ${what} needs its unit`, form, `Write such as "${text}${usual}"`);
  }
  if (!Object.hasOwn(units, unit)) {
    const meant = Object.keys(units).find((known) => known.toLowerCase() === unit.toLowerCase());
    return new Problem(
      `"${found[2]}" is not a unit of a ${what}`,
      form,
      meant === undefined ? undefined : `Write "${found[1]}${meant}"`,
    );
  }
  const value = Number(found[1]) * units[unit]!;
  if (!Number.isSafeInteger(Math.round(value))) return new Problem(`Is too large for a ${what}`, form);
  if (Math.abs(value - Math.round(value)) > SLACK) {
    const smallest = Object.keys(units)[0]!;
    return new Problem(`Is finer than a ${what} can be: the smallest step is 1${smallest}`, form);
  }
  return Math.round(value);
}

function written(value: number, units: Units): string {
  let best = Object.keys(units)[0]!;
  for (const [unit, factor] of Object.entries(units)) if (value % factor === 0 && value !== 0) best = unit;
  return `${value / units[best]!}${best}`;
}

/** A rate in bit/s. Upper and lower case are the same: "10Mbit" is "10mbit". */
export function parseRate(text: string): number | Problem {
  const bytes = /^([0-9.]+)\s?([kmg]?)(bps|b\/s|bit\/s|b|(?<=[kmg]))$/i.exec(text);
  if (bytes !== null) {
    const next = `Write "${bytes[1]}${bytes[2]!.toLowerCase()}bit"`;
    return new Problem(`"${bytes[2]}${bytes[3]}" is ambiguous: bits or bytes`, FORMS.rate, next);
  }
  return scaled(text, "rate", FORMS.rate, RATE, true);
}

/** "10mbit": the largest unit that divides it. Takes bit/s. */
export function formatRate(bps: number): string {
  return written(bps, RATE);
}

/** A delay in microseconds. */
export function parseDelay(text: string): number | Problem {
  return scaled(text, "delay", FORMS.delay, DELAY, false);
}

/** "20ms". Takes microseconds. */
export function formatDelay(us: number): string {
  return written(us, DELAY);
}

/** A duration in milliseconds. */
export function parseDuration(text: string): number | Problem {
  return scaled(text, "duration", FORMS.duration, DURATION, false);
}

/** "1m". Takes milliseconds. */
export function formatDuration(ms: number): string {
  return written(ms, DURATION);
}

/** A size in bytes. Binary units only: "GB" is refused, because it means two things. */
export function parseSize(text: string): number | Problem {
  const decimal = /^([0-9.]+)\s?([kmgt])b?$/i.exec(text);
  if (decimal !== null) {
    const next = `Write "${decimal[1]}${decimal[2]!.toUpperCase()}iB"`;
    return new Problem("Is ambiguous: powers of 1000 or of 1024", FORMS.size, next);
  }
  return scaled(text, "size", FORMS.size, SIZE, false);
}

/** "4GiB". Takes bytes. */
export function formatSize(bytes: number): string {
  return written(bytes, SIZE);
}

/** A share in percent, 0 to 100, at most six decimals (netem keeps 2^-32). */
export function parsePercent(text: string): number | Problem {
  const found = /^([0-9]{1,3}(?:\.[0-9]{1,6})?)[ ]?%$/.exec(text);
  if (found === null) {
    const bare = /^[0-9]{1,3}(\.[0-9]{1,6})?$/.test(text);
    return bare
      ? new Problem("A share needs its unit", FORMS.percent, `Write "${text}%"`)
      : new Problem("Is not a share in percent", FORMS.percent);
  }
  const percent = Number(found[1]);
  return percent > 100 ? new Problem("Is over 100 %", FORMS.percent) : percent;
}

/** Room for frames that wait: a number of packets, or bytes. */
export type Queue = { readonly packets: number } | { readonly bytes: number };

/** A queue's room, in packets or as a size. */
export function parseQueue(text: string): Queue | Problem {
  const found = /^([0-9]{1,15})[ ]?packets?$/.exec(text);
  if (found !== null) return { packets: Number(found[1]) };
  if (/^[0-9]+$/.test(text)) {
    return new Problem("A queue needs its unit", FORMS.queue, `Write such as "${text}packets"`);
  }
  const bytes = parseSize(text);
  return bytes instanceof Problem ? new Problem(bytes.message, FORMS.queue, bytes.next) : { bytes };
}

/** "100packets", "64KiB". */
export function formatQueue(queue: Queue): string {
  return "packets" in queue ? `${queue.packets}packets` : formatSize(queue.bytes);
}

/**
 * A reader of numbers with bounds, in the unit that `parse` answers in.
 *
 * @param wanted the bounds in words.
 * @param extremes what a value outside is said to be too much of.
 */
export function limited(
  parse: (text: string) => number | Problem,
  { least, most }: { readonly least: number; readonly most: number },
  wanted: string,
  extremes: readonly [low: string, high: string] = ["low", "high"],
): (text: string) => number | Problem {
  return (text) => {
    const value = parse(text);
    if (value instanceof Problem || (value >= least && value <= most)) return value;
    return new Problem(`Is too ${extremes[value < least ? 0 : 1]}`, wanted);
  };
}
