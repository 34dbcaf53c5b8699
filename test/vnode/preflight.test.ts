// Where the operator leaves Docker's iptables on: bridged frames that would be dropped are told with bridge and setting.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bridgeName } from "../../lib/vnode/names.ts";
import { filteredBridges } from "../../lib/vnode/preflight.ts";
import { createFakeHost } from "../fake/host.ts";

const GLOBAL = "net.bridge.bridge-nf-call-iptables";
const OWN = `/sys/class/net/${bridgeName("wire")}/bridge/nf_call_iptables`;
const DROP = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";

function machine(saved: string, global: string, own: string) {
  return createFakeHost({
    sysctls: { [GLOBAL]: global },
    files: { [OWN]: `${own}\n` },
    commands: [({ argv }) => argv[0] === "iptables-save" ? { stdout: saved } : null],
  });
}

test("filteredBridges() names the bridge and the setting, the global one first", async () => {
  const found = (host: ReturnType<typeof machine>) => filteredBridges(host, ["wire"]);
  const bridge = bridgeName("wire");
  assert.equal(await found(machine(DROP, "1", "0")), [{ lan: "wire", bridge, setting: GLOBAL }]);
  assert.equal(await found(machine(DROP, "0", "1")), [{ lan: "wire", bridge, setting: OWN }]);
});

test("filteredBridges() is content where nothing is dropped, or what is bridged is accepted", async () => {
  const accept = DROP.replace("COMMIT", "-A DOCKER-USER -m physdev --physdev-is-bridged -j ACCEPT\nCOMMIT");
  for (
    const host of [
      machine(DROP, "0", "0"),
      machine(DROP.replace("DROP", "ACCEPT"), "1", "1"),
      machine(accept, "1", "0"),
    ]
  ) assert.equal(await filteredBridges(host, ["wire"]), []);
});

test.run();
