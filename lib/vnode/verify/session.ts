// Runs tests of echoes, flows and silence: puts as many together as few probes can do at once, starts one probe for
// each vnode among them, and reads what each told into samples. Judges nothing.
import { parseGeneration } from "../life.ts";
import { expectedOf } from "./expect.ts";
import { drawFlow, drawPort, HOST, idleTask, runProbe, startWaitMs, type VerifyGround } from "./ground.ts";
import { measureReference } from "./reference.ts";
import type { AgentAnswer, AgentTask, End, Sample, SendTask, Test } from "./types.ts";

/** Echoes of each test; the second time, when it matters, more, and slower: a busy machine is kept busier by them. */
const ECHOES = 20;
const AGAIN = 3;
const ECHO_US = 20_000;
const SLOWER = 4;
/** Echoes of one probe in a second, at most: more would wait for each other. */
const ECHOES_A_SECOND = 200;
/** Payload of a flow's datagrams. */
const FLOW_BYTES = 32;
/** Ethernet, IPv6 and UDP headers: the larger ones. */
const HEADERS = 62;
/** Datagrams of a flow: at least, at most, in a second at most, and for at least so many seconds. */
const FLOW = { least: 1000, most: 20_000, perSecond: 2000, seconds: 4 } as const;
/** Losses that should be seen. */
const LOSSES = 30;
/** Part of a slow link that a flow may take: nothing is to be lost in its queue. */
const PART = 0.5;
/** Datagrams that are not to be heard. */
const FLINGS = 20;
const FLING_MS = 2500;

/** A sample and the unshaped link at the same time. */
export interface Measured {
  readonly sample: Sample;
  readonly reference: Sample | null;
}

/** Tests that are run together, and who takes part. */
export interface Pack {
  readonly tests: readonly Test[];
  readonly agents: ReadonlySet<string>;
}

const nameOf = (end: End | "host") => end === "host" ? HOST : end.vnode;

/** Who takes part in a test: vnodes, and HOST. */
function agentsOf(test: Test): readonly string[] {
  const ends = [test.from, test.to, ...(test.kind === "silence" ? [test.control] : [])];
  return [...new Set(ends.map(nameOf))];
}

/** Puts tests together, in their order, so that at most so many probes run at once (one test may need more). */
export function packsOf(tests: readonly Test[], most: number): readonly Pack[] {
  const packs: { tests: Test[]; agents: Set<string> }[] = [];
  for (const test of tests) {
    const last = packs.at(-1);
    const agents = agentsOf(test);
    const more = last === undefined ? 0 : agents.filter((one) => !last.agents.has(one)).length;
    if (last === undefined || last.agents.size + more > most) {
      packs.push({ tests: [test], agents: new Set(agents) });
    } else {
      last.tests.push(test);
      for (const one of agents) last.agents.add(one);
    }
  }
  return packs;
}

/** The probes of a pack, and the flow that each test is known by (a second one for the control of a silence). */
export interface Session {
  readonly tasks: ReadonlyMap<string, AgentTask>;
  readonly flows: ReadonlyMap<Test, { readonly flow: number; readonly control: number }>;
}

