// `berth verify`: plans the tests of the vnodes that run, has them run level by level, measures once more what failed,
// and collects what is told. Changes nothing in the vnodes and nothing on the host.
import type { LanSpec } from "../../config/types.ts";
import type { Host } from "../../host/types.ts";
import type { AnyResource } from "../../resource/ensure.ts";
import { vnodeChains } from "../../resource/vnode_chains.ts";
import { forEach } from "../ground.ts";
import { readBootId } from "../life.ts";
import { effectiveSpec } from "../live.ts";
import type { VnodeRecord } from "../record.ts";
import type { VnodeStatus } from "../status.ts";
import { ownChains } from "../vnode_rules.ts";
import { expectedOf } from "./expect.ts";
import { measureStart, type VerifyGround } from "./ground.ts";
import { type Court, judge, settle, type Tolerance } from "./judge.ts";
import { type Level, planOf } from "./plan.ts";
import { runRate } from "./rate.ts";
import { type Measured, packsOf, runPack } from "./session.ts";
import type { Fence } from "./silence.ts";
import { hostOnLans, rulesStand, stateInside, stateOfLans, stateOfVnodes } from "./state.ts";
import { median } from "./statistics.ts";
import type { Finding, Test } from "./types.ts";

/** Everything that can be checked, in the order it is told. */
export const CHECKS = [
  "state",
  "reach",
  "latency",
  "route",
  "loss",
  "duplicate",
  "reorder",
  "rate",
  "isolation",
] as const satisfies readonly Finding["check"][];

/** What is wanted of a run. */
export interface VerifyOptions {
  readonly host: Host;
  /** How berth is started. */
  readonly berth: readonly string[];
  readonly records: readonly VnodeRecord[];
  readonly statuses: readonly VnodeStatus[];
  /** @default {all} */
  readonly names: readonly string[];
  readonly level: Level;
  /** @default {all of the level} */
  readonly only: readonly Finding["check"][];
  readonly all: boolean;
  readonly seconds: number;
  readonly jobs: number;
  readonly tolerance: Tolerance;
  readonly fence: Fence;
  /** The host's own tables, which are asked for only where isolation is checked. */
  readonly tables: () => Promise<readonly AnyResource[]>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

/** What a run came to. */
export interface Verdicts {
  readonly passed: number;
  readonly failed: number;
  readonly unknown: number;
  /** Microseconds there and back over an unshaped link of this machine; null where it was not measured. */
  readonly referenceUs: number | null;
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

/** Which check a test is run for. */
const CHECKS_OF: Readonly<Record<Test["kind"], readonly Finding["check"][]>> = {
  echo: ["reach", "latency", "route"],
  flow: ["loss", "duplicate", "reorder"],
  rate: ["rate"],
  silence: ["isolation"],
};
/** bit/s of all ways that are flooded at once; faster ones go alone, or they would take each other's processor. */
const AT_ONCE_BPS = 50e6;
/** Routes share their targets: so many probes for each pair at once. */
const ROUTE_PROBES = 6;
/** With more failures than this the second try is not one by one. */
const ONE_BY_ONE = 12;

/** Runs all of it. */
export async function verify(options: VerifyOptions): Promise<Verdicts> {
  const begun = performance.now();
  const { host, level } = options;
  const wants = (...checks: readonly Finding["check"][]) =>
    options.only.length === 0 || checks.some((check) => options.only.includes(check));
  const isNamed = (vnode: string) => options.names.length === 0 || options.names.includes(vnode);
  const lives = livesOf(options.statuses);
  const running = options.records.filter((record) => lives.has(record.name));
  const specs = running.map((record) => effectiveSpec(record));
  const findings: Finding[] = [];
  const ground: VerifyGround = { ...options, lives, bootId: await readBootId(host), startMs: 0 };
  options.onProgress?.("Looking at what stands");
  const lans = lansOf(running.filter((record) => isNamed(record.name)));
  if (wants("state")) {
    findings.push(...stateOfVnodes(options.statuses.filter(({ name }) => isNamed(name))));
    const inside = await forEach(
      specs.filter(({ name }) => isNamed(name)),
      (spec) => stateInside(ground, spec),
      (_, error) => {
        throw error;
      },
    );
    findings.push(...inside.flat(), ...await stateOfLans(host, lans));
  }
  const plan = planOf(specs, {
    level,
    names: options.names,
    all: options.all,
    fence: options.fence,
  });
  const tests = plan.tests.filter((test) => wants(...CHECKS_OF[test.kind]));
  const started = tests.length === 0 ? 0 : await measureStart(ground);
  const bench = new Bench({ ...ground, startMs: started }, {
    tolerance: options.tolerance,
    directions: tests.filter(({ kind }) => kind === "flow").length,
  });
  await bench.runAll(tests);
  findings.push(...bench.findings());
  for (const { check, from, why } of plan.left) {
    findings.push({ check, from, to: "", asked: "", measured: null, verdict: "unknown", why });
  }
  if (level >= 5 && wants("isolation")) {
    findings.push(...await hostOnLans(host, lans));
    const own = vnodeChains(options.records.flatMap(({ spec }) => ownChains(spec)));
    findings.push(...await rulesStand(host, async () => [...await options.tables(), own]));
  }
  const kept = findings.filter(({ check }) => wants(check));
  const order = (finding: Finding) => CHECKS.indexOf(finding.check);
  kept.sort((a, b) => order(a) - order(b));
  const count = (verdict: Finding["verdict"]) => kept.filter((one) => one.verdict === verdict).length;
  return {
    passed: count("pass"),
    failed: count("fail"),
    unknown: count("unknown"),
    referenceUs: bench.referenceUs(),
    seconds: Math.round((performance.now() - begun) / 100) / 10,
    findings: kept,
  };
}

/** Generations of the vnodes that run. */
function livesOf(statuses: readonly VnodeStatus[]): ReadonlyMap<string, string> {
  return new Map(
    statuses.flatMap(({ name, state, generation }) =>
      state === "up" && generation !== null ? [[name, generation] as const] : []
    ),
  );
}

function lansOf(records: readonly VnodeRecord[]): readonly LanSpec[] {
  return [...new Map(records.flatMap((record) => record.lans).map((lan) => [lan.name, lan])).values()];
}

/** Where tests are run: keeps what each came to, and the unshaped link. */
class Bench {
  readonly #ground: VerifyGround;
  readonly #court: Court;
  readonly #found = new Map<Test, readonly Finding[]>();
  readonly #references: number[] = [];

