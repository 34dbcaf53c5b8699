// DHCP clients and network managers that run, found by their processes: what is true whatever init system started them.
// Reads /proc only.
import type { Look } from "../../host/types.ts";
import type { DhcpClient } from "./manager_types.ts";

/** A process as far as its argument vector tells. */
export interface RunningProcess {
  readonly pid: number;
  /** Base name of the program; a title such as "dhcpcd: eth0 [ip4]" counts to its colon. */
  readonly program: string;
  readonly argv: readonly string[];
}

const PROGRAMS = new Set([
  ...["dhclient", "udhcpc", "dhcpcd", "busybox"],
  ...["NetworkManager", "connmand", "systemd-networkd"],
]);

/** The processes of managers and clients in this network namespace: a vnode may run a client of its own. */
export async function networkProcesses(look: Look): Promise<readonly RunningProcess[]> {
  const own = await look.readLink("/proc/self/ns/net");
  const found: RunningProcess[] = [];
  for (const pid of (await look.list("/proc") ?? []).filter((name) => /^\d+$/.test(name))) {
    const argv = (await look.readText(`/proc/${pid}/cmdline`))?.split("\0").filter((word) => word !== "") ??
      [];
    const program = (argv[0] ?? "").split(/[ :]/)[0]!.split("/").at(-1)!;
    if (!PROGRAMS.has(program) || await look.readLink(`/proc/${pid}/ns/net`) !== own) continue;
    const isBox = program === "busybox";
    if (isBox && argv[1] !== "udhcpc") continue;
    found.push({ pid: Number(pid), program: isBox ? "udhcpc" : program, argv });
  }
  return found;
}

/** The DHCP clients that hold this link. */
export async function clientsOf(look: Look, link: string): Promise<readonly DhcpClient[]> {
  return (await networkProcesses(look)).filter(({ program, argv }) =>
    ["dhclient", "udhcpc", "dhcpcd"].includes(program) &&
    (argv.includes(link) || new RegExp(`^dhcpcd: (\\S+: )?${link}( |$)`).test(argv.join(" ")))
  );
}

/** Whether a dhcpcd that was told of no link, and so takes all that its configuration does not deny it, takes this one. */
export async function isDhcpcds(look: Look, link: string): Promise<boolean> {
  const isForAll = ({ program, argv }: RunningProcess) =>
    program === "dhcpcd" &&
    (/\[(manager|master)\]/.test(argv.join(" ")) || argv.slice(1).every((word) => word.startsWith("-"))) &&
    !/^dhcpcd: [^[]/.test(argv.join(" "));
  if (!(await networkProcesses(look)).some(isForAll)) return false;
  const lines = (await look.readText("/etc/dhcpcd.conf") ?? "").split("\n").map((line) =>
    line.trim().split(/[\s,]+/)
  );
  const matches = (keyword: string) =>
    lines.filter(([word]) => word === keyword).flatMap(([, ...patterns]) => patterns).map((pattern) =>
      new RegExp(
        `^${pattern.replaceAll(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`,
      )
    );
  const allowed = matches("allowinterfaces");
  if (allowed.length > 0 && !allowed.some((pattern) => pattern.test(link))) return false;
  return !matches("denyinterfaces").some((pattern) => pattern.test(link));
}
