// What tests of the watch look at: the world itself (kernel, engine, records), never berth's own word for it.
// Owns the running of a watch in a sandbox, and the comparison of a vnode's wiring with its experiment.
import { bridgeName, hostEndName, ifbName } from "../../lib/vnode/names.ts";
import type { Background, Sandbox } from "./harness.ts";

/** A link as an experiment has it, with what tests need to know. */
export interface WantedLink {
  readonly name: string;
  readonly lan: string;
  readonly address: string;
  /** Bit/s in both directions, or none. */
  readonly rate?: number;
}

/** Vnodes by name. */
export type WantedVnodes = Readonly<Record<string, readonly WantedLink[]>>;

interface Link {
  ifname: string;
  ifindex: number;
  link_index?: number;
  master?: string;
  ifalias?: string;
  flags: string[];
}

interface Looked {
  links: Link[];
  qdiscs: { kind: string; dev: string; root?: boolean; options?: { rate?: number } }[];
  filters: Record<string, string>;
  elements: string[];
  container: { Id: string; State: { Pid: number; Running: boolean; Paused: boolean } } | null;
  inside: string;
  record: { wanted: { state: string; by: string } } | null;
}

const LOOK = `
json() { "$@" 2>/dev/null || true; }
printf '{"links":'; ip -j -d link
printf ',"qdiscs":'; tc -j qdisc
printf ',"filters":{"":""'
for end in $(ip -o link | grep -oE ' bve-[0-9a-f]+' || true); do
  printf ',"%s":"%s"' "$end" "$(tc filter show dev "$end" parent ffff: 2>/dev/null | grep -oE 'to device [^ )]+' | head -1)"
done
printf '},"elements":['
nft list set bridge berth control_ports 2>/dev/null | grep -oE '"[^"]+" \\. [0-9a-f:]{17} \\. [0-9.]+' | sed 's/"//g; s/.*/"&"/' | paste -sd,
container=$(docker inspect -f '{"Id":"{{.Id}}","State":{"Pid":{{.State.Pid}},"Running":{{.State.Running}},"Paused":{{.State.Paused}}}}' "$1" 2>/dev/null || echo null)
pid=$(printf %s "$container" | sed -n 's/.*"Pid":\\([0-9]*\\).*/\\1/p')
printf '],"container":%s' "$container"
printf ',"inside":"%s"' "$([ "\${pid:-0}" = 0 ] || nsenter -t "$pid" -n sh -c 'ip -o addr; ip -o link show eth0' | tr -s ' ' | tr '\\n\\\\' '; ')"
printf ',"record":'; cat "/var/lib/berth/vnodes/$1/record.json" 2>/dev/null || echo null
printf '}'
`;

