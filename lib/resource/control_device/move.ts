// One move of everything between a device and the control bridge, as ops: what is written for the dead man's switch,
// and its verbs in order. Pure. Which way and when is device.ts'.
import { HOST_LOCK } from "../ensure.ts";
import type { Op } from "../types.ts";
import { foreignSources, gatewaysOf, giveLines, type Lines, transferLines } from "./batch.ts";
import type { DeviceFacts } from "./facts.ts";
import { MOVE_DIRECTORY, SWITCH_PATH, switchScript } from "./switch.ts";

/** The mark on a device that berth has made a port of its bridge, as its alias. */
export const DEVICE_MARK = "berth control device";
/** What begins the id of the resource, before the device's name. */
export const DEVICE_ID = "control device ";

/** One move. */
export interface Move {
  /** What is carried: what hangs on the device (in) or on the bridge without what is berth's (out). */
  readonly facts: DeviceFacts;
  readonly device: string;
  readonly bridge: string;
  readonly way: "in" | "out";
  /** The device is a port already, and only what hangs on it is carried. */
  readonly isPort: boolean;
  /** MAC and MTU of the device, which the bridge has while the device is its port. */
  readonly mac: string;
  readonly mtu: number;
  /** The bridge without the device. */
  readonly alone: { readonly mac: string; readonly mtu: number };
  /** The device without the bridge. */
  readonly before: { readonly alias: string; readonly addrgenmode: string };
  /** Gateways beside those of the facts. */
  readonly gateways?: readonly string[];
  /** Neighbours that are asked in the stead of all gateways. */
  readonly probe?: readonly string[];
  /** Parameters the bridge is given first, by path below /proc/sys. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Words in quotes for `ip -batch`, which knows no escape. */
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\\n]/g, "")}"`;
}

/** Lines that make the device a port; the bridge has its MAC first, so that nobody sees another one. */
function joinLines({ device, bridge, mac, mtu, isPort }: Move): string[] {
  return [
    `link set dev ${bridge} mtu ${mtu} address ${mac}`,
    // A port would otherwise make a link-local address of its own again.
    `link set dev ${device} addrgenmode none`,
    ...(isPort ? [] : [`link set dev ${device} master ${bridge}`]),
    `link set dev ${device} alias ${quoted(DEVICE_MARK)}`,
  ];
}

function leaveLines({ device, bridge, alone, before, isPort }: Move): string[] {
  if (isPort) return [];
  return [
    `link set dev ${device} nomaster`,
    `link set dev ${device} alias ${quoted(before.alias)}`,
    `link set dev ${device} addrgenmode ${before.addrgenmode}`,
    `link set dev ${bridge} mtu ${alone.mtu} address ${alone.mac}`,
  ];
}

/** The lines forth and back. */
export function moveLines(move: Move): { readonly forward: Lines; readonly back: Lines } {
  const { facts, device, bridge, way } = move;
  const isIn = way === "in";
  const [from, to] = isIn ? [device, bridge] : [bridge, device];
  const [there, again] = isIn
    ? [joinLines(move), leaveLines(move)]
    : [leaveLines(move), joinLines({ ...move, isPort: false })];
  return {
    forward: transferLines({ facts, from, to, between: there, flush: isIn }),
    back: transferLines({ facts, from: to, to: from, between: again, flush: !isIn }),
  };
}

/** Lines that make a likeness of device and bridge in an empty namespace. */
function setupLines({ facts, device, bridge, way, mac, mtu, isPort }: Move): string[] {
  return [
    "link set lo up",
    ...foreignSources(facts).map((address) => `addr add ${address} dev lo`),
    `link add name ${device} address ${mac} mtu ${mtu} type veth peer name berth-far mtu ${mtu}`,
    "link set berth-far up",
    `link add name ${bridge} type bridge`,
    // Lines of their own: in one, the kernel would set it up first, with a link-local address.
    `link set dev ${bridge} addrgenmode none`,
    `link set dev ${device} addrgenmode none`,
    `link set dev ${bridge} up`,
    ...(way === "out" || isPort ? [`link set dev ${device} master ${bridge}`] : []),
    `link set dev ${device} up`,
  ];
}

/** The steps of a move; each fails before anything is changed, or ends with everything back. */
export function moveOps(move: Move): readonly Op[] {
  const { forward, back } = moveLines(move);
  const isIn = move.way === "in";
  const [from, to] = isIn ? [move.device, move.bridge] : [move.bridge, move.device];
  const script = switchScript({
    from,
    to,
    gateways: [...new Set(move.probe ?? [...gatewaysOf(move.facts), ...(move.gateways ?? [])])],
    seconds: Math.ceil(move.timeoutMs / 1000),
    holder: HOST_LOCK,
    whole: isIn && !move.isPort,
  });
  const file = (name: string, lines: readonly string[]): Op => ({
    write: `${MOVE_DIRECTORY}/${name}`,
    text: lines.map((line) => `${line}\n`).join(""),
    mode: 0o600,
  });
  const batch = (name: string, lines: Lines) => [
    file(`${name}.ip`, lines.main),
    file(`${name}.six`, lines.six),
  ];
  const parameters = Object.entries(move.parameters).map(([path, value]) => `${path}=${value}`);
  return [
    { directory: MOVE_DIRECTORY, mode: 0o700 },
    { write: SWITCH_PATH, text: script, mode: 0o700 },
    file("setup.ip", setupLines(move)),
    ...batch("give", giveLines(move.facts, from)),
    ...batch("forward", forward),
    ...batch("back", back),
    verb("rehearse"),
    verb("probe"),
    ...(parameters.length === 0 ? [] : [{ run: { argv: ["sysctl", "-qw", ...parameters] } }]),
    verb("arm", 90_000),
    verb("confirm", move.timeoutMs + 120_000),
  ];
}

/** Going back at once, where the switch has not done so yet. */
export function settleOp(): Op {
  return verb("settle", 120_000);
}

function verb(word: string, timeoutMs = 60_000): Op {
  return { run: { argv: ["sh", SWITCH_PATH, word], timeoutMs } };
}
