// What dockerd's command line sets, and where it says so: the unit with its drop-ins and environment files, Debian's
// /etc/default/docker. dockerd refuses to start with a key that a flag sets too, so this is found before it is tried.
// Only looks and compares. The same for keys of the file itself that exclude each other.
import type { Look } from "../host/types.ts";
import { BerthError, type Issue } from "../log/error.ts";
import type { Json } from "./engine_look.ts";
import type { InitSystem } from "./engine_service.ts";
import { overlap, parseSubnet } from "./ipv4.ts";

/** A piece of a command line, and the file it stands in. */
export interface FlagLine {
  readonly where: string;
  readonly line: string;
}

/** A flag that sets what a key sets too. */
export interface Clash {
  readonly flag: string;
  readonly key: string;
  readonly where: string;
}

const DEFAULTS = "/etc/default/docker";
/** Where systemd looks for units and drop-ins, the first one winning (systemd.unit(5)). */
const UNIT_FOLDERS = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** Flags that set a key's value under another name, or exclude it. Source: moby, cmd/dockerd/config*.go. */
const OTHER_FLAGS: Readonly<Record<string, readonly string[]>> = {
  "allow-nondistributable-artifacts": ["--allow-nondistributable-artifacts"],
  "authorization-plugins": ["--authorization-plugin"],
  // dockerd: "You specified -b & --bip, mutually exclusive options"
  "bip": ["--bip", "-b", "--bridge"],
  "cluster-store-opts": ["--cluster-store-opt"],
  "data-root": ["--data-root", "-g", "--graph"],
  "debug": ["--debug", "-D"],
  "default-address-pools": ["--default-address-pool"],
  "default-ulimits": ["--default-ulimit"],
  "dns-opts": ["--dns-opt"],
  "exec-opts": ["--exec-opt"],
  "group": ["--group", "-G"],
  "hosts": ["-H", "--host"],
  "insecure-registries": ["--insecure-registry"],
  "labels": ["--label"],
  "log-level": ["--log-level", "-l"],
  "log-opts": ["--log-opt"],
  "node-generic-resources": ["--node-generic-resource"],
  "pidfile": ["--pidfile", "-p"],
  "registry-mirrors": ["--registry-mirror"],
  "runtimes": ["--add-runtime"],
  "storage-driver": ["--storage-driver", "-s"],
  "storage-opts": ["--storage-opt"],
};

/** dockerd's usual socket, and other words for it in `hosts`; "fd://" is the one that docker.socket holds. */
export const USUAL_SOCKET = "/var/run/docker.sock";
const USUAL_HOSTS = ["unix:///run/docker.sock", "unix://", "fd://"];

