// What systemd-networkd is told of a moved device: files of ours with lower numbers than the device's own, which is not
// touched. Without them all is as before. Pure but for reading; how networkd hears of it is manager_networkd_told.ts's.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { ManagedDevice } from "./manager_types.ts";
import {
  allValues,
  type DividedNetwork,
  divideNetwork,
  lastValue,
  parseUnitFile,
  type UnitSection,
  unitText,
} from "./manager_unit_file.ts";

/** Where networkd looks, the strongest first (systemd.network(5)). */
const FOLDERS = [
  "/etc/systemd/network",
  "/run/systemd/network",
  "/usr/local/lib/systemd/network",
  "/usr/lib/systemd/network",
  "/lib/systemd/network",
];
/** Beginnings of our files' names, the first that sorts before the device's own file is taken. */
const PREFIXES = ["05-berth-control", "00-berth-control", "00-00-berth-control", "0-0-berth-control"];
/** What networkd leaves alone: before an operator's files, which begin at 10 as a rule, and after PREFIXES. */
export const UNMANAGED_FILE = "/etc/systemd/network/05-berth-unmanaged.network";
const MARK = "# berth: the control network on ";
const FROM = "# berth: from ";

/** Paths of our three files. */
export interface NetworkdPaths {
  readonly netdev: string;
  readonly bridge: string;
  readonly port: string;
}

/** Our files by path. */
export interface NetworkdForm {
  readonly paths: NetworkdPaths;
  readonly files: Readonly<Record<string, string>>;
}

/** The paths with this beginning of a name. */
export function networkdPaths(prefix: string): NetworkdPaths {
  const at = `${FOLDERS[0]}/${prefix}`;
  return { netdev: `${at}.netdev`, bridge: `${at}.network`, port: `${at}-port.network` };
}

/** Ours, by its name; whatever the number. */
export function isOurNetworkFile(path: string): boolean {
  return PREFIXES.some((prefix) => path.startsWith(`${FOLDERS[0]}/${prefix}`));
}

/** The device's own file as our port's file names it, or null where there is none of ours. */
export async function originalNetworkFile(look: Look, device: string): Promise<string | null> {
  for (const prefix of PREFIXES) {
    const text = await look.readText(networkdPaths(prefix).port);
    if (text === null || !text.startsWith(`${MARK}${device}\n`)) continue;
    const from = text.split("\n").find((line) => line.startsWith(FROM));
    if (from !== undefined) return from.slice(FROM.length);
  }
  return null;
}

/** The devices that files of ours speak of. */
export async function networkdDevices(look: Look): Promise<readonly string[]> {
  const texts = await Promise.all(PREFIXES.map((prefix) => look.readText(networkdPaths(prefix).port)));
  return texts.flatMap((text) => text?.startsWith(MARK) ? [text.slice(MARK.length, text.indexOf("\n"))] : []);
}

/** The file's text with its drop-ins after it, as networkd reads them; null where it is gone. */
export async function networkText(look: Look, path: string): Promise<string | null> {
  const text = await look.readText(path);
  if (text === null) return null;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dropIns = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const one of await look.list(`${folder}/${name}.d`) ?? []) {
      if (one.endsWith(".conf") && !dropIns.has(one)) dropIns.set(one, `${folder}/${name}.d/${one}`);
    }
  }
  const parts = [text];
  for (const one of [...dropIns.keys()].sort()) parts.push(await look.readText(dropIns.get(one)!) ?? "");
  return parts.join("\n");
}

/**
 * Whether files of the operator's (netplan's are) make this bridge: one that names it, or has a device as its port.
 * Those that berth writes do not count, nor what is about every link.
 */
export async function isOperatorsBridge(look: Look, bridge: string): Promise<boolean> {
  const seen = new Set<string>();
  for (const folder of FOLDERS) {
    for (const name of await look.list(folder) ?? []) {
      // The strongest folder's file of a name counts, an empty one included.
      if (!name.endsWith(".network") || seen.has(name)) continue;
      seen.add(name);
      const path = `${folder}/${name}`;
      if (isOurNetworkFile(path) || path === UNMANAGED_FILE) continue;
      if (speaksOf(parseUnitFile(await networkText(look, path) ?? ""), bridge)) return true;
    }
  }
  return false;
}

function speaksOf(sections: readonly UnitSection[], bridge: string): boolean {
  const names = allValues(sections, "Match", "Name").flatMap((value) => value.split(/\s+/));
  return names.includes(bridge) || isPortOf(sections, bridge);
}

/** Whether a device's file makes it a port of this bridge. */
export function isPortOf(sections: readonly UnitSection[], bridge: string): boolean {
  return lastValue(sections, "Network", "Bridge") === bridge;
}

/** The name our files begin with: sorting before the device's own. @throws {BerthError} code `refused` */
export function prefixBefore(networkFile: string): string {
  const name = networkFile.slice(networkFile.lastIndexOf("/") + 1);
  const prefix = PREFIXES.find((one) => `${one}-port.network` < name);
  if (prefix !== undefined) return prefix;
  throw new BerthError({
    code: "refused",
    object: `file ${networkFile}`,
    message: `No file of berth's can come before "${name}", which networkd reads in the order of names`,
    next: `Rename "${networkFile}" to "10-${name.replace(/^[^A-Za-z]*/, "")}", then run "networkctl reload"`,
  });
}

/** IAID of a client identifier of RFC 4361 (ff, IAID, DUID), or null for one of another kind. */
export function iaidOf(clientId: string): number | null {
  return /^ff[0-9a-f]{12,}$/i.test(clientId) ? Number.parseInt(clientId.slice(2, 10), 16) : null;
}

