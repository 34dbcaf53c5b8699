// Shaping as it is written on a command line and in files: `egress.delay=30ms` over what a link does by now, with the
// same keys and the same messages as in a file; and a shape back in those words. Pure.
import { BerthError } from "../log/error.ts";
import { type ShapeDraft, shapeOf } from "./check_shape.ts";
import { oneOf, Problem } from "./problem.ts";
import { direction, shapeKeys } from "./schema_shape.ts";
import type { Shape } from "./types.ts";
import { formatDelay, formatPercent, formatQueue, formatRate } from "./units.ts";
import { Report, validate, type Where } from "./validate.ts";

export type Way = "egress" | "ingress";
/** Both ways of a link. */
export interface Shapes {
  readonly egress: Shape;
  readonly ingress: Shape;
}
/** What stands at a key of shaping in a file. */
export type Written = string | Readonly<Record<string, string>>;
/** A shape as it would be written in a file. */
export type ShapeText = Readonly<Record<string, Written>>;

/** A shape in the words of a file. What is not asked for is left out. */
export function shapeText(shape: Shape): ShapeText {
  const share = (key: string, percent: number | undefined) =>
    percent === undefined ? {} : { [key]: formatPercent(percent) };
  const time = (key: string, us: number | undefined) => us === undefined ? {} : { [key]: formatDelay(us) };
  const { rateBps, distribution, lossModel, queue } = shape;
  return {
    ...(rateBps !== undefined && { rate: formatRate(rateBps) }),
    ...time("delay", shape.delayUs),
    ...time("jitter", shape.jitterUs),
    ...share("jitterCorrelation", shape.jitterCorrelation),
    ...(distribution !== undefined && { distribution }),
    ...share("loss", shape.lossPercent),
    ...share("lossCorrelation", shape.lossCorrelation),
    ...(lossModel !== undefined && {
      lossModel: Object.fromEntries(
        Object.entries(lossModel).map(([key, value]) => [key, formatPercent(value)]),
      ),
    }),
    ...share("duplicate", shape.duplicatePercent),
    ...share("duplicateCorrelation", shape.duplicateCorrelation),
    ...share("corrupt", shape.corruptPercent),
    ...share("corruptCorrelation", shape.corruptCorrelation),
    ...share("reorder", shape.reorderPercent),
    ...share("reorderCorrelation", shape.reorderCorrelation),
    ...(queue !== undefined && { queue: formatQueue(queue) }),
  };
}

interface Argument {
  readonly place: string;
  readonly ways: readonly Way[];
  readonly key: string;
  /** Within lossModel. */
  readonly part?: string;
  /** "" takes the key away. */
  readonly value: string;
}

const FORM = '[egress.|ingress.]KEY=VALUE, such as "egress.delay=30ms"';
const MODEL_KEYS = ["toBad", "toGood", "inBad", "inGood"];
/** What goes with a key that is taken away, unless it is given beside it. */
const GOES_WITH: Readonly<Record<string, readonly string[]>> = {
  rate: ["queue"],
  delay: ["jitter", "jitterCorrelation", "distribution", "reorder", "reorderCorrelation"],
  jitter: ["jitterCorrelation", "distribution"],
  loss: ["lossCorrelation"],
  duplicate: ["duplicateCorrelation"],
  corrupt: ["corruptCorrelation"],
  reorder: ["reorderCorrelation"],
};
/** What a key is instead of. */
const INSTEAD: Readonly<Record<string, readonly string[]>> = {
  loss: ["lossModel"],
  lossModel: ["loss", "lossCorrelation"],
};

function argumentOf(text: string, number: number, report: Report): Argument | null {
  const place = `argument ${number}`;
  const refuse = (problem: Problem) => {
    report.add(whereOf(() => place), problem, text);
    return null;
  };
  const found = /^(?:(egress|ingress)\.)?([A-Za-z]+)(?:\.([A-Za-z]+))?=(.*)$/s.exec(text);
  if (found === null) return refuse(new Problem("Is no shaping", FORM));
  const [, way, key = "", part, value = ""] = found;
  const known = Object.keys(shapeKeys);
  if (!known.includes(key)) return refuse(new Problem(`There is no key "${key}"`, oneOf(known)));
  const isModel = key === "lossModel";
  if (isModel ? part === undefined && value !== "" : part !== undefined) {
    const wanted = isModel ? "lossModel.toBad=1% and so on, or lossModel= to take it away" : `${key}=VALUE`;
    return refuse(new Problem(isModel ? "A model of loss has parts" : `${key} has no parts`, wanted));
  }
  if (part !== undefined && !MODEL_KEYS.includes(part)) {
    return refuse(new Problem(`A model of loss has no key "${part}"`, oneOf(MODEL_KEYS)));
  }
  const ways: readonly Way[] = way === undefined ? ["egress", "ingress"] : [way as Way];
  return { place, ways, key, value, ...(part !== undefined && { part }) };
}

/** A place in something that is no file: `place` answers for the key at hand. */
function whereOf(place: (key: string) => string): Where {
  const file = {
    path: "",
    value: null,
    issues: [],
    place: (path: readonly unknown[]) => place(String(path[0] ?? "")),
  };
  return { file, path: [] };
}

/**
 * What a link should do after `arguments`, over what it does. A key without way is meant for both; an empty value
 * takes a key away, with all that leans on it.
 *
 * @param first the number of the first of them, for messages. @default {1}
 * @throws {BerthError} code `usage`, with an issue for each problem, in the words of a file's.
 */
export function shapesOf(base: Shapes, args: readonly string[], first = 1): Shapes {
  const report = new Report();
  const parsed = args.map((text, index) => argumentOf(text, first + index, report)).filter((one) =>
    one !== null
  );
  const shaped = (way: Way): Shape => {
    const own = parsed.filter((one) => one.ways.includes(way));
    const given = new Map(own.map((one) => [one.key, one]));
    const draft: Record<string, Written> = { ...shapeText(base[way]) };
    for (const { key, part, value } of own) {
      const gone = value === "" && part === undefined ? [key, ...GOES_WITH[key] ?? []] : INSTEAD[key] ?? [];
      for (const one of gone) if (one === key || !given.has(one)) delete draft[one];
      if (part !== undefined) {
        const model = { ...(draft[key] as Record<string, string> | undefined) };
        if (value === "") delete model[part];
        else model[part] = value;
        draft[key] = model;
      } else if (value !== "") draft[key] = value;
    }
    const where = whereOf((key) => given.get(key)?.place ?? `${key}, as it is`);
    const checked: ShapeDraft = validate(direction, draft, where, report) ?? {};
    return shapeOf(checked, {}, (_own, key, problem) => report.add({ ...where, path: [key] }, problem));
  };
  const shapes = { egress: shaped("egress"), ingress: shaped("ingress") };
  const { issues } = report;
  if (issues.length === 0) return shapes;
  throw new BerthError({
    code: "usage",
    object: "shaping",
    message: issues.length === 1
      ? "There is a problem with it"
      : `There are ${issues.length} problems with it`,
    issues,
    next: "Correct the arguments named; berth vnode shape --help tells the form",
  });
}