/** Flags that set what keys of daemon.json set too, each once. Pure. */
export function clashingFlags(lines: readonly FlagLine[], keys: readonly string[]): readonly Clash[] {
  const found: Clash[] = [];
  for (const { where, line } of lines) {
    const words = line.split(/\s+/).map((word) => word.replace(/^["']|["']$/g, "").split("=")[0]!);
    for (const key of keys) {
      for (const flag of OTHER_FLAGS[key] ?? [`--${key}`]) {
        // "-Hfd://": a short flag with its value in one word.
        const isThere = words.some((word) =>
          word === flag || (/^-[Hg]$/.test(flag) && word.startsWith(flag))
        );
        if (isThere && !found.some((one) => one.flag === flag && one.key === key)) {
          found.push({ flag, key, where });
        }
      }
    }
  }
  return found;
}

/**
 * Refuses keys that flags set too (all those of a file that is to be started with: `--validate` knows nothing of the
 * unit's flags), and keys that exclude what others have set in the same file: dockerd's own
 * `--validate` accepts the latter, and dockerd then dies of them (20.10, 26.1, 28.5). And `hosts` without the socket
 * at which berth asks: such an engine runs, and nobody could tell it from one that does not.
 *
 * @throws {BerthError} code `config`, one issue each.
 */
export function refuseClashes(
  lines: readonly FlagLine[],
  keys: readonly string[],
  wanted: Json,
  socket: string = USUAL_SOCKET,
): void {
  const file = "/etc/docker/daemon.json";
  const issues: Issue[] = clashingFlags(lines, keys).map(({ flag, key, where }) => ({
    place: where,
    message: `Flag "${flag}" clashes with key "${key}" of ${file}`,
    next: key === "data-root"
      // Without either the engine would come up on its default, empty: its content is moved from where the key says.
      ? `Take "${flag}" out of ${where} and put its value as "data-root" into ${file}`
      : `Take "${flag}" out of ${where}`,
  }));
  if (keys.includes("bip") && typeof wanted.bridge === "string" && wanted.bridge !== "") {
    issues.push({
      place: file,
      message: `Key "bridge" (${JSON.stringify(wanted.bridge)}) excludes key "bip", which berth sets`,
      next: `Take "bridge" out of ${file}`,
    });
  }
  if (keys.includes("bip")) issues.push(...outsideBip(wanted, file));
  if (keys.includes("iptables") && wanted.iptables === false && wanted.icc === false) {
    issues.push({
      place: file,
      message: 'Key "icc" (false) excludes key "iptables" (false), which berth sets',
      next: `Take "icc" out of ${file}, or set engine.iptables: true in host.yaml`,
    });
  }
  const { hosts } = wanted;
  const own = [`unix://${socket}`, ...socket === USUAL_SOCKET ? USUAL_HOSTS : []];
  if (Array.isArray(hosts) && !hosts.some((one) => own.includes(String(one)))) {
    issues.push({
      place: file,
      message: `Key "hosts" (${JSON.stringify(hosts)}) leaves out the socket that berth asks at`,
      next: `Add "unix://${socket}" to "hosts", in engine.options of host.yaml or in ${file}`,
    });
  }
  const [first] = issues;
  if (first === undefined) return;
  throw new BerthError({
    code: "config",
    object: "engine docker",
    message: `${first.message} (found in ${first.place}): dockerd would not start, or not be reached`,
    next: first.next ?? "Remove one of both",
    issues,
  });
}

/** Addresses of docker0's own subnet, which moves with "bip": dockerd dies of those that are not in it. */
function outsideBip(wanted: Json, file: string): readonly Issue[] {
  const subnet = parseSubnet(String(wanted.bip));
  return ["fixed-cidr", "default-gateway"].flatMap((key): Issue[] => {
    const part = parseSubnet(String(wanted[key] ?? ""));
    if (subnet === null || part === null || (part.bits >= subnet.bits && overlap(part, subnet))) return [];
    return [{
      place: file,
      message: `Key "${key}" ("${wanted[key]}") is outside of key "bip" ("${wanted.bip}"), which berth sets`,
      next: `Take "${key}" out of ${file}, or set engine.bip in host.yaml to an address of its subnet`,
    }];
  });
}

/** What stands on dockerd's command line at its next start, by file. `running`: its command line now. */
export async function flagLines(look: Look, init: InitSystem, running: string): Promise<readonly FlagLine[]> {
  if (init === "systemd") return await unitLines(look);
  const options = assigned(await look.readText(DEFAULTS) ?? "").get("DOCKER_OPTS") ?? "";
  return [
    ...(options === "" ? [] : [{ where: DEFAULTS, line: options }]),
    ...(running === "" ? [] : [{ where: "dockerd's command line", line: running }]),
  ];
}

/** DOCKER_OPTS of Debian's script: what a dockerd that berth starts without systemd gets, too. */
export async function defaultOptions(look: Look): Promise<string> {
  return assigned(await look.readText(DEFAULTS) ?? "").get("DOCKER_OPTS") ?? "";
}

interface Part {
  readonly path: string;
  readonly text: string;
}

async function unitLines(look: Look): Promise<readonly FlagLine[]> {
  const start = startOfUnit(await unitParts(look));
  if (start === null) return [];
  const variables = new Map(start.environment);
  for (const path of start.files) {
    for (const [name, line] of assigned(await look.readText(path) ?? "")) {
      variables.set(name, { where: path, line });
    }
  }
  const used = [...start.line.matchAll(/\$\{?(\w+)\}?/g)]
    .flatMap(([, name]) => variables.get(name!) ?? []);
  return [{ where: start.where, line: start.line }, ...used];
}

/** The unit and its drop-ins in the order systemd reads them. */
async function unitParts(look: Look): Promise<readonly Part[]> {
  const dropIns = new Map<string, string>();
  let unit: Part | undefined;
  for (const folder of UNIT_FOLDERS) {
    const path = `${folder}/docker.service`;
    const text = unit === undefined ? await look.readText(path) : null;
    if (text !== null) unit = { path, text };
    for (const name of await look.list(`${path}.d`) ?? []) {
      if (name.endsWith(".conf") && !dropIns.has(name)) dropIns.set(name, `${path}.d/${name}`);
    }
  }
  if (unit === undefined) return [];
  const parts = [unit];
  for (const name of [...dropIns.keys()].sort()) {
    const path = dropIns.get(name)!;
    parts.push({ path, text: await look.readText(path) ?? "" });
  }
  return parts;
}

/** The last ExecStart, with where it stands, its variables, and the files with more of them. Pure. */
export function startOfUnit(parts: readonly Part[]): {
  readonly where: string;
  readonly line: string;
  readonly environment: ReadonlyMap<string, FlagLine>;
  readonly files: readonly string[];
} | null {
  let start: FlagLine | null = null;
  let environment = new Map<string, FlagLine>();
  let files: string[] = [];
  for (const { path, text } of parts) {
    let isService = false;
    for (const line of text.replaceAll(/\\\n/g, " ").split("\n")) {
      if (/^\s*\[/.test(line)) isService = line.trim() === "[Service]";
      const setting = isService ? /^\s*(ExecStart|Environment|EnvironmentFile)\s*=\s*(.*)$/.exec(line) : null;
      if (setting === null) continue;
      const value = setting[2]!.trim();
      // An empty value takes back what stood before (systemd.service(5)).
      if (setting[1] === "ExecStart") start = value === "" ? null : { where: path, line: value };
      else if (setting[1] === "EnvironmentFile") {
        files = value === "" ? [] : [...files, value.replace(/^-/, "")];
      } else if (value === "") environment = new Map();
      else for (const [name, what] of assigned(value)) environment.set(name, { where: path, line: what });
    }
  }
  return start === null ? null : { ...start, environment, files };
}

/** NAME=value, NAME="a b" and "NAME=a b", in a file of a shell's or in a unit's line. */
function assigned(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const plain = text.split("\n").filter((line) => !/^\s*[#;]/.test(line)).join("\n");
  const one =
    /(?:^|\s)(?:export\s+)?(?:"(\w+)=([^"]*)"|'(\w+)=([^']*)'|(\w+)=(?:"([^"]*)"|'([^']*)'|(\S*)))/g;
  for (const [, a, av, b, bv, c, dq, sq, bare] of plain.matchAll(one)) {
    found.set((a ?? b ?? c)!, av ?? bv ?? dq ?? sq ?? bare ?? "");
  }
  return found;
}
