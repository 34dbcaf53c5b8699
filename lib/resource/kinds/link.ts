// Bridges of our own and addresses on devices. Volatile. A bridge is ours by its alias; without it, it is foreign.
import { ipBatch } from "../../host/batch.ts";
import type { Look, Output } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { ipList } from "./ip_list.ts";

/** A bridge as far as berth cares. */
export interface BridgeState {
  readonly kind: string;
  readonly alias: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Those of BRIDGE_SETTINGS that it has otherwise, with what it has: "stp_state": "1". */
  readonly odd?: Readonly<Record<string, string>>;
}

/** What a bridge should be. */
export interface BridgeOptions {
  /** Our mark on it: "berth lan left-right". Starts with "berth". */
  readonly alias: string;
  /** null: whatever it is, for it follows a port's. @default {1500} */
  readonly mtu?: number | null;
  /** The name alone tells that it is ours (a hashed one): one without alias is a crash's, not a stranger's. */
  readonly named?: boolean;
  /**
   * Its own MAC, given when it is made. Without one a bridge takes the lowest of its ports', which changes as they
   * come and go: right for a lan, wrong where the host has an address that neighbours remember.
   */
  readonly mac?: string;
  /** Addresses of the machine's own may come to be on it: as long as any is, it is not removed. @default {false} */
  readonly bearing?: boolean;
}

/** An interface may be the machine's only way in: with it, addresses that stand on it and its routes would be gone. */
const BARE =
  `left=$(ip -o addr show dev "$1" scope global 2>/dev/null | sed -E 's/^[^ ]+ +[^ ]+ +inet6? ([^ ]+).*/\\1/')
[ -z "$left" ] && exit 0
echo "Bridge $1 stays: this machine's addresses are on it:" $left >&2
exit 1`;

/**
 * Settings of each bridge of ours: plain layer 2, no address by itself, link-local control frames forwarded
 * (group_fwd_mask: all but the three the kernel keeps), no snooping that needs a querier.
 */
const BRIDGE_SETTINGS = { stp_state: "0", mcast_snooping: "0", group_fwd_mask: "0xfff8" } as const;

/** As `ip link` takes them. */
function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(" ");
}

/**
 * A bridge of our own, up.
 *
 * @throws {BerthError} code `refused` when a link of that name is there and not ours.
 */
export function bridge(name: string, options: BridgeOptions): Resource<BridgeState> {
  const id = `bridge ${name}`;
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(name) || !/^berth[^"\n\\]*$/.test(options.alias)) {
    throw new TypeError(`Not a name and mark of a bridge: ${JSON.stringify([name, options.alias])}`);
  }
  const desired: BridgeState = {
    kind: "bridge",
    alias: options.alias,
    mtu: options.mtu === undefined ? 1500 : options.mtu ?? 0,
    up: true,
  };
  const isOurs = (found: BridgeState) =>
    found.kind === "bridge" &&
    (found.alias.startsWith("berth") || (options.named === true && found.alias === ""));
  const set = (to: BridgeState) =>
    `link set dev ${name} alias "${to.alias}" ${options.mtu === null ? "" : `mtu ${to.mtu} `}${
      to.up ? "up" : "down"
    }`;
  const remove: Op = { run: ipBatch([`link del dev ${name}`], { okExit: [0, 1] }) };
  const bare: readonly Op[] = options.bearing === true
    ? [{
      run: {
        argv: ["sh", "-c", BARE, "berth-bare", name],
        title: `see that bridge ${name} bears no address`,
      },
    }]
    : [];
  const create: Op = {
    run: ipBatch([
      `link add name ${name}${options.mac === undefined ? "" : ` address ${options.mac}`} type bridge ${
        settingsText(BRIDGE_SETTINGS)
      }`,
      `link set dev ${name} addrgenmode none`,
      set(desired),
    ]),
  };
  return {
    id,
    desired,
    volatile: true,
    observe: (look) => observeBridge(look, name),
    diff(found) {
      const change = { resource: id, risk: "safe" } as const;
      if (found === null) {
        return [{ ...change, verb: "create", why: "missing", do: [create], undo: [remove] }];
      }
      if (!isOurs(found)) throw foreign(id, name, found);
      const why = differenceOf(found, options.mtu === null ? { ...desired, mtu: found.mtu } : desired);
      if (why === null) return [];
      const odd = found.odd ?? {};
      const settings = (to: Readonly<Record<string, string>>) =>
        Object.keys(odd).length === 0 ? [] : [`link set dev ${name} type bridge ${settingsText(to)}`];
      const back: Op = { run: ipBatch([set(found), ...settings(odd)]) };
      const update: Change = {
        ...change,
        verb: "update",
        why,
        do: [{ run: ipBatch([set(desired), ...settings(BRIDGE_SETTINGS)]) }],
        undo: [back],
      };
      return [update];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null || prior !== null || !isOurs(found)) return [];
      const why = "made by berth";
      const undo = bare.length === 0 ? [create] : [];
      return [{ resource: id, verb: "delete", why, risk: "disruptive", do: [...bare, remove], undo }];
    },
  };
}