/**
 * Our files for a device.
 *
 * @param network the device's own file, drop-ins appended.
 * @param iaid of the device's leases. networkd makes it from a device's name, so the bridge's would be another one,
 * and the server would give another address. null: not known; undefined: there is no lease to be kept.
 * @throws {BerthError} code `refused` where the device cannot be a port, or its leases cannot be kept.
 */
export function networkdForm(
  found: Pick<ManagedDevice, "device" | "bridge" | "alias" | "mac">,
  networkFile: string,
  network: string,
  iaid: number | null | undefined,
): NetworkdForm {
  const { device, bridge, alias, mac } = found;
  const paths = networkdPaths(prefixBefore(networkFile));
  const divided = divideNetwork(parseUnitFile(network));
  if (divided.against.length > 0) throw notAPort(device, networkFile, divided);
  const head =
    `${MARK}${device}\n${FROM}${networkFile}\n# Changes belong there; "berth host up" follows them, ` +
    '"berth host down" takes this file away.\n\n';
  const port = unitText([
    { name: "Match", lines: [["Name", device]] },
    { name: "Network", lines: [["Bridge", bridge]] },
    // The bridge is waited for in its stead.
    { name: "Link", lines: [["RequiredForOnline", "no"]] },
    ...divided.port,
  ]);
  const bridged = unitText([
    { name: "Match", lines: [["Name", bridge]] },
    ...divided.bridge,
    ...identity(networkFile, divided, iaid),
    // Known to networkd, which drops addresses that it does not know.
    { name: "Address", lines: [["Address", alias]] },
  ]);
  const netdev = unitText([
    { name: "NetDev", lines: [["Name", bridge], ["Kind", "bridge"], ["MACAddress", mac]] },
    // As lib/resource/kinds/link.ts makes bridges; 65528 is 0xfff8.
    { name: "Bridge", lines: [["STP", "no"], ["MulticastSnooping", "no"], ["GroupForwardMask", "65528"]] },
  ]);
  return {
    paths,
    files: { [paths.netdev]: head + netdev, [paths.port]: head + port, [paths.bridge]: head + bridged },
  };
}

/** DHCP= of a .network file in lower case; legacy words are v4 and v6, and "both" for "yes". */
function dhcpOf(sections: readonly UnitSection[]): string {
  return (lastValue(sections, "Network", "DHCP") ?? "no").toLowerCase();
}

/** Whether it asks for DHCPv6 leases and no others. */
export function asksOnlyDhcp6(network: string): boolean {
  return ["ipv6", "v6"].includes(dhcpOf(parseUnitFile(network)));
}

/** Sections with the IAID, for the protocols in use that do not name one themselves. */
function identity(networkFile: string, { bridge }: DividedNetwork, iaid: number | null | undefined) {
  if (iaid === undefined) return [];
  const dhcp = dhcpOf(bridge);
  const isAny = ["yes", "true", "on", "1", "both"].includes(dhcp);
  const wants4 = (isAny || dhcp === "ipv4" || dhcp === "v4") &&
    lastValue(bridge, "DHCPv4", "ClientIdentifier") !== "mac" &&
    lastValue(bridge, "DHCP", "ClientIdentifier") !== "mac";
  const hasRa = (lastValue(bridge, "Network", "IPv6AcceptRA") ?? "yes") !== "no";
  // With both, DHCPv6 is in use only where a router asks for it: no reason to refuse.
  const wants6 = dhcp === "ipv6" || dhcp === "v6";
  const lacks = (section: string) =>
    lastValue(bridge, section, "IAID") === undefined && lastValue(bridge, "DHCP", "IAID") === undefined;
  const of4 = wants4 && lacks("DHCPv4");
  const of6 = wants6 && lacks("DHCPv6");
  if (iaid !== null) {
    const line = { lines: [["IAID", String(iaid)]] as [string, string][] };
    // A router may ask for DHCPv6 where only its announcements are accepted.
    const also6 = of6 || ((isAny || hasRa) && lacks("DHCPv6"));
    return [...(of4 ? [{ name: "DHCPv4", ...line }] : []), ...(also6 ? [{ name: "DHCPv6", ...line }] : [])];
  }
  if (!of4 && !of6) return [];
  throw new BerthError({
    code: "refused",
    object: `file ${networkFile}`,
    message: `Cannot keep the leases: networkd tells no IAID, because there is ${
      of6 ? "no DHCPv6 client at work" : "no DHCPv4 lease"
    }`,
    next:
      `Wait for the lease${
        isAny ? ', or, where only IPv6 is to be had, write "DHCP=ipv6" instead' : ""
      }; or add to "${networkFile}" the IAID that the server knows:\n` +
      (of4 ? "[DHCPv4]\nIAID=NUMBER\n" : "") + (of6 ? "[DHCPv6]\nIAID=NUMBER\n" : ""),
  });
}

function notAPort(device: string, networkFile: string, { against }: DividedNetwork): BerthError {
  return new BerthError({
    code: "refused",
    object: `device ${device}`,
    message: `Device "${device}" cannot be a port of the control network: "${networkFile}" has ${
      against.map((line) => `"${line}"`).join(", ")
    }`,
    next: "Name the device that bears the addresses in controlNet.device, or take these lines away",
  });
}

/** The IAID that our own bridge file has from an earlier run, or null. */
export function iaidOfForm(text: string): number | null {
  const sections = parseUnitFile(text);
  const value = allValues(sections, "DHCPv4", "IAID")[0] ?? allValues(sections, "DHCPv6", "IAID")[0];
  return value === undefined || !/^\d+$/.test(value) ? null : Number(value);
}
