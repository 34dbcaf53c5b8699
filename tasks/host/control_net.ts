// `berth host control-net`: the control network `_dockercnet`, isolated: a bridge and its address of our own, and
// Docker's network on top, which gives vnodes their eth0.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import type { Look } from "../../lib/host/types.ts";
import { checkControlSubnet } from "../../lib/resource/control_subnet.ts";
import { type DockerNetwork, dockerNetwork } from "../../lib/resource/docker_network.ts";
import { addressOn, bridge } from "../../lib/resource/kinds/link.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { CONTROL_NETWORK } from "../../lib/vnode/names.ts";
import { runStep, type Step } from "./_step.ts";

/** Docker's network on the bridge. */
export function controlNetwork(config: Config): DockerNetwork {
  const { subnet, address } = config.host.controlNet;
  return {
    driver: "bridge",
    subnet,
    gateway: address,
    // The one dynamic address is the gateway's: Docker finds none free, and gives out only what is asked for.
    ipRange: `${address}/32`,
    options: {
      "com.docker.network.bridge.name": CONTROL_NETWORK,
      // Without it dockerd takes addresses off the bridge, and default routes with them, at each restart.
      "com.docker.network.bridge.inhibit_ipv4": "true",
    },
    label: "control",
  };
}

/** The alias's MAC as the vnodes' are made: 02:00 and the four bytes of its address. Theirs differ, as addresses do. */
function gatewayMac(address: string): string {
  return `02:00:${address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0")).join(":")}`;
}

/** The bridge first, so that it is ours and Docker only uses it; its address is never Docker's business. */
export function controlNetResources(config: Config) {
  const { subnet, address } = config.host.controlNet;
  const control = bridge(CONTROL_NETWORK, {
    alias: "berth control network",
    named: true,
    mac: gatewayMac(address),
  });
  return [
    control,
    dockerNetwork(CONTROL_NETWORK, controlNetwork(config)),
    addressOn(CONTROL_NETWORK, `${address}/${subnet.split("/")[1]}`),
    // The host answers ARP there only for its address there, and only within the subnet (ip-sysctl: arp_ignore 2).
    sysctl(`net/ipv4/conf/${CONTROL_NETWORK}/arp_ignore`, "2", { comesWith: control }),
  ];
}

function check(look: Look, config: Config): Promise<void> {
  return checkControlSubnet(look, { subnet: config.host.controlNet.subnet, network: CONTROL_NETWORK });
}

export const controlNetStep: Step = {
  name: "control-net",
  needs: ["daemon-json", "kernel"],
  check,
  stages: [controlNetResources],
};

export default task({
  summary: "Make the control network",
  description:
    "Docker network _dockercnet on a bridge of the same name, isolated from the machine's own devices.\n" +
    "Its subnet must not overlap anything else the machine knows.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, controlNetStep),
});