/** One look at everything about one vnode. */
async function look(box: Sandbox, vnode: string): Promise<Looked> {
  const said = await box.run(["/bin/bash", "-c", LOOK, "look", vnode], { timeoutMs: 30_000 });
  const text = said.stdout.replace(/"filters":\{"":"",?/, '"filters":{').replace(/\t/g, " ");
  try {
    return JSON.parse(text) as Looked;
  } catch (error) {
    throw new Error(`Cannot read the look at ${vnode}: ${error}\n${text}\n${said.stderr}`);
  }
}

/** What of one vnode is not as promised, one line each. Running means wired; not running means nothing is left. */
export async function faultsOf(
  box: Sandbox,
  vnode: string,
  links: readonly WantedLink[],
  wanted: "up" | "halted" | "any" = "any",
): Promise<string[]> {
  const seen = await look(box, vnode);
  const faults: string[] = [];
  const runs = seen.container?.State.Running === true;
  const told = seen.record?.wanted;
  if (wanted !== "any" && told?.state !== wanted) {
    faults.push(`wanted is ${told?.state} by "${told?.by}", not ${wanted}`);
  }
  const should = wanted === "any" ? told?.state : wanted;
  if (should === "up" && !runs) faults.push("does not run");
  if (should === "halted" && runs) faults.push("runs");
  const by = (name: string) => seen.links.find((one) => one.ifname === name);
  if (!runs) {
    const left = seen.links.filter((one) => one.ifalias?.startsWith(`berth:v=${vnode}:`));
    faults.push(...left.map((one) => `interface ${one.ifname} is left`));
    const names = links.flatMap((one) => [hostEndName(vnode, one.name), ifbName(vnode, one.name)]);
    faults.push(...names.filter((name) => by(name) !== undefined).map((name) => `interface ${name} is left`));
    faults.push(
      ...seen.elements.filter((one) => by(one.split(" ")[0]!) === undefined).map((one) =>
        `element ${one} is left`
      ),
    );
    return faults;
  }
  const { Id, State } = seen.container!;
  for (const link of links) {
    const end = by(hostEndName(vnode, link.name));
    const where = `${vnode}/${link.name}`;
    if (end === undefined) {
      faults.push(`${where} has no host end`);
      continue;
    }
    if (!end.ifalias?.includes(`:g=${Id.slice(0, 12)}.${State.Pid}.`)) {
      faults.push(`${where} is of "${end.ifalias}", runs as pid ${State.Pid}`);
    }
    if (end.master !== bridgeName(link.lan)) faults.push(`${where} is on ${end.master}`);
    if (!end.flags.includes("UP")) faults.push(`${where} is down`);
    if (!seen.inside.includes(` ${link.name} inet ${link.address}/`)) {
      faults.push(`${where} lacks ${link.address} inside: ${seen.inside}`);
    }
    if (link.rate === undefined) continue;
    for (const dev of [end.ifname, ifbName(vnode, link.name)]) {
      const root = seen.qdiscs.find((one) => one.dev === dev && one.root === true);
      if (root?.kind !== "tbf" || root.options?.rate !== link.rate / 8) {
        faults.push(`${where}: ${dev} has ${root?.kind} at ${root?.options?.rate}`);
      }
    }
    if (by(ifbName(vnode, link.name))?.flags.includes("UP") !== true) faults.push(`${where}: ifb is down`);
    const leads = seen.filters[end.ifname];
    if (leads !== `to device ${ifbName(vnode, link.name)}`) faults.push(`${where}: redirect "${leads}"`);
  }
  const control = / eth0 inet ([0-9.]+)\//.exec(seen.inside)?.[1];
  const index = Number(/ eth0@if(\d+)/.exec(seen.inside)?.[1]);
  const port = seen.links.find((one) => one.ifindex === index && one.master === "_dockercnet");
  const element = seen.elements.filter((one) => one.endsWith(` ${control}`));
  if (element.length !== 1 || !element[0]!.startsWith(`${port?.ifname} `)) {
    faults.push(`control elements [${element.join(", ")}], port ${port?.ifname}`);
  }
  return faults;
}

/** Waits until all vnodes are as promised. */
export async function settled(
  box: Sandbox,
  what: string,
  vnodes: WantedVnodes,
  wanted: Readonly<Record<string, "up" | "halted" | "any">>,
  deadlineMs = 20_000,
): Promise<void> {
  await box.until(what, async (seen) => {
    const faults: string[] = [];
    for (const [vnode, state] of Object.entries(wanted)) {
      faults.push(...(await faultsOf(box, vnode, vnodes[vnode]!, state)).map((one) => `${vnode}: ${one}`));
    }
    seen(faults);
    return faults.length === 0;
  }, { deadlineMs });
}

/** What the watch says of itself; null when none runs. */
export async function watchState(
  box: Sandbox,
): Promise<
  | { pid: number; connected: boolean; lastResync: string | null; resyncReason: string; degraded: unknown[] }
  | null
> {
  const said = await box.run(["cat", "/run/berth/watch.json"]);
  return said.exit === 0 ? JSON.parse(said.stdout) : null;
}

/** Starts a watch and waits until it has looked at everything. */
export async function startWatch(box: Sandbox): Promise<{ process: Background; pid: number }> {
  const before = (await watchState(box))?.lastResync ?? null;
  const process = box.spawn(["bash", "-c", "exec berth watch 2>>/run/sandbox/watch.log"]);
  const state = await box.until("the watch to have looked", async (seen) => {
    const state = await watchState(box);
    seen(state ?? (await box.sh("tail -n 5 /run/sandbox/watch.log || true")));
    return state !== null && state.connected && state.lastResync !== before && state.lastResync !== null
      ? state
      : null;
  }, { deadlineMs: 30_000 });
  return { process, pid: state.pid };
}

/** Asks the watch for a full look and waits until it is done. */
export async function fullLook(box: Sandbox, pid: number): Promise<void> {
  const before = (await watchState(box))?.lastResync;
  await box.sh(`kill -HUP ${pid}`);
  await box.until("a full look on SIGHUP", async (seen) => {
    const state = await watchState(box);
    seen(state);
    return state?.lastResync !== before && state?.resyncReason === "SIGHUP";
  }, { deadlineMs: 20_000 });
}

/** The end of the watch's log, for messages. */
export async function watchLog(box: Sandbox, lines = 40): Promise<string> {
  return (await box.run(["tail", "-n", String(lines), "/run/sandbox/watch.log"])).stdout;
}

/** Lines that only one of two dumps has: a whole dump in a failure hides them. */
export function changed(before: string, after: string): readonly string[] {
  const [old, now] = [before, after].map((text) =>
    text.replace(/(hold|message_age|forward_delay)_timer +[0-9.]+ */g, "").split("\n")
  ) as [string[], string[]];
  const [there, here] = [new Set(old), new Set(now)];
  return [
    ...old.filter((line) => !here.has(line)).map((line) => `-${line}`),
    ...now.filter((line) => !there.has(line)).map((line) => `+${line}`),
  ];
}