/** What the probes of a pack are to do; `again`: the second time. Pure but for the numbers drawn. */
export function sessionOf(ground: VerifyGround, pack: Pack, again = false): Session {
  const waitMs = startWaitMs(ground, pack.agents.size);
  const port = drawPort();
  const tasks = new Map([...pack.agents].map((name) => [name, mutable(port)]));
  const flows = new Map<Test, { flow: number; control: number }>();
  for (const test of pack.tests) {
    const [flow, control] = [drawFlow(), drawFlow()];
    flows.set(test, { flow, control });
    const [from, to] = [tasks.get(nameOf(test.from))!, tasks.get(nameOf(test.to))!];
    if (test.kind === "silence") {
      const other = tasks.get(nameOf(test.control))!;
      from.flings.push({ flow, to: test.address, port, count: FLINGS });
      if (test.controlAddress !== undefined) {
        from.flings.push({ flow: control, to: test.controlAddress, port, count: FLINGS });
      }
      for (const listener of [to, other]) listener.stays = true;
      // As long as the others may take to come up, and then what is sent.
      for (const one of [from, to, other]) one.takesMs = Math.max(one.takesMs, waitMs - 3000 + FLING_MS);
      continue;
    }
    if (test.kind === "rate") continue; // rate.ts
    const send = sendTask(ground, test, flow, port, waitMs, again);
    (test.kind === "echo" ? from.echoes : from.sends).push(send);
    to.expect.push(flow);
    const ms = send.waitMs + send.count * send.everyUs / 1000;
    for (const one of [from, to]) one.takesMs = Math.max(one.takesMs, ms);
    to.lingerMs = Math.max(to.lingerMs, lateMs(test));
  }
  for (const task of tasks.values()) {
    const crowd = task.echoes.length * 1e6 / ECHOES_A_SECOND;
    task.echoes = task.echoes.map((one) => ({ ...one, everyUs: Math.max(one.everyUs, crowd) }));
    const echoMs = Math.max(0, ...task.echoes.map((one) => one.waitMs + one.count * one.everyUs / 1000));
    for (const one of task.echoes) {
      // Who is asked must stay as long as who asks.
      for (const other of tasks.values()) {
        if (other.expect.includes(one.flow)) other.takesMs = Math.max(other.takesMs, echoMs);
      }
    }
    task.takesMs = Math.max(task.takesMs, echoMs);
  }
  return {
    flows,
    tasks: new Map(
      [...tasks].map(([name, { takesMs, ...task }]) => [name, {
        ...idleTask(port, 0),
        ...task,
        untilMs: Math.ceil(takesMs + 1500 + 2 * task.lingerMs),
      }]),
    ),
  };
}

function mutable(port: number) {
  const lists = {
    expect: [] as number[],
    echoes: [] as AgentTask["echoes"][number][],
    sends: [] as SendTask[],
    flings: [] as AgentTask["flings"][number][],
  };
  return { port, ...lists, lingerMs: 200, takesMs: 0, stays: undefined as true | undefined };
}

/** Milliseconds that something may be on its way longer than what was sent after it. */
function lateMs(test: Test & { kind: "echo" | "flow" }): number {
  const { delayUs, jitterVariance } = expectedOf([...test.there, ...test.back]);
  return Math.ceil(200 + (delayUs + 4 * Math.sqrt(jitterVariance)) / 1000);
}

/**
 * How a test is sent: often enough to tell, and never more than a slow link carries with ease; the second time in all
 * the time there is, for a machine that had no processor for it the first time.
 */
export function sendTask(
  ground: Pick<VerifyGround, "seconds">,
  test: Test & { kind: "echo" | "flow" },
  flow: number,
  port: number,
  waitMs: number,
  again = false,
): SendTask {
  const [there, back] = [expectedOf(test.there), expectedOf(test.back)];
  const slowest = Math.min(there.slowestBps ?? Infinity, back.slowestBps ?? Infinity);
  const frameUs = (FLOW_BYTES + HEADERS) * 8e6 / slowest;
  const common = {
    flow,
    port,
    to: test.to.address,
    from: test.from.address,
    waitMs: waitMs + Math.ceil(4 * lateMs(test)),
    greetUs: Math.max(20_000, Math.round(4 * frameUs)),
  };
  if (test.kind === "echo") {
    const count = again ? AGAIN * ECHOES : ECHOES;
    const everyUs = Math.max(again ? SLOWER * ECHO_US : ECHO_US, Math.round(2 * frameUs));
    return { ...common, bytes: 24, count, everyUs };
  }
  const { share, inflation } = there.loss;
  const wanted = Math.min(
    FLOW.most,
    Math.max(FLOW.least, share === 0 ? 0 : Math.ceil(LOSSES * inflation / share)),
  );
  const seconds = again ? 4 * ground.seconds : FLOW.seconds;
  const everyUs = Math.max(1e6 / FLOW.perSecond, frameUs / PART, seconds * 1e6 / wanted);
  const count = Math.max(1, Math.min(wanted, Math.floor(4 * ground.seconds * 1e6 / everyUs)));
  return { ...common, bytes: FLOW_BYTES, count, everyUs };
}

