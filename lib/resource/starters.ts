// Who else would start containers at boot: units, init scripts, rc.local, cron's @reboot, the engine's own restart
// policies. A unit that starts vnodes and nothing else is switched off, and given back by undo; all others are only
// told: they are somebody else's. berth's own containers' policies are restart_policy.ts'.
import type { Look } from "../host/types.ts";
import { MARK } from "./rc/mark.ts";
import type { Change, Resource } from "./types.ts";

/** One way by which containers come up at boot without berth. */
export interface Starter {
  /** "unit web.service", "/etc/rc.local:12". */
  readonly place: string;
  /** The line that does it, or what is known of it. */
  readonly what: string;
  /** Vnodes that it names. */
  readonly vnodes: readonly string[];
}

const UNITS = "/etc/systemd/system";
/** Units that start guests without a line that says so. */
const KNOWN: Readonly<Record<string, string>> = {
  "libvirt-guests.service": "starts the guests of libvirt that ran before",
  "lxc.service": "starts LXC's containers that are marked for it",
  "podman-restart.service": 'starts Podman\'s containers with restart policy "always"',
};
/** Init scripts of engines themselves: that their containers come with them is told by restart policies. */
const ENGINES = new Set(["docker", "containerd", "berth", "berth-prepare"]);
const CLIENT = String.raw`(^|[\s/;&|"'(@-])(docker|podman|nerdctl)`;
const OPTIONS = String.raw`(\s+(-[Hlc]\s+\S+|--(host|context|config|log-level)\s+\S+|-\S+|\$\S+|container))*`;
const STARTS = new RegExp(
  String
    .raw`${CLIENT}${OPTIONS}\s+(start|run|restart)\s+[^\s;&|]|${CLIENT}[ -]compose\s(.*\s)?(up|start|restart)\s`,
);

