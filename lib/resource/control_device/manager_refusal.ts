// What an operator writes down so that a manager berth does not write for holds the control bridge: lines and commands
// for this very device. Pure.
import { BerthError } from "../../log/error.ts";
import type { ManagedDevice } from "./manager_types.ts";
import { allValues, lastValue, parseUnitFile } from "./manager_unit_file.ts";

/** What is known beside the device: texts of the manager's own files, or null. */
export interface ManagerTexts {
  /** The .network file that netplan made. */
  readonly network?: string | null;
  /** NetworkManager's keyfile of the connection that is up on the device. */
  readonly connection?: string | null;
}

const NAMES: Readonly<Partial<Record<ManagedDevice["kind"], string>>> = {
  netplan: "netplan",
  networkmanager: "NetworkManager",
  connman: "ConnMan",
  dhcpcd: "dhcpcd",
  dhclient: "a dhclient that nobody is known to have started",
  udhcpc: "an udhcpc that nobody is known to have started",
  ifupdown2: "ifupdown2",
};

/** The refusal, with the lines to add. */
export function managerRefusal(found: ManagedDevice, texts: ManagerTexts = {}): BerthError {
  const { device, kind, bridge } = found;
  const lines = kind === "networkmanager"
    ? networkManagerLines(found, texts.connection ?? "")
    : kind === "netplan"
    ? netplanLines(found, texts.network ?? "")
    : otherLines(found);
  return new BerthError({
    code: "refused",
    object: `device ${device}`,
    message: `Device "${device}" is managed by ${
      NAMES[kind] ?? kind
    }, which would put its addresses back beside bridge "${bridge}"; berth does not write its files`,
    next: `Make the bridge there, then run this again:\n${lines.join("\n")}`,
  });
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function networkManagerLines(
  { device, bridge, mac, mtu, alias }: ManagedDevice,
  connection: string,
): string[] {
  const sections = parseUnitFile(connection);
  const settings = ["ipv4", "ipv6"].flatMap((family) => {
    const get = (key: string) => lastValue(sections, family, key);
    const set = (key: string, value: string | undefined) =>
      value === undefined || value === "" ? [] : [`${family}.${key} ${quoted(value)}`];
    // "address1=192.0.2.5/24,192.0.2.1": the address and, in older files, its gateway.
    const numbered = (stem: string) =>
      (sections.find(({ name }) => name === family)?.lines ?? [])
        .filter(([key]) => new RegExp(`^${stem}(es)?\\d+$`).test(key)).map(([, value]) => value);
    const found = numbered("address").map((value) => value.split(",")[0]!);
    const addresses = [...found, ...(family === "ipv4" ? [alias] : [])];
    const gateway = get("gateway") ?? numbered("address").map((value) => value.split(",")[1]).find(Boolean);
    const list = (value: string | undefined) => value?.replaceAll(";", ",").replace(/,$/, "");
    return [
      ...set("method", get("method") ?? "auto"),
      ...set("addresses", addresses.join(",")),
      ...set("gateway", gateway),
      ...set("routes", numbered("route").map((value) => value.replaceAll(",", " ")).join(",")),
      ...set("dns", list(get("dns"))),
      ...set("dns-search", list(get("dns-search"))),
      ...set("dhcp-client-id", get("dhcp-client-id")),
      ...set("dhcp-iaid", get("dhcp-iaid")),
      ...set("dhcp-duid", get("dhcp-duid")),
      ...set("route-metric", get("route-metric")),
    ];
  });
  const was = lastValue(sections, "connection", "uuid") ??
    `"$(nmcli -g GENERAL.CONNECTION device show ${device})"`;
  const large = mtu === 1500 ? "" : ` 802-3-ethernet.mtu ${mtu}`;
  return [
    `nmcli connection add type bridge con-name ${bridge} ifname ${bridge} bridge.stp no bridge.multicast-snooping no` +
    ` bridge.group-forward-mask 65528 bridge.mac-address ${mac} ${settings.join(" ")}`,
    `nmcli connection add type ethernet con-name ${bridge}-port ifname ${device} master ${bridge} slave-type bridge${large}`,
    `nmcli connection modify ${was} connection.autoconnect no`,
    `nmcli connection up ${bridge} && nmcli connection up ${bridge}-port`,
  ];
}

function netplanLines({ device, bridge, mac, mtu, alias }: ManagedDevice, network: string): string[] {
  const sections = parseUnitFile(network);
  const dhcp = lastValue(sections, "Network", "DHCP") ?? "no";
  const has = (family: string) => ["yes", "true", "both", family].includes(dhcp);
  const addresses = [
    ...allValues(sections, "Network", "Address"),
    ...allValues(sections, "Address", "Address"),
    alias,
  ];
  const dns = allValues(sections, "Network", "DNS").flatMap((value) => value.split(/\s+/));
  const domains = allValues(sections, "Network", "Domains").flatMap((value) => value.split(/\s+/));
  const one = (lines: readonly (readonly [string, string])[], key: string) =>
    lines.find(([name]) => name === key)?.[1];
  const routes = [
    ...allValues(sections, "Network", "Gateway").map((via) => ({ to: "default", via, metric: undefined })),
    ...sections.filter(({ name }) => name === "Route").map(({ lines }) => ({
      to: (one(lines, "Destination") ?? "default").replace(/^(0\.0\.0\.0|::)\/0$/, "default"),
      via: one(lines, "Gateway"),
      metric: one(lines, "Metric"),
    })),
  ];
  const list = (values: readonly string[]) => `[${values.map((value) => JSON.stringify(value)).join(", ")}]`;
  const identifier = lastValue(sections, "DHCP", "ClientIdentifier") ??
    lastValue(sections, "DHCPv4", "ClientIdentifier");
  return [
    `In /etc/netplan, take dhcp4, dhcp6, addresses, routes, gateway4, gateway6 and nameservers of "${device}" away, and write /etc/netplan/90-control-net.yaml:`,
    "network:",
    "  version: 2",
    "  ethernets:",
    `    ${device}:`,
    "      dhcp4: false",
    "      dhcp6: false",
    ...(mtu === 1500 ? [] : [`      mtu: ${mtu}`]),
    "  bridges:",
    `    ${bridge}:`,
    `      interfaces: [${device}]`,
    `      macaddress: "${mac}"`,
    "      parameters: {stp: false, forward-delay: 0}",
    ...(mtu === 1500 ? [] : [`      mtu: ${mtu}`]),
    `      dhcp4: ${has("ipv4")}`,
    `      dhcp6: ${has("ipv6")}`,
    // Otherwise the server would know the bridge by another name and give another address.
    ...(has("ipv4") && identifier === "mac" ? ["      dhcp-identifier: mac"] : []),
    `      addresses: ${list(addresses)}`,
    ...(dns.length + domains.length === 0
      ? []
      : [`      nameservers: {addresses: ${list(dns)}, search: ${list(domains)}}`]),
    ...(routes.length === 0 ? [] : ["      routes:"]),
    ...routes.flatMap(({ to, via, metric }) => [
      `        - to: ${to}`,
      ...(via === undefined ? [] : [`          via: "${via}"`]),
      ...(metric === undefined ? [] : [`          metric: ${metric}`]),
    ]),
    "netplan try",
  ];
}

/** Those that make no bridges, or not with a device's own MAC: the device is given to one that berth writes for. */
function otherLines({ device, bridge, kind, clients }: ManagedDevice): string[] {
  const networkd = [
    `In /etc/systemd/network/10-${device}.network:`,
    "[Match]",
    `Name=${device}`,
    "[Network]",
    "DHCP=yes",
    "Then: systemctl enable --now systemd-networkd",
  ];
  const off: Readonly<Partial<Record<ManagedDevice["kind"], string[]>>> = {
    connman: [
      "In /etc/connman/main.conf:",
      "[General]",
      `NetworkInterfaceBlacklist=${device},${bridge},bve-,bbr-,bif-,veth,docker`,
      "Then: systemctl restart connman",
    ],
    dhcpcd: [
      "In /etc/dhcpcd.conf:",
      `denyinterfaces ${device} ${bridge} bve-* bbr-* bif-* veth*`,
      `Then: dhcpcd -k ${device}`,
    ],
    ifupdown2: [`Take "iface ${device}" out of /etc/network/interfaces`],
  };
  const own = off[kind] ??
    clients.map(({ pid, argv }) => `Take away what starts "${argv.join(" ")}" (${pid})`);
  return [...own, ...networkd];
}
