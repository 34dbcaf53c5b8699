// Sysctls of vnodes and links, from a file to what is written below /proc/sys inside.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";

test("numbers and text, with the link's name put in; as they are written, in order", () => {
  const text = `
lans:
  wire: { subnets: [10.1.0.0/24, "fd00:1::/64"] }
vnodes:
  left:
    image: debian
    forwarding: false
    sysctls: { net.ipv4.tcp_ecn: 1, net.ipv4.tcp_rmem: " 4096 87380 6291456 ", net.ipv4.conf.all.rp_filter: "0" }
    links:
      - { lan: wire, addresses: [10.1.0.1], name: data.5, sysctls: { ipv4.rp_filter: 0, ipv6.accept_ra: "0", mpls.input: 1 } }
      - { lan: wire, addresses: ["fd00:1::1"], name: six, sysctls: { ipv6.disable_ipv6: 0 } }
`;
  const spec = parseConfig([{ path: "/etc/berth/vnodes.d/a.yaml", text }]).vnodes[0]!;
  assert.equal(spec.links.map((link) => link.sysctls), [
    { "ipv4.rp_filter": "0", "ipv6.accept_ra": "0", "mpls.input": "1" },
    { "ipv6.disable_ipv6": "0" },
  ]);
  const wiring = wiringOf(spec);
  assert.equal(wiring.sysctls.filter(([path]) => !/forward|conf\/lo\//.test(path)), [
    ["net/ipv4/tcp_ecn", "1"],
    ["net/ipv4/tcp_rmem", "4096 87380 6291456"],
    ["net/ipv4/conf/all/rp_filter", "0"],
  ]);
  assert.equal(wiring.links[0]!.sysctls, [
    ["net/ipv4/conf/data.5/rp_filter", "0"],
    ["net/ipv6/conf/data.5/accept_ra", "0"],
    ["net/mpls/conf/data.5/input", "1"],
  ]);
  const off = wiring.links[1]!.sysctls.filter(([path]) => path === "net/ipv6/conf/six/disable_ipv6");
  assert.ok(off.length > 0 && off.every(([, value]) => value === "0"));
});

test.run();