/** True for a line that starts containers with a command-line client. Comments start nothing. */
export function startsContainers(line: string): boolean {
  return !/^\s*[#;]/.test(line) && STARTS.test(`${line} `);
}

/** Which of these names stand as whole words in a text. */
export function namedIn(text: string, names: readonly string[]): readonly string[] {
  const words = new Set(text.split(/[\s"';|&()=]+/));
  return names.filter((name) => words.has(name));
}

/** Enabled units as far as they start containers. */
export interface StarterUnits {
  /** All links that enable units, path → target. */
  readonly links: Readonly<Record<string, string>>;
  /** By unit: its starting lines, its links, and the vnodes it names where it starts nothing but vnodes. */
  readonly units: Readonly<
    Record<string, {
      readonly lines: readonly string[];
      readonly links: readonly string[];
      readonly vnodes: readonly string[];
      readonly onlyVnodes: boolean;
    }>
  >;
}

/** No unit of the machine starts vnodes behind berth's back: those that start nothing else are disabled. */
export function noStarterUnits(label: string): Resource<StarterUnits, Readonly<Record<string, string>>> {
  const id = "units that start vnodes";
  const guilty = (found: StarterUnits | null) =>
    Object.entries(found?.units ?? {}).filter(([, unit]) => unit.onlyVnodes);
  const relink = (links: Readonly<Record<string, string>>) =>
    Object.entries(links).map(([path, target]) => ({ run: { argv: ["ln", "-sfn", target, path] } }));
  return {
    id,
    desired: { links: {}, units: {} },
    observe: async (look) => await observeUnits(look, await vnodeNames(look, label)),
    diff: (found) =>
      guilty(found).map(([name, { links, vnodes }]): Change => ({
        resource: `unit ${name}`,
        verb: "update",
        why: `enabled, and starts ${vnodes.join(", ")} behind berth's back`,
        risk: "safe",
        do: links.map((path) => ({ remove: path })),
        undo: relink(Object.fromEntries(links.map((path) => [path, found!.links[path]!]))),
      })),
    prior: (found) =>
      Object.fromEntries(
        guilty(found).flatMap(([, { links }]) => links.map((path) => [path, found!.links[path]!])),
      ),
    mergePriors: (first, later) => ({ ...later, ...first }),
    revert(prior, found) {
      const missing = Object.entries(prior).filter(([path]) => found?.links[path] === undefined);
      return missing.length === 0 ? [] : [{
        resource: id,
        verb: "update",
        why: "disabled by berth",
        risk: "safe",
        do: relink(Object.fromEntries(missing)),
        undo: [],
      }];
    },
  };
}

/** All who would start containers at boot, vnodes or others', for people. Only looks. */
export async function findStarters(look: Look, label: string): Promise<readonly Starter[]> {
  const vnodes = await vnodeNames(look, label);
  const found = (place: string, what: string): Starter => ({
    place,
    what: what.trim().slice(0, 120),
    vnodes: namedIn(what, vnodes),
  });
  const { units } = await observeUnits(look, vnodes);
  const ofUnits = Object.entries(units).map(([name, { lines }]) => found(`unit ${name}`, lines.join("; ")));
  const files = [...await scriptFiles(look), ...await cronFiles(look)];
  const ofFiles = await Promise.all(files.map(async ({ path, wants }) => {
    const lines = (await look.readText(path).catch(() => null) ?? "").split("\n");
    return lines.flatMap((line, at) =>
      wants.test(line) && startsContainers(line) ? [found(`${path}:${at + 1}`, line)] : []
    );
  }));
  return [...ofUnits, ...ofFiles.flat(), ...await policies(look, label)];
}

async function vnodeNames(look: Look, label: string): Promise<readonly string[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const listed = await look.engine(`/containers/json?all=1&filters=${filters}`);
  if (listed?.status !== 200) return [];
  return (listed.body as readonly { readonly Names: readonly string[] }[])
    .flatMap(({ Names }) => Names.map((name) => name.replace(/^\//, "")));
}

async function observeUnits(look: Look, vnodes: readonly string[]): Promise<StarterUnits> {
  const folders = (await look.list(UNITS) ?? []).filter((name) => /\.(wants|requires)$/.test(name));
  const links: Record<string, string> = {};
  await Promise.all(folders.map(async (folder) => {
    for (const name of await look.list(`${UNITS}/${folder}`) ?? []) {
      const path = `${UNITS}/${folder}/${name}`;
      const target = await look.readLink(path);
      if (target !== null) links[path] = target;
    }
  }));
  const units: Record<string, StarterUnits["units"][string]> = {};
  for (const path of Object.keys(links).sort()) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const text = await look.readText(path).catch(() => null) ?? await readTarget(look, path, links[path]!);
    const lines = text.split("\n").includes(MARK) ? [] : linesOf(name, text);
    if (lines.length === 0) continue;
    const named = namedIn(lines.join(" "), vnodes);
    units[name] = {
      lines,
      links: [...units[name]?.links ?? [], path],
      vnodes: named,
      onlyVnodes: lines.every((line) => startsOnly(line, vnodes)),
    };
  }
  return { links, units };
}

/** Hosts whose files know no links read the target by its own path. */
async function readTarget(look: Look, path: string, target: string): Promise<string> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const full = target.startsWith("/") ? target : `${folder}/${target}`;
  return await look.readText(full).catch(() => null) ?? "";
}

/** What a unit starts: its lines, with the instance's name in place, or what is known of it. */
function linesOf(name: string, text: string): readonly string[] {
  const known = KNOWN[name];
  if (known !== undefined) return [known];
  const instance = /@(.*)\.service$/.exec(name)?.[1] ?? "";
  return [...text.matchAll(/^ExecStart(?:Pre|Post)?=(.*)$/gm)]
    .map((match) => match[1]!.replace(/%[iI]/g, instance))
    .filter(startsContainers);
}

/** True for `docker start NAME…` (or restart) with nothing but vnodes' names after it. */
function startsOnly(line: string, vnodes: readonly string[]): boolean {
  const words = line.trim().split(/\s+/).slice(1);
  const at = words.findIndex((word) => word === "start" || word === "restart");
  const names = at < 0 ? [] : words.slice(at + 1).filter((word) => !word.startsWith("-"));
  return names.length > 0 && names.every((name) => vnodes.includes(name));
}

interface Searched {
  readonly path: string;
  readonly wants: RegExp;
}

async function scriptFiles(look: Look): Promise<readonly Searched[]> {
  const links = (await look.list("/etc/rc2.d") ?? []).filter((name) => /^S\d\d/.test(name));
  const scripts = links.map((name) => name.slice(3)).filter((name) => !ENGINES.has(name));
  const local = await look.stat("/etc/rc.local");
  return [
    ...scripts.map((name) => ({ path: `/etc/init.d/${name}`, wants: /./ })),
    // Nobody runs one that is not executable (systemd-rc-local-generator(8)).
    ...(local !== null && (local.mode & 0o111) !== 0 ? [{ path: "/etc/rc.local", wants: /./ }] : []),
  ];
}

async function cronFiles(look: Look): Promise<readonly Searched[]> {
  const folders = ["/etc/cron.d", "/var/spool/cron/crontabs"];
  const listed = await Promise.all(
    folders.map(async (folder) =>
      (await look.list(folder).catch(() => null) ?? []).map((name) => `${folder}/${name}`)
    ),
  );
  return ["/etc/crontab", ...listed.flat()].map((path) => ({ path, wants: /^\s*@reboot\s/ }));
}

/** Others' containers that the engine itself starts again. */
async function policies(look: Look, label: string): Promise<readonly Starter[]> {
  const listed = await look.engine("/containers/json?all=1");
  if (listed?.status !== 200) return [];
  const others = (listed.body as readonly {
    readonly Id: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
  }[]).filter(({ Labels }) => Labels?.[label] === undefined);
  const found = await Promise.all(others.map(async ({ Id }): Promise<Starter | null> => {
    const answer = await look.engine(`/containers/${Id}/json`);
    if (answer?.status !== 200) return null;
    const body = answer.body as {
      readonly Name: string;
      readonly HostConfig?: { readonly RestartPolicy?: { readonly Name?: string } };
    };
    const policy = body.HostConfig?.RestartPolicy?.Name || "no";
    const place = `container ${body.Name.replace(/^\//, "")}`;
    return policy === "no" ? null : { place, what: `restart policy "${policy}"`, vnodes: [] };
  }));
  return found.filter((one) => one !== null);
}
