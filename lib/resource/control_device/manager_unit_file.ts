// Files of systemd's syntax as lists of sections and lines, and what a .network file becomes when its device is a port
// of the control bridge: one part for the bridge, one for the port. Pure; nothing here reads or writes.

/** One section with its lines, in the file's order; sections of one name may come more than once. */
export interface UnitSection {
  readonly name: string;
  /** Key and value; an empty value resets what stood before. */
  readonly lines: readonly (readonly [key: string, value: string])[];
}

/** Parses systemd's syntax: comments left out, lines that end in a backslash joined. What is no assignment is ignored. */
export function parseUnitFile(text: string): readonly UnitSection[] {
  const sections: { name: string; lines: [string, string][] }[] = [];
  let pending = "";
  for (const raw of text.split("\n")) {
    if (/^\s*[#;]/.test(raw)) continue; // also between joined lines
    const line = pending + raw.trim();
    if (line.endsWith("\\")) {
      pending = `${line.slice(0, -1).trimEnd()} `;
      continue;
    }
    pending = "";
    const header = /^\[(.+)\]$/.exec(line);
    if (header !== null) sections.push({ name: header[1]!, lines: [] });
    const at = line.indexOf("=");
    if (header === null && at > 0) {
      sections.at(-1)?.lines.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
    }
  }
  return sections;
}

/** The text of sections; those without lines are left out. */
export function unitText(sections: readonly UnitSection[]): string {
  return sections.filter(({ lines }) => lines.length > 0)
    .map(({ name, lines }) => `[${name}]\n${lines.map(([key, value]) => `${key}=${value}\n`).join("")}`)
    .join("\n");
}

/** The last value of a key, or undefined; an empty assignment counts as none. */
export function lastValue(
  sections: readonly UnitSection[],
  section: string,
  key: string,
): string | undefined {
  const values = sections.filter(({ name }) => name === section)
    .flatMap(({ lines }) => lines.filter(([one]) => one === key).map(([, value]) => value));
  const last = values.at(-1);
  return last === "" ? undefined : last;
}

/** All values of a key that count, in order: an empty one resets those before. */
export function allValues(sections: readonly UnitSection[], section: string, key: string): readonly string[] {
  const values = sections.filter(({ name }) => name === section)
    .flatMap(({ lines }) => lines.filter(([one]) => one === key).map(([, value]) => value));
  return values.slice(values.lastIndexOf("") + 1);
}

/** Sections that speak of addresses and the like (systemd.network(5)): they follow the address to the bridge. */
const LAYER_3 = new Set([
  ...["Address", "Route", "RoutingPolicyRule", "Neighbor", "NextHop", "IPv6AddressLabel"],
  ...["DHCP", "DHCPv4", "DHCPv6", "DHCPPrefixDelegation", "IPv6PrefixDelegation", "IPv6AcceptRA"],
  ...["IPv6SendRA", "IPv6Prefix", "IPv6RoutePrefix", "IPv6PREF64Prefix"],
  ...["DHCPServer", "DHCPServerStaticLease"],
]);
/** Keys of [Network] that stay with the port: what is stacked on the device itself. A VLAN on a port still works. */
const PORT_NETWORK = new Set(["VLAN", "LLDP", "EmitLLDP", "Description"]);
/** Keys of [Network] that make it the port of something, or take what a port needs: no bridge beside them. */
const MASTERS = ["Bridge", "Bond", "VRF", "BatmanAdvanced", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "Xfrm"];
/** Keys of [Link] by where they belong; all others go to the bridge. */
const PORT_LINK = new Set(["MACAddress", "Group", "Promiscuous", "AllMulticast"]);
const BOTH_LINK = new Set(["MTUBytes"]);

/** A .network file divided. */
export interface DividedNetwork {
  readonly bridge: readonly UnitSection[];
  readonly port: readonly UnitSection[];
  /** Assignments of [Network] that a port of the control bridge cannot have: "Bond=bond0". */
  readonly against: readonly string[];
}

/** Divides what stands in a device's .network file, drop-ins appended, between the bridge and its port. */
export function divideNetwork(sections: readonly UnitSection[]): DividedNetwork {
  const bridge: UnitSection[] = [];
  const port: UnitSection[] = [];
  for (const section of sections) {
    const { name, lines } = section;
    if (name === "Match") continue;
    if (LAYER_3.has(name)) bridge.push(section);
    else if (name === "Network") {
      bridge.push({ name, lines: lines.filter(([key]) => !PORT_NETWORK.has(key) && !MASTERS.includes(key)) });
      port.push({ name, lines: lines.filter(([key]) => PORT_NETWORK.has(key)) });
    } else if (name === "Link") {
      bridge.push({ name, lines: lines.filter(([key]) => !PORT_LINK.has(key)) });
      port.push({ name, lines: lines.filter(([key]) => PORT_LINK.has(key) || BOTH_LINK.has(key)) });
    } else port.push(section); // queueing, SR-IOV and the like
  }
  const against = MASTERS.flatMap((key) =>
    allValues(sections, "Network", key).map((value) => `${key}=${value}`)
  );
  return { bridge, port, against };
}
