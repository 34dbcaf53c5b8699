// A step of wiring as data, and what was seen that it is made from. Owns the two types only; made by the
// *_steps.ts beside this file, put together by difference.ts, run by apply_steps.ts.
import type { Life } from "./life.ts";
import type { HostView, InsideLink } from "./view.ts";
import type { Sysctl } from "./wiring.ts";

/** One thing to do, with the lines it puts into each tool's batch. Phases run in this order, all steps at once. */
export interface Step {
  /** "link left/eth1". */
  readonly resource: string;
  readonly verb: "create" | "update" | "replace" | "delete" | "restore";
  readonly why: string;
  /** Links that are made, so that what they are given inside is made sure of. */
  readonly makes?: readonly string[];
  /** `ip -batch` inside, first of all: devices of the machine's own go home. */
  readonly leave?: readonly string[];
  /** Present where `leave` gives the host something back: what is to become of it is seen by a second look. */
  readonly frees?: true;
  /** Interfaces on the host to delete; what is gone already is fine. */
  readonly clear?: readonly string[];
  /** `ip -batch` on the host. */
  readonly host?: readonly string[];
  /** `ip -batch` inside, before the sysctls: those of IPv6 come with an MTU that has it. */
  readonly before?: readonly string[];
  /** What is written below /proc/sys inside: ["net/ipv6/conf/eth1/disable_ipv6", "0"]. Before `inside`. */
  readonly sysctls?: readonly Sysctl[];
  /** `ip -batch` inside. */
  readonly inside?: readonly string[];
  /** `tc -batch`. */
  readonly tc?: readonly string[];
  /** `nft -f`. */
  readonly nft?: readonly string[];
}

/** What was seen, for one vnode. */
export interface Seen {
  readonly view: HostView;
  readonly life: Life;
  /** True when this life was wired to the end before: what is inside is its user's by now. */
  readonly settled: boolean;
  /** Interfaces inside; null when settled (not looked at). */
  readonly inside: ReadonlyMap<string, InsideLink> | null;
  /** Links of a settled life whose making was cut off: they are not settled. @default {none} */
  readonly half?: ReadonlySet<string>;
  /** Host-side name of the control interface; null when there is none. */
  readonly port: string | null;
  /** Devices whose redirect to the ifb is in place. */
  readonly redirected: ReadonlySet<string>;
}
