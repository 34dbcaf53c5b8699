// What must not be heard: another lan's vnodes with the same addresses, the host over a lan, other experiments and
// closed vnodes on the control network. Each test has a control that must hear, or silence says nothing. Pure.
import type { VnodeSpec } from "../../config/types.ts";
import { endOf, type Member } from "./members.ts";
import type { End, Test } from "./types.ts";

/** What keeps vnodes apart on the control network; how it is configured. */
export interface Fence {
  readonly isolation: "experiments" | "vnodes" | "none";
  /** The host's own address there. */
  readonly gateway: string;
}

/** Ordered pairs of lans with the same addresses that are tested, at most. */
const MOST_TWINS = 64;
/** Vnodes whose fence is tested, at most. */
const MOST_FENCED = 64;

/** All tests of level 5. */
export function silenceTests(
  specs: readonly VnodeSpec[],
  members: readonly Member[],
  fence: Fence,
): readonly Test[] {
  return [...twins(members), ...hosts(members), ...fenced(specs, fence)];
}

function silence(parts: Omit<Test & { kind: "silence" }, "kind" | "level">): Test {
  return { kind: "silence", level: 5, ...parts };
}

/** The same subnet on two lans: what is sent on one is not heard on the other. */
function twins(members: readonly Member[]): readonly Test[] {
  const byLan = new Map<string, Member[]>();
  for (const one of members) byLan.set(one.link.lan, [...byLan.get(one.link.lan) ?? [], one]);
  const tests: Test[] = [];
  for (const [lan, own] of byLan) {
    for (const [other, theirs] of byLan) {
      if (lan === other || tests.length >= MOST_TWINS) continue;
      const test = twin(own, theirs);
      if (test !== null) tests.push(test);
    }
  }
  return tests;
}

function twin(own: readonly Member[], theirs: readonly Member[]): Test | null {
  for (const from of own) {
    // Who is on both may forward, or hear what was meant for it.
    if (theirs.some((one) => one.vnode === from.vnode)) continue;
    const control = own.find((one) => one.vnode !== from.vnode && one.subnet.text === from.subnet.text);
    const to = theirs.find((one) =>
      one.subnet.text === from.subnet.text && one.address.text !== from.address.text &&
      !own.some((mine) => mine.vnode === one.vnode)
    );
    if (control === undefined || to === undefined) continue;
    return silence({
      from: endOf(from),
      to: endOf(to),
      address: to.address.text,
      control: endOf(control),
      controlAddress: control.address.text,
      why: `lan ${to.link.lan} has the same subnet`,
    });
  }
  return null;
}

/** All nodes of a lan are called by IPv6: the host is none of them. Needs no address of the host's. */
function hosts(members: readonly Member[]): readonly Test[] {
  const lans = new Map<string, Member[]>();
  for (const one of members.filter(({ address, link }) => address.family === 6 && link.host !== true)) {
    const found = lans.get(one.link.lan) ?? [];
    if (!found.some((other) => other.vnode === one.vnode)) lans.set(one.link.lan, [...found, one]);
  }
  return [...lans.values()].filter((lan) => lan.length > 1).map(([from, control]) =>
    silence({
      from: endOf(from!),
      to: "host",
      address: `ff02::1%${from!.link.name}`,
      control: endOf(control!),
      why: `the host is not on lan ${from!.link.lan}`,
    })
  );
}

function controlEnd(spec: VnodeSpec): End {
  return { vnode: spec.name, link: "eth0", lan: "", address: spec.control.address, mtu: 1500 };
}

/** Other experiments and vnodes that let nothing in, on the control network. The host is the control of the sender. */
function fenced(specs: readonly VnodeSpec[], fence: Fence): readonly Test[] {
  const tests: Test[] = [];
  const test = (from: VnodeSpec, to: VnodeSpec, why: string) =>
    tests.push(silence({
      from: controlEnd(from),
      to: controlEnd(to),
      address: to.control.address,
      control: "host",
      controlAddress: fence.gateway,
      why,
    }));
  const speaks = (spec: VnodeSpec) =>
    (spec.firewall?.style ?? "open") === "open" && !spec.firewall?.rules.length;
  for (const to of specs) {
    if (tests.length >= MOST_FENCED) break;
    const others = specs.filter((one) => one.name !== to.name && speaks(one));
    const apart = fence.isolation === "none"
      ? undefined
      : others.find((one) => fence.isolation === "vnodes" || one.experiment !== to.experiment);
    if (apart !== undefined) {
      const why = fence.isolation === "vnodes"
        ? "vnodes are kept apart"
        : "they are of different experiments";
      test(apart, to, why);
    }
    const style = to.firewall?.style ?? "open";
    const friend = others.find((one) => one !== apart && one.experiment === to.experiment);
    // Rules of its own may let in what is sent here.
    const mayHear = to.firewall?.rules.some((rule) =>
      rule.way === "in" && rule.verdict === "accept"
    ) === true;
    if (style !== "open" && friend !== undefined && !mayHear) test(friend, to, `its firewall is ${style}`);
  }
  return tests;
}
