// What a changed spec cannot give to a running life is told to the operator.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { waitsForStart } from "../../lib/vnode/inside.ts";
import { aLink, aVnode } from "./_experiment.ts";

const spec = (link: Partial<LinkSpec> = {}, more: Partial<VnodeSpec> = {}) =>
  aVnode("left", [aLink("wire", "10.1.0.1/24", link)], more);

test("waitsForStart() names sysctls that are not asked for any more, and nothing else", () => {
  const before = spec({ sysctls: { "ipv4.rp_filter": "0", "ipv4.arp_ignore": "1" } }, {
    sysctls: { "net.ipv4.tcp_ecn": "1" },
  });
  assert.equal(waitsForStart(before, before), []);
  const moved = spec({
    addresses: ["10.1.0.2/24"],
    mac: "02:00:00:00:00:09",
    mtu: 1400,
    sysctls: { "ipv4.rp_filter": "2", "ipv4.arp_ignore": "0" },
  }, {
    sysctls: { "net.ipv4.tcp_ecn": "0" },
    hosts: { peer: "10.1.0.1" },
    routes: [{ to: "default", via: "10.1.0.1" }],
  });
  assert.equal(waitsForStart(before, moved), []);
  assert.equal(waitsForStart(before, spec({ sysctls: { "ipv4.rp_filter": "0" } })), [
    "net.ipv4.tcp_ecn",
    "ipv4.arp_ignore of wire0",
  ]);
  assert.equal(waitsForStart(before, { ...before, links: [] }), [], "what goes takes its sysctls along");
});

test.run();
