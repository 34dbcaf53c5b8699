// From valibot's answer to issues with places, and to a value that later checks can go on with: what was refused
// is taken out of it, so that all problems of a configuration are told at once.
import * as v from "valibot";
import type { Issue } from "../log/error.ts";
import { pathText, quoted } from "../log/issues.ts";
import type { ConfigFile, Path } from "./document.ts";
import { heard, type Problem } from "./problem.ts";

/** A value of which any part may be missing, because it was refused and told. */
export type Loose<T> = T extends { family: 4 | 6 } | { address: { family: 4 | 6 } } ? T
  : T extends readonly (infer Item)[] ? readonly (Loose<Item> | undefined)[]
  : T extends object ? { readonly [Key in keyof T]?: Loose<T[Key]> }
  : T;

/** Where a value stands. */
export interface Where {
  readonly file: ConfigFile;
  readonly path: Path;
}

/** Collects issues; the same one only once. */
export class Report {
  readonly #issues = new Map<string, { issue: Issue; place: readonly [string, number] }>();

  /** Adds a problem at a place. `found` is shown quoted where it is text. */
  add(where: Where, problem: Problem, found?: unknown): void {
    this.addIssue({
      place: where.file.place(where.path),
      ...(where.path.length === 0 ? {} : { path: pathText(where.path) }),
      message: problem.message,
      ...(found === undefined || problem.mute ? {} : { found: foundText(found) }),
      ...(problem.wanted === undefined ? {} : { wanted: problem.wanted }),
      next: problem.next ?? (problem.wanted === undefined ? "Correct it" : `Write ${problem.wanted}`),
    });
  }

  addIssue(issue: Issue): void {
    const line = /^(.*?)(?::(\d+))?$/s.exec(issue.place ?? "")!;
    this.#issues.set(JSON.stringify(issue), { issue, place: [line[1]!, Number(line[2] ?? 0)] });
  }

  /** By file and line, in the order of finding within a line. */
  get issues(): readonly Issue[] {
    const byPlace = [...this.#issues.values()].sort((a, b) =>
      a.place[0] < b.place[0] ? -1 : a.place[0] > b.place[0] ? 1 : a.place[1] - b.place[1]
    );
    return byPlace.map((entry) => entry.issue);
  }
}

function foundText(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return value.length === 0 ? "[]" : "a list";
  if (typeof value === "object" && value !== null) return "a map";
  return String(value);
}

function prune(root: unknown, path: Path): void {
  let parent = root;
  for (const step of path.slice(0, -1)) {
    if (parent === null || typeof parent !== "object") return;
    parent = (parent as Record<string | number, unknown>)[step];
  }
  const last = path.at(-1);
  if (last !== undefined && parent !== null && typeof parent === "object" && Object.hasOwn(parent, last)) {
    (parent as Record<string | number, unknown>)[last] = undefined;
  }
}

/** Validates the value at a place. What is refused is reported, and undefined in the answer. */
export function validate<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  where: Where,
  report: Report,
): Loose<v.InferOutput<Schema>> | undefined {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output as Loose<v.InferOutput<Schema>>;
  const output: unknown = structuredClone(result.output);
  let whole = false;
  for (const issue of result.issues) {
    const steps = (issue.path ?? []).map((step) => step.key as string | number);
    for (const problem of heard(issue.message)) {
      const path = problem.key === undefined ? steps : [...steps.slice(0, -1), problem.key];
      report.add({ file: where.file, path: [...where.path, ...path] }, problem, issue.input);
    }
    if (steps.length === 0) whole = true;
    else if (issue.path?.at(-1)?.origin === "value") prune(output, steps);
  }
  return whole ? undefined : output as Loose<v.InferOutput<Schema>>;
}
