// /etc/network/interfaces as text: which lines are whose, and what they become when their device is a port of the
// control bridge. The original lines stay in the file behind a mark, so that taking ours back needs nothing else and
// others' edits survive. Pure.

/** What the rewriting needs to know. */
export interface InterfacesForm {
  readonly device: string;
  readonly bridge: string;
  readonly mac: string;
  readonly mtu: number;
  readonly alias: string;
}

/** A stanza: `iface` with its lines, or any other keyword's. */
export interface Stanza {
  /** "iface", "auto", "allow-hotplug", "source", "mapping" … */
  readonly keyword: string;
  /** Words after the keyword. */
  readonly words: readonly string[];
  /** Options of an iface or mapping, in order; joined where a line was continued. */
  readonly options: readonly (readonly [key: string, value: string])[];
  /** Lines of the file, from 0; `end` is the first one after. Blank lines and comments at the end are not part of it. */
  readonly start: number;
  readonly end: number;
}

const KEYWORD =
  /^(iface|mapping|auto|allow-\S+|source|source-directory|rename|template|no-auto-down|no-scripts)$/;

/** Parses interfaces(5). Comments are lines that begin with "#"; a backslash at the end continues a line. */
export function parseInterfaces(text: string): readonly Stanza[] {
  const lines = text.split("\n");
  const stanzas: { -readonly [Key in keyof Stanza]: Stanza[Key] }[] = [];
  for (let at = 0; at < lines.length; at++) {
    const start = at;
    if (/^\s*(#|$)/.test(lines[at]!)) continue;
    let line = lines[at]!;
    while (line.endsWith("\\") && at + 1 < lines.length) line = `${line.slice(0, -1)} ${lines[++at]!.trim()}`;
    const [word, ...words] = line.trim().split(/\s+/) as [string, ...string[]];
    const open = stanzas.at(-1);
    if (KEYWORD.test(word)) {
      stanzas.push({ keyword: word, words, options: [], start, end: at + 1 });
    } else if (open !== undefined) {
      open.options = [...open.options, [word, line.trim().slice(word.length).trim()]];
      open.end = at + 1;
    }
  }
  return stanzas;
}

const BEGIN = "# berth: begin: the control network on";
const END = "# berth: end";
const KEPT = "#|";

/** The file as it was before us: our blocks taken out, the lines behind our mark given back. */
export function withoutForm(text: string): string {
  const out: string[] = [];
  let inside = false;
  for (const line of text.split("\n")) {
    if (line.startsWith(BEGIN)) inside = true;
    else if (inside && line === END) inside = false;
    else if (!inside) out.push(line);
    else if (line.startsWith(KEPT)) out.push(line.slice(KEPT.length));
  }
  return out.join("\n");
}

/** The devices whose form stands in a file. */
export function formDevices(text: string): readonly string[] {
  const marked = new RegExp(`^${BEGIN} (\\S+)\\. `, "gm");
  return [...new Set([...text.matchAll(marked)].map(([, device]) => device!))];
}

/** The stanzas that give this device (or an alias such as "eth0:1") its addresses. */
export function stanzasOf(stanzas: readonly Stanza[], device: string): readonly Stanza[] {
  return stanzas.filter(({ keyword, words }) =>
    keyword === "iface" && (words[0] === device || words[0]?.startsWith(`${device}:`))
  );
}

/**
 * The file with the device's stanzas rewritten: the device manual and a port, its settings on the bridge. Needs
 * nothing but iproute2.
 *
 * @param text of the file without our form.
 * @param isFirst false where an earlier file has the device's first stanza, which makes the bridge.
 */
export function withForm(text: string, form: InterfacesForm, isFirst = true): string {
  const lines = text.split("\n");
  const own = stanzasOf(parseInterfaces(text), form.device);
  const out: string[] = [];
  let at = 0;
  own.forEach((stanza, index) => {
    out.push(...lines.slice(at, stanza.start), ...block(stanza, lines, form, isFirst && index === 0));
    at = stanza.end;
  });
  return [...out, ...lines.slice(at)].join("\n");
}

/** Options that are the device's own business: its driver's, its wire's. */
const PORT_OPTION =
  /^(hwaddress|ethernet-\S+|link-(speed|duplex|autoneg)|offload-\S+|hardware-\S+|driver-\S+)$/;
/** Lines that run something. */
const HOOK = /^(pre-up|up|post-up|down|pre-down|post-down)$/;
/** Commands about the device below the bridge; "$IFACE" in them stays what it was. */
const PORT_COMMAND = /\b(ethtool|mii-tool|ifenslave)\b|\bip\s+(-\S+\s+)*l(i|in|ink)?\s+set\b/;

function block(stanza: Stanza, lines: readonly string[], form: InterfacesForm, makes: boolean): string[] {
  const { device, bridge } = form;
  const [found, ...rest] = stanza.words as [string, ...string[]];
  const isPorts = ([key, value]: Option) =>
    PORT_OPTION.test(key) || (HOOK.test(key) && PORT_COMMAND.test(value));
  const ports = stanza.options.filter(isPorts).map(written);
  const bridged = stanza.options.filter((option) => !isPorts(option))
    .map(([key, value]) => written([key, HOOK.test(key) ? renamed(value, device, bridge) : value]));
  const name = bridge + found.slice(device.length);
  // Lines that name an alias ("auto eth0:1") stay, so it stays a name that ifupdown knows.
  const isAlias = found !== device;
  return [
    `${BEGIN} ${device}. Change only the lines behind "${KEPT}":`,
    '# "berth host up" follows them, "berth host down" puts them back.',
    ...lines.slice(stanza.start, stanza.end).map((line) => KEPT + line),
    ...(makes || isAlias || ports.length > 0 ? [`iface ${found} inet manual`, ...ports] : []),
    ...(makes ? portLines(form) : []),
    ...(makes || isAlias ? [`auto ${name}`] : []),
    `iface ${[name, ...rest].join(" ")}`,
    ...(makes ? bridgeLines(form) : []),
    ...bridged,
    END,
  ];
}

type Option = readonly [key: string, value: string];

function written([key, value]: Option): string {
  return `    ${key} ${value}`.trimEnd();
}

/** For a device that comes after its bridge, or again. A port has no address, a link-local one neither. */
function portLines({ device, bridge, mtu }: InterfacesForm): string[] {
  return [
    `    pre-up ip link set dev ${device} addrgenmode none`,
    ...mtuLines(device, mtu),
    `    up ip link set dev ${device} up`,
    `    up [ ! -d /sys/class/net/${bridge}/bridge ] || ip link set dev ${device} master ${bridge}`,
  ];
}

/** The bridge as lib/resource/kinds/link.ts makes it, its port, and the host's alias. */
function bridgeLines({ device, bridge, mac, mtu, alias }: InterfacesForm): string[] {
  return [
    `    pre-up [ -e /sys/class/net/${bridge} ] || ip link add name ${bridge} address ${mac} type bridge ` +
    "stp_state 0 mcast_snooping 0 group_fwd_mask 0xfff8",
    // A device may be late: a condition with a deadline.
    `    pre-up n=0; while [ ! -e /sys/class/net/${device} ] && [ $n -lt 30 ]; do n=$((n+1)); sleep 1; done`,
    ...mtuLines(device, mtu),
    `    pre-up ip link set dev ${device} addrgenmode none`,
    `    pre-up ip link set dev ${device} up`,
    `    pre-up ip link set dev ${device} master ${bridge}`,
    `    pre-up ip link set dev ${bridge} up`,
    // A label of its own: dhclient's script takes away all addresses that have the link's name as label.
    `    up ip addr add ${alias} dev ${bridge} label ${bridge}:b 2>/dev/null || true`,
  ];
}

function mtuLines(device: string, mtu: number): string[] {
  return mtu === 1500 ? [] : [`    pre-up ip link set dev ${device} mtu ${mtu}`];
}

/** The device's name as a word of its own, made the bridge's; below /sys/class/net it stays the device's. */
export function renamed(command: string, device: string, bridge: string): string {
  const plain = device.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return command
    .replaceAll(new RegExp(`(/(?:conf|neigh)/)${plain}(?=/)`, "g"), `$1${bridge}`)
    .replaceAll(new RegExp(`(?<![\\w./:-])${plain}(?![\\w./-])`, "g"), bridge);
}