  constructor(ground: VerifyGround, court: Court) {
    this.#ground = ground;
    this.#court = court;
  }

  /** What all tests came to, in the order they were run. */
  findings(): readonly Finding[] {
    return [...this.#found.values()].flat();
  }

  /** The median of the unshaped link. */
  referenceUs(): number | null {
    const found = median(this.#references);
    return found === null ? null : Math.round(found);
  }

  async runAll(tests: readonly Test[]): Promise<void> {
    const { jobs } = this.#ground;
    const echoes = (level: number) => tests.filter((test) => test.kind === "echo" && test.level === level);
    await this.#run("latencies", echoes(1), 2 * jobs);
    await this.#run("routes", echoes(2), ROUTE_PROBES * jobs);
    await this.#run("losses", tests.filter(({ kind }) => kind === "flow"), 2 * jobs);
    await this.#rates(tests.filter((test) => test.kind === "rate"));
    await this.#run("silence", tests.filter(({ kind }) => kind === "silence"), 2 * jobs);
  }

  /** Runs tests, and those that failed once more, alone where they are few: both must fail. */
  async #run(what: string, tests: readonly Test[], most: number): Promise<void> {
    await this.#packs(what, tests, most, false);
    const failed = tests.filter((test) => this.#failed(test));
    await this.#packs(`${what} once more`, failed, failed.length > ONE_BY_ONE ? most : 1, true);
  }

  async #packs(what: string, tests: readonly Test[], most: number, again: boolean): Promise<void> {
    let done = 0;
    for (const pack of packsOf(tests, most)) {
      this.#ground.onProgress?.(`Measuring ${what}: ${done} of ${tests.length}`);
      const measured = await runPack(this.#ground, pack, again);
      pack.tests.forEach((test, at) => this.#judge(test, measured[at]!, again));
      done += pack.tests.length;
    }
  }

  /** Also where nothing could be told of a flow: the machine may be less busy now. */
  #failed(test: Test): boolean {
    return this.#found.get(test)?.some(({ verdict }) =>
      verdict === "fail" || (verdict === "unknown" && test.kind === "flow")
    ) === true;
  }

  #judge(test: Test, { sample, reference }: Measured, again: boolean): void {
    this.#references.push(...reference?.echo?.rttsUs ?? []);
    const now = judge(test, sample, reference, this.#court);
    const before = this.#found.get(test);
    this.#found.set(test, again && before !== undefined ? settle(before, now) : now);
  }

  /** Slow ways several at once, fast ones alone; what is not as asked for once more, alone. */
  async #rates(tests: readonly Test[]): Promise<void> {
    const rate = (test: Test) => expectedOf(test.kind === "rate" ? test.there : []).slowestBps ?? Infinity;
    const waiting = [...tests].sort((a, b) => rate(a) - rate(b));
    let done = 0;
    while (waiting.length > 0) {
      const together: Test[] = [];
      let sum = 0;
      while (waiting.length > 0 && together.length < this.#ground.jobs) {
        const next = waiting[0]!;
        const shares = together.some((one) => agents(one).some((name) => agents(next).includes(name)));
        if (together.length > 0 && (shares || sum + rate(next) > AT_ONCE_BPS)) break;
        together.push(waiting.shift()!);
        sum += rate(next);
      }
      this.#ground.onProgress?.(`Measuring rates: ${done} of ${tests.length}`);
      await Promise.all(together.map((test) => this.#rate(test, false)));
      done += together.length;
    }
    for (const test of tests) {
      const passed = this.#found.get(test)?.every(({ verdict }) => verdict === "pass");
      if (passed) continue;
      this.#ground.onProgress?.("Measuring rates once more");
      await this.#rate(test, true);
    }
  }

  async #rate(test: Test, again: boolean): Promise<void> {
    if (test.kind !== "rate") return;
    const sample = await runRate(
      this.#ground,
      test,
      (rate) => judge(test, { rate }, null, this.#court)[0]!.verdict === "pass",
    );
    this.#judge(test, { sample, reference: null }, again);
  }
}

function agents(test: Test): readonly string[] {
  return [test.from.vnode, test.to === "host" ? "" : test.to.vnode];
}
