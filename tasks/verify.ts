// `berth verify`: whether the network does what the specs say, shown by packets.
import * as v from "valibot";
import { task, type TaskContext } from "../lib/cli/task.ts";
import { BerthError } from "../lib/log/error.ts";
import type { Finding } from "../lib/vnode/verify/types.ts";
import type { Verdicts, VerifyOptions } from "../lib/vnode/verify/verify.ts";

const options = v.object({
  level: v.optional(
    v.pipe(
      v.number(),
      v.integer("Is no whole number"),
      v.minValue(1, "Is below 1"),
      v.maxValue(5, "Is above 5"),
      v.description("How much: 1 latency, 2 and routes, 3 and loss, 4 and rates, 5 and isolation"),
      v.metadata({ value: "1-5" }),
    ),
    5,
  ),
  only: v.optional(
    v.pipe(
      v.string(),
      v.description("Only these checks: latency,loss,rate …"),
      v.metadata({ value: "CHECKS" }),
    ),
  ),
  seconds: v.optional(
    v.pipe(
      v.number(),
      v.minValue(1, "Is below 1"),
      v.maxValue(600, "Is above 600"),
      v.description("Seconds that each rate is measured for"),
    ),
    5,
  ),
  jobs: v.optional(
    v.pipe(
      v.number(),
      v.integer("Is no whole number"),
      v.minValue(1, "Is below 1"),
      v.maxValue(64, "Is above 64"),
      v.description("Pairs of vnodes that are measured at once"),
    ),
    4,
  ),
  tolerance: v.optional(
    v.pipe(
      v.picklist(["own", "linktest"]),
      v.description("What still passes: berth's own bounds, or Emulab's"),
    ),
    "own",
  ),
  all: v.optional(
    v.pipe(v.boolean(), v.description("Every route of every vnode, however many there are")),
    false,
  ),
});

/** Measures what links, routes and walls do. Changes nothing; exit code 2 when anything fails. */
export default task({
  summary: "Show by packets that the network does what the specs say",
  description: `
Sends real packets between the vnodes that run, from inside their networks, and compares what comes of it with what
their specs ask for. Nothing is needed of their images, and nothing is changed: not in them, not on the host.

  state      up, wired, links inside as in the spec
  reach      neighbours answer                                                        level 1
  latency    the delays of both ways, beyond an unshaped link of this machine         level 1
  route      vnodes that are further away answer, by the way that the routes make     level 2
  loss       by a two-sided test, corrupt frames included; also duplicate, reorder    level 3
  rate       by the queue's own counter, within 1 %                                   level 4
  isolation  twins with the same subnet, the host over a lan, other experiments,
             closed firewalls: nothing is heard, and the rules stand                  level 5

What fails is measured once more; only what fails twice is told. "unknown" is what could not be told, and no failure.
The exit code is 2 when anything fails.

Examples:
  berth verify
  berth verify left right --level 2
  berth verify --only rate --seconds 20 --json
`,
  args: ["[NAME...]"],
  completes: "vnodes",
  options,
  async run(context) {
    const wanted = await optionsOf(context);
    const { verify } = await import("../lib/vnode/verify/verify.ts");
    const verdicts = await verify(wanted);
    context.progress("");
    context.output(verdicts, context.json ? undefined : await textOf(context, verdicts));
    if (verdicts.failed > 0) context.exit(2);
  },
});

type Options = v.InferOutput<typeof options>;

/** Everything that a run hangs on. What is heavy is loaded here, not with the task. */
async function optionsOf(context: TaskContext<Options>): Promise<VerifyOptions> {
  const [{ CHECKS }, { LINKTEST, OWN }, { readRecords }, { readStatus }, { madeNames }] = await Promise.all(
    [
      import("../lib/vnode/verify/verify.ts"),
      import("../lib/vnode/verify/judge.ts"),
      import("../lib/vnode/record.ts"),
      import("../lib/vnode/status.ts"),
      import("./vnode/_names.ts"),
    ],
  );
  const only = checksOf(context.options.only, CHECKS);
  const [{ loadUsable }, { hostFacts }, { bridgeUplink, firewallResources }] = await Promise.all([
    import("../lib/config/load.ts"),
    import("./host/_facts.ts"),
    import("./host/firewall.ts"),
  ]);
  const { host } = context;
  const [facts, { config }, records, docker] = await Promise.all([
    hostFacts(host),
    loadUsable({ look: host, directory: context.configDirectory }),
    readRecords(host),
    context.docker(),
  ]);
  const names = await madeNames(context, context.args);
  const { isolation, address: gateway } = config.host.controlNet;
  return {
    host,
    berth: facts.berth,
    records,
    statuses: await readStatus(host, docker),
    names: context.args.length === 0 ? [] : names,
    level: context.options.level as VerifyOptions["level"],
    only,
    all: context.options.all,
    seconds: context.options.seconds,
    jobs: context.options.jobs,
    tolerance: context.options.tolerance === "linktest" ? LINKTEST : OWN,
    fence: { isolation, gateway },
    tables: async () => firewallResources(config, facts, await bridgeUplink(host, config)),
    signal: context.signal,
    onProgress: (text) => context.progress(text),
  };
}

function checksOf(text: string | undefined, known: readonly Finding["check"][]): readonly Finding["check"][] {
  const words = (text ?? "").split(",").map((word) => word.trim()).filter((word) => word !== "");
  const strange = words.filter((word) => !known.some((check) => check === word));
  if (strange.length > 0) {
    throw new BerthError({
      code: "usage",
      object: "berth verify",
      message: `There is no check "${strange.join('", "')}"`,
      next: `Name some of ${known.join(",")}`,
    });
  }
  return words as Finding["check"][];
}

async function textOf(context: TaskContext<Options>, verdicts: Verdicts): Promise<string> {
  const [{ reportText }, { painter }, { renderTable }, { stdout }] = await Promise.all([
    import("../lib/vnode/verify/report.ts"),
    import("../lib/cli/terminal.ts"),
    import("../lib/cli/table.ts"),
    import("node:process"),
  ]);
  const paint = painter(stdout, context.colour);
  return reportText(verdicts, { ...paint, table: renderTable }, context.verbose);
}
