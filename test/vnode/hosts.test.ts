// Names of /etc/hosts: every form of name, the bare name's place, and who gives way where two want one name.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LanSpec, VnodeSpec } from "../../lib/config/types.ts";
import { namesFrom } from "../../lib/vnode/hosts.ts";
import { standpointOf, topologyOf } from "../../lib/vnode/nets.ts";
import { aLan, aLink, aVnode } from "./_experiment.ts";

/** Lines with a space for the tab. */
function names(vnodes: readonly VnodeSpec[], lans: readonly LanSpec[], from: string): string[] {
  return namesFrom(standpointOf(topologyOf(vnodes, lans), from)).map((line) => {
    assert.match(line, /^[0-9a-f.:]+\t[a-z0-9-]+( [a-z0-9-]+)*$/);
    return line.replace("\t", " ");
  });
}

const LANS = [aLan("x", "10.1.0.0/24", "fd00:1::/64"), aLan("y", "10.2.0.0/24"), aLan("z", "10.3.0.0/24")];
const LINE = [
  aVnode("a", [aLink("x", ["10.1.0.1/24", "fd00:1::1/64"])]),
  aVnode("b", [aLink("x", ["10.1.0.2/24", "fd00:1::2/64"]), aLink("y", "10.2.0.2/24")]),
  aVnode("c", [aLink("y", "10.2.0.3/24"), aLink("z", "10.3.0.3/24")]),
];

test("a line: neighbours at the lan that both are on, the others where the path arrives", () => {
  assert.equal(names(LINE, LANS, "a"), [
    "10.1.0.2 b-x b-0 b",
    "fd00:1::2 b-x b-0 b",
    "10.2.0.2 b-y b-1",
    "10.2.0.3 c-y c-0 c",
    "10.3.0.3 c-z c-1",
  ]);
  assert.equal(names(LINE, LANS, "c"), [
    // The near end of a is its only one; IPv6 does not reach as far as c.
    "10.1.0.1 a-x a-0 a",
    "fd00:1::1 a-x a-0",
    "10.1.0.2 b-x b-0",
    "fd00:1::2 b-x b-0",
    "10.2.0.2 b-y b-0 b".replace("b-0", "b-1"),
  ]);
});

test("of several common lans our first link's counts; costs move where a path arrives", () => {
  const lans = [
    aLan("l", "10.1.0.0/24"),
    aLan("r", "10.2.0.0/24"),
    aLan("m", "10.3.0.0/24"),
    aLan("n", "10.4.0.0/24"),
  ];
  const pair = [
    aVnode("a", [aLink("r", "10.2.0.1/24", { cost: 9 }), aLink("l", "10.1.0.1/24")]),
    aVnode("b", [aLink("l", "10.1.0.2/24"), aLink("r", "10.2.0.2/24")]),
  ];
  assert.equal(names(pair, lans, "a"), ["10.1.0.2 b-l b-0", "10.2.0.2 b-r b-1 b"]);
  const far = (cost: number) => [
    aVnode("a", [aLink("l", "10.1.0.1/24", { cost }), aLink("m", "10.3.0.1/24")]),
    aVnode("b", [aLink("l", "10.1.0.2/24"), aLink("r", "10.2.0.2/24")]),
    aVnode("c", [aLink("m", "10.3.0.3/24"), aLink("n", "10.4.0.3/24")]),
    aVnode("d", [aLink("n", "10.4.0.4/24"), aLink("r", "10.2.0.4/24")]),
  ];
  const d = (cost: number) => names(far(cost), lans, "a").filter((line) => line.endsWith(" d"));
  assert.equal(d(9), ["10.4.0.4 d-n d-0 d"]);
  assert.equal(d(1), ["10.4.0.4 d-n d-0 d"], "a tie: its first link");
  const dear = far(1).map((spec) =>
    spec.name === "c" ? { ...spec, links: [spec.links[0]!, { ...spec.links[1]!, cost: 9 }] } : spec
  );
  assert.equal(names(dear, lans, "a").filter((line) => line.endsWith(" d")), ["10.2.0.4 d-r d-1 d"]);
});

test("without a path the first link's addresses count, without links the control address", () => {
  const all = [
    aVnode("a", []),
    aVnode("b", [aLink("p", []), aLink("x", ["10.1.0.2/24", "fd00:1::2/64", "10.1.0.3/24"])]),
  ];
  assert.equal(names(all, LANS, "a"), [
    "10.1.0.2 b-x b-1 b",
    "fd00:1::2 b-x b-1 b",
    "10.1.0.3 b-x b-1",
  ]);
  assert.equal(names(all, LANS, "b"), ["172.16.0.97 a"]);
});

test("a device of the machine has no lan to be named by; a link that is down keeps its names", () => {
  const all = [
    aVnode("a", []),
    aVnode("b", [
      { ...aLink("", "10.9.0.1/24"), name: "eth1", device: "ens5" },
      aLink("x", "10.1.0.2/24", { up: false }),
      aLink("y", "10.2.0.2/24"),
    ]),
  ];
  assert.equal(names(all, LANS, "a"), ["10.9.0.1 b-0", "10.1.0.2 b-x b-1", "10.2.0.2 b-y b-2 b"]);
});

test("a name that is a vnode's, another link's or written already is left out", () => {
  const lans = [...LANS, aLan("c-0", "10.5.0.0/24")];
  const all = [
    aVnode("me", [aLink("x", "10.1.0.9/24")], {
      hosts: { "b": "192.0.2.1", "c-1": "192.0.2.2", "c-y": "192.0.2.3" },
    }),
    // Its alias on y is the next one's name; twice on x, the first link has the name of the lan.
    aVnode("b", [
      aLink("y", "10.2.0.2/24"),
      aLink("x", "10.1.0.2/24"),
      aLink("x", "10.1.0.3/24", { name: "x1" }),
    ]),
    aVnode("b-y", [aLink("c-0", "10.5.0.4/24")]),
    // "c-1" and "c-y" are written, and so are nobody's.
    aVnode("c", [aLink("z", "10.3.0.5/24"), aLink("y", "10.2.0.5/24")]),
    // Both of "b-y-c-0": the lan's of b-y, and this vnode's index, which comes later.
    aVnode("b-y-c", [aLink("z", "10.3.0.6/24")]),
  ];
  assert.equal(names(all, lans, "me"), [
    "10.2.0.2 b-0",
    "10.1.0.2 b-x b-1",
    "10.1.0.3 b-2",
    "10.5.0.4 b-y-c-0 b-y-0 b-y",
    "10.3.0.6 b-y-c-z b-y-c",
    "10.3.0.5 c-z c-0",
    "10.2.0.5 c",
  ]);
});

test("a name too long for a host is none", () => {
  const long = "l".repeat(32);
  const all = [aVnode("a", []), aVnode("v".repeat(32), [aLink(long, "10.1.0.1/24")])];
  assert.equal(names(all, [aLan(long, "10.1.0.0/24")], "a"), [
    `10.1.0.1 ${"v".repeat(32)}-0 ${"v".repeat(32)}`,
  ]);
});

test.run();
