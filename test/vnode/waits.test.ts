// What a changed spec cannot give to a running life is told to the operator.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { waitsForStart } from "../../lib/vnode/wiring.ts";

const spec = (links: unknown[], more: object = {}) =>
  parseConfig([{
    path: "/etc/berth/vnodes.d/a.json",
    text: JSON.stringify({
      lans: { wire: { subnet: "10.1.0.0/24" } },
      vnodes: { left: { image: "debian", links, ...more } },
    }),
  }]).vnodes[0]!;

test("waitsForStart() names what is set once a life, and nothing else", () => {
  const before = spec([{ lan: "wire", address: "10.1.0.1", rate: "1mbit" }]);
  assert.equal(waitsForStart(before, before), []);
  assert.equal(waitsForStart(before, spec([{ lan: "wire", address: "10.1.0.1", rate: "2mbit" }])), []);
  const moved = spec([{ lan: "wire", address: "10.1.0.2", mac: "02:00:00:00:00:09" }], {
    hosts: { peer: "10.1.0.1" },
    routes: [{ to: "default", via: "10.1.0.1" }],
  });
  assert.equal(waitsForStart(before, moved), ["addresses of eth1", "MAC of eth1", "routes"]);
  const named = spec([{ lan: "wire", address: "10.1.0.1" }], { hosts: { peer: "10.1.0.2" } });
  assert.equal(waitsForStart(before, named), []);
  const more = spec([{ lan: "wire", address: "10.1.0.1" }, { lan: "wire", address: "10.1.0.3" }]);
  assert.equal(waitsForStart(before, more), []);
});

test.run();
