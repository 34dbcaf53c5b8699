// Names and marks of what berth makes for a vnode, derived from the spec alone, so that they can be
// computed anywhere and found again without any state. Owns no behaviour. Used by wiring, gate and watch.
import { createHash } from "node:crypto";

/** Host end of a vnode's link: `bve-` and 11 hexadecimal digits, 15 characters (IFNAMSIZ - 1). */
export const HOST_END_PREFIX = "bve-";
/** The ifb that shapes what a vnode sends. */
export const IFB_PREFIX = "bif-";
/** The bridge of a lan. */
export const BRIDGE_PREFIX = "bbr-";
/** The device of a lan's tunnel to other hosts. */
export const VXLAN_PREFIX = "bvx-";
/** The device of a lan's VLAN on a device of the machine. */
export const VLAN_PREFIX = "bvl-";
/**
 * The interface group that host ends and ifbs are put into to be deleted all at once, "bert" as a number: deleted
 * one by one, the kernel waits some 20 ms for each (200 ifbs: 3.8 s, as a group 57 ms, measured).
 */
export const DOOMED_GROUP = 0x62657274;
/** Docker's network for control traffic, and the bridge behind it. Sorts before all others. */
export const CONTROL_NETWORK = "_dockercnet";
/** The container label that says "a vnode of berth's", with its name. */
export const LABEL_VNODE = "berth.vnode";
/** The container label that carries the digest of what the container was created from. */
export const LABEL_BODY = "berth.body";

/** 44 bits of SHA-256: two of 10,000 names collide with a chance of about 3 in a million. */
function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 11);
}

/** Name of the host end of a link, from the names of vnode and link. */
export function hostEndName(vnode: string, link: string): string {
  return HOST_END_PREFIX + hash(`${vnode}/${link}`);
}

/** Name of the ifb of a link. */
export function ifbName(vnode: string, link: string): string {
  return IFB_PREFIX + hash(`${vnode}/${link}`);
}

/** Name of a lan's bridge. */
export function bridgeName(lan: string): string {
  return BRIDGE_PREFIX + hash(lan);
}

/** Name of the bridge that a local lan's macvlans sit on. Never a port's: one that loses them loses its carrier. */
export function macvlanBridgeName(lan: string): string {
  return BRIDGE_PREFIX + hash(`${lan}/macvlan`);
}

/** Name of the device of a lan's tunnel. */
export function tunnelName(lan: string): string {
  return VXLAN_PREFIX + hash(lan);
}

/** Name of the device of a lan's VLAN. */
export function vlanName(lan: string): string {
  return VLAN_PREFIX + hash(lan);
}

/** Name of the nftables table (family inet) of a lan that has a tunnel, or that the host is on. */
export function lanTableName(lan: string): string {
  return LAN_TABLE_PREFIX + hash(lan);
}

/** What names of such tables begin with. */
export const LAN_TABLE_PREFIX = "berth_lan_";

/** A device of the machine as it was before it became a port of a lan, so that it can be given back. */
export interface LentDevice {
  /** How its IPv6 link-local address is made, in `ip`'s words; "" where it had none for its MTU. */
  readonly addrgenmode: string;
  readonly up: boolean;
}

/** What the mark of a lan's interface says. */
export interface LanMark {
  readonly lan: string;
  /** Present on a device of the machine's own: it is given back, never deleted. */
  readonly device?: LentDevice;
}

/** Alias (mark) of a lan's bridge, of its tunnel or VLAN, or of the device that is its port. */
export function lanAlias(lan: string, device?: LentDevice): string {
  return `berth:lan=${lan}` + (device === undefined ? "" : `:d=${device.addrgenmode},${device.up ? 1 : 0}`);
}

/** What an alias says, or null when it is not a lan's mark of ours. */
export function parseLanAlias(alias: string | undefined): LanMark | null {
  const match = /^berth:lan=([^:]+)(?::d=([a-z0-9_]*),([01]))?$/.exec(alias ?? "");
  if (match === null) return null;
  const [, lan = "", addrgenmode, up] = match;
  return { lan, ...(addrgenmode !== undefined && { device: { addrgenmode, up: up === "1" } }) };
}

/** A device of the machine as it was before a vnode was given it, so that it can be given back. */
export interface GivenDevice {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
}

/** What the mark of an interface says. */
export interface LinkMark {
  readonly vnode: string;
  readonly link: string;
  readonly generation: string;
  /** Present on a device of the machine's own: it is given back, never deleted. */
  readonly device?: GivenDevice;
}

/** Alias (mark) of a host end or ifb, or of a device handed in: whose it is, and of which life. */
export function linkAlias(vnode: string, link: string, generation: string, device?: GivenDevice): string {
  const before = device === undefined
    ? ""
    : `:d=${device.name},${device.mac},${device.mtu},${device.up ? 1 : 0}`;
  return `berth:v=${vnode}:l=${link}:g=${generation}${before}`;
}

/**
 * What an alias says, or null when it is not a link's mark of ours.
 *
 * A vnode's user may have written it to a device that was handed in, and it comes to lines for `ip`: what is not an
 * interface's name, or would be read there as more than a word (blanks, quotes, `#`, `\`), is no mark of ours.
 */
export function parseLinkAlias(alias: string | undefined): LinkMark | null {
  const match =
    /^berth:v=([^:]+):l=([^:]+):g=([^:]+)(?::d=([^:/\s"'#\\%]{1,15}),([0-9a-f]{2}(?::[0-9a-f]{2}){5}),(\d{2,5}),([01]))?$/
      .exec(alias ?? "");
  if (match === null) return null;
  const [, vnode = "", link = "", generation = "", name, mac = "", mtu, up] = match;
  return {
    vnode,
    link,
    generation,
    ...(name !== undefined && { device: { name, mac, mtu: Number(mtu), up: up === "1" } }),
  };
}