/** Runs a pack: all its probes at once, beside an unshaped link where latencies are measured. */
export async function runPack(
  ground: VerifyGround,
  pack: Pack,
  again = false,
): Promise<readonly Measured[]> {
  const { tasks, flows } = sessionOf(ground, pack, again);
  const before = await unread(ground, pack);
  const echoes = pack.tests.some(({ kind }) => kind === "echo");
  const [reference, ...answers] = await Promise.all([
    echoes
      ? measureReference(
        ground,
        pack.agents.size,
        again ? [AGAIN * ECHOES, SLOWER * ECHO_US] : [ECHOES, ECHO_US],
      )
      : null,
    ...[...tasks].map(async ([name, task]) => [name, await runProbe(ground, name, task)] as const),
  ]);
  const told = new Map(answers);
  const after = await unread(ground, pack);
  return pack.tests.map((test) => {
    const sample = sampleOf(test, told, flows.get(test)!);
    const name = nameOf(test.to);
    const missed = (after.get(name) ?? 0) - (before.get(name) ?? 0);
    return {
      sample: sample.flow === undefined ? sample : { ...sample, flow: { ...sample.flow, unread: missed } },
      reference: reference === null ? null : { echo: reference },
    };
  });
}

/** Datagrams that were dropped inside each vnode because its sockets were full: its reader had no processor. */
async function unread(ground: VerifyGround, pack: Pack): Promise<ReadonlyMap<string, number>> {
  const names = new Set(pack.tests.filter(({ kind }) => kind === "flow").map(({ to }) => nameOf(to)));
  const counts = [...names].map(async (name) => {
    // Of a life that has ended the probe tells: what it counted is not asked for.
    const { pid } = parseGeneration(ground.lives.get(name) ?? "");
    const [four, six] = await Promise.all(
      ["snmp", "snmp6"].map((file) => ground.host.readText(`/proc/${pid}/net/${file}`).catch(() => null)),
    );
    return [name, bufferErrors(four ?? "", six ?? "")] as const;
  });
  return new Map(await Promise.all(counts));
}

/** RcvbufErrors of UDP, by IPv4 and by IPv6, out of /proc/net/snmp and snmp6; 0 where they are not told. */
export function bufferErrors(snmp: string, snmp6: string): number {
  const [names = "", values = ""] = snmp.split("\n").filter((line) => line.startsWith("Udp: "));
  const four = Number(values.split(" ")[names.split(" ").indexOf("RcvbufErrors")] ?? 0);
  const six = Number(/^Udp6RcvbufErrors\s+(\d+)$/m.exec(snmp6)?.[1] ?? 0);
  return (Number.isFinite(four) ? four : 0) + six;
}

/** What the probes told of one test. */
function sampleOf(
  test: Test,
  answers: ReadonlyMap<string, AgentAnswer>,
  { flow, control }: { readonly flow: number; readonly control: number },
): Sample {
  for (const name of agentsOf(test)) {
    const fault = answers.get(name)?.fault;
    if (fault !== undefined) return { fault: `${name === HOST ? "the host" : name}: ${fault}` };
  }
  const [from, to] = [answers.get(nameOf(test.from)), answers.get(nameOf(test.to))];
  if (test.kind === "echo") return { echo: from?.echoed[flow] ?? { reached: false, sent: 0, rttsUs: [] } };
  if (test.kind === "flow") {
    const sent = from?.sent[flow];
    const nothing = { count: 0, duplicates: 0, late: 0, bytes: 0, ms: 0, delaysUs: [] };
    return sent === undefined ? {} : { flow: { sent, received: to?.received[flow] ?? nothing } };
  }
  if (test.kind === "rate") return {};
  const other = answers.get(nameOf(test.control));
  const sent = from?.sent[flow];
  const listened = to !== undefined && sent !== undefined &&
    to.listenedUs[0] < sent.endUs - 1000 * sent.ms / 2 &&
    to.listenedUs[1] >= sent.endUs;
  const heardThere = other?.received[test.controlAddress === undefined ? flow : control]?.count ?? 0;
  return {
    heard: { count: to?.received[flow]?.count ?? 0, controlled: listened && heardThere > 0 },
  };
}