async function observeBridge(look: Look, name: string): Promise<BridgeState | null> {
  const link = await linkOf(look, name);
  if (link === undefined) return null;
  const data = link.linkinfo?.info_data ?? {};
  const odd = Object.entries(BRIDGE_SETTINGS)
    .filter(([name, wanted]) => data[name] !== undefined && String(data[name]) !== wanted)
    .map(([name]) => [name, String(data[name])] as const);
  return {
    ...(odd.length === 0 ? {} : { odd: Object.fromEntries(odd) }),
    kind: link.linkinfo?.info_kind ?? "none",
    alias: link.ifalias ?? "",
    mtu: link.mtu ?? 0,
    up: link.flags?.includes("UP") ?? false,
  };
}

function differenceOf(found: BridgeState, wanted: BridgeState): string | null {
  const parts = (["alias", "mtu", "up"] as const)
    .filter((key) => found[key] !== wanted[key])
    .map((key) => `${key} ${JSON.stringify(found[key])}, wanted ${JSON.stringify(wanted[key])}`);
  const odd = Object.entries(found.odd ?? {}).map(([name, value]) =>
    `${name} ${value}, wanted ${BRIDGE_SETTINGS[name as keyof typeof BRIDGE_SETTINGS]}`
  );
  const all = [...parts, ...odd];
  return all.length === 0 ? null : all.join("; ");
}

function foreign(id: string, name: string, found: BridgeState): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message:
      `Link "${name}" is not berth's: found kind "${found.kind}" with alias "${found.alias}", wanted a bridge ` +
      'whose alias starts with "berth"',
    next: `Rename or remove link "${name}"`,
  });
}

/** Whether an address is there. */
export interface AddressState {
  readonly device: boolean;
  readonly present: boolean;
}

/** An address, with prefix length and in the form the kernel prints, on a device that is there. */
export function addressOn(device: string, cidr: string): Resource<AddressState> {
  const id = `address ${cidr} on ${device}`;
  const add: Op = { run: ipBatch([`addr add ${cidr} dev ${device}${cidr.includes(":") ? " nodad" : ""}`]) };
  // Exit 1 or 2: the address or its device went by itself.
  const remove: Op = { run: ipBatch([`addr del ${cidr} dev ${device}`], { okExit: [0, 1, 2] }) };
  return {
    id,
    desired: { device: true, present: true },
    volatile: true,
    async observe(look) {
      const link = await linkOf(look, device);
      const all = link?.addr_info?.map((info) => `${info.local}/${info.prefixlen}`) ?? [];
      return { device: link !== undefined, present: all.includes(cidr.toLowerCase()) };
    },
    diff(found) {
      if (found?.present) return [];
      const why = found?.device ? "missing" : `missing, as is "${device}"`;
      return [{ resource: id, verb: "create", why, risk: "safe", do: [add], undo: [remove] }];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (!found?.present || prior?.present) return [];
      return [{
        resource: id,
        verb: "delete",
        why: "set by berth",
        risk: "disruptive",
        do: [remove],
        undo: [add],
      }];
    },
  };
}

/** A link as `ip -j -d addr show` prints it; only what is read. */
interface LinkJson {
  readonly ifname?: string;
  /** What it sits on. */
  readonly link?: string;
  readonly address?: string;
  readonly ifalias?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, string | number>>;
  };
  readonly addr_info?: readonly {
    readonly family?: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

/** All addresses of one family on a device, with prefix length, in the kernel's order; null where it is not there. */
export async function addressesOf(
  look: Look,
  device: string,
  family: "inet" | "inet6",
): Promise<readonly string[] | null> {
  const link = await linkOf(look, device);
  if (link === undefined) return null;
  return (link.addr_info ?? []).filter((info) => info.family === family)
    .map((info) => `${info.local}/${info.prefixlen}`);
}

/** Each answer of `ip` is parsed once, however many resources share it. */
const parsed = new WeakMap<Output, ReadonlyMap<string, LinkJson>>();

/** A link by name, or undefined. Asks for all links at once: many resources then share one question. */
export async function linkOf(look: Look, name: string): Promise<LinkJson | undefined> {
  const output = await askIp(look, ["-j", "-d", "addr", "show"]);
  let links = parsed.get(output);
  if (links === undefined) {
    const all = ipList<LinkJson>(output.stdout);
    links = new Map(all.map((link) => [link.ifname ?? "", link]));
    parsed.set(output, links);
  }
  return links.get(name);
}

/** What `ip` says; nothing on a fresh machine that has none yet: a plan then shows that all is missing. */
export async function askIp(look: Look, args: readonly string[]): Promise<Output> {
  try {
    return await look.query({ argv: ["ip", ...args] });
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== "missing") throw error;
    return { exit: 0, stdout: "", stderr: "", ms: 0 };
  }
}
