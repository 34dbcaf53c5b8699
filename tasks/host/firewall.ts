// `berth host firewall`: berth's own nftables tables, and nothing left of Docker's rules where those are off.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import type { Look } from "../../lib/host/types.ts";
import { checkControlDriver } from "../../lib/resource/control_device/driver.ts";
import { deviceFacts } from "../../lib/resource/control_device/facts.ts";
import { checkIsolated } from "../../lib/resource/control_device/isolated.ts";
import { checkProbe } from "../../lib/resource/control_device/probe.ts";
import { findUplinks, type Uplink } from "../../lib/resource/control_device/uplink.ts";
import { dockerUser } from "../../lib/resource/docker_user.ts";
import { noDockerLeftovers } from "../../lib/resource/docker_leftovers.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { type FirewallFacts, firewallTables } from "../../lib/resource/firewall.ts";
import { parseSubnet, subnetText } from "../../lib/resource/ipv4.ts";
import { nftTable } from "../../lib/resource/nft_table.ts";
import {
  BRIDGE_PREFIX,
  CONTROL_NETWORK,
  HOST_END_PREFIX,
  VLAN_PREFIX,
  VXLAN_PREFIX,
} from "../../lib/vnode/names.ts";
import type { HostFacts } from "./_facts.ts";
import { runStep, type Step } from "./_step.ts";

/** What the rules are made from. */
export function firewallFacts(
  config: Config,
  { bridgeMeta }: HostFacts,
  uplink: Pick<Uplink, "name" | "subnets"> | null = null,
): FirewallFacts {
  const { controlNet, engine } = config.host;
  return {
    controlBridge: CONTROL_NETWORK,
    controlSubnet: networkOf(controlNet.subnet),
    controlAddress: controlNet.address,
    isolation: controlNet.isolation,
    hasUplink: controlNet.device !== undefined,
    nat: controlNet.nat,
    routable: controlNet.routable,
    dockerSubnet: networkOf(engine.bip),
    dockerNat: !engine.iptables,
    lanPortPrefixes: [HOST_END_PREFIX, VXLAN_PREFIX, VLAN_PREFIX],
    lanPrefix: BRIDGE_PREFIX,
    bridgeMeta,
    ...(uplink === null ? {} : { uplink: { name: uplink.name, subnets: uplink.subnets } }),
  };
}

function networkOf(cidr: string): string {
  const subnet = parseSubnet(cidr);
  return subnet === null ? cidr : subnetText(subnet);
}

/** Our tables. */
export function tables(
  config: Config,
  facts: HostFacts,
  uplink: Pick<Uplink, "name" | "subnets"> | null,
): readonly AnyResource[] {
  return firewallTables(firewallFacts(config, facts, uplink)).map(nftTable);
}

/** Our tables; and where Docker's own management is on, a way past it; where it is off, an end to what it had set up. */
export function firewallResources(
  config: Config,
  facts: HostFacts,
  uplink: Pick<Uplink, "name" | "subnets"> | null = null,
): readonly AnyResource[] {
  const ours = tables(config, facts, uplink);
  const accepted = { controlBridge: CONTROL_NETWORK, lanPrefix: BRIDGE_PREFIX };
  return config.host.engine.iptables
    ? [...ours, dockerUser(accepted)]
    : [...ours, dockerUser(null), noDockerLeftovers()];
}

/** The device in the bridge, or the one that is to be: a macvlan leaves it where it is. */
export async function bridgeUplink(
  look: Look,
  config: Config,
): Promise<Pick<Uplink, "name" | "subnets"> | null> {
  const { device, driver, address } = config.host.controlNet;
  const { wanted, moved } = await findUplinks(look, { device, bridge: CONTROL_NETWORK, address });
  // One that the configuration does not name any more is not cut off before it is given back.
  if (device === undefined || driver === "macvlan") {
    return moved === null ? null : { name: moved, subnets: [] };
  }
  return wanted;
}

/**
 * What would make the control network refuse what is configured, asked before the rules for it are changed: what stands
 * of it is of the other driver, a device would be moved that nobody tells of, or the machine's way out would be shut.
 */
export async function checkControl(look: Look, { host: { controlNet } }: Config): Promise<void> {
  const { device, driver, address, subnet, probe } = controlNet;
  await checkControlDriver(look, CONTROL_NETWORK, device === undefined ? "bridge" : driver);
  if (device !== undefined && driver === "macvlan") return;
  const { wanted, moved } = await findUplinks(look, { device, bridge: CONTROL_NETWORK, address });
  if (device === undefined && moved === null) await checkIsolated(look, { bridge: CONTROL_NETWORK, subnet });
  if (wanted === null || wanted.name === moved) return;
  const found = await deviceFacts(look, wanted.name);
  if (found !== null && found.master !== CONTROL_NETWORK) checkProbe(found, probe);
}

/** After daemon-json: a running engine with its own rules would make them again. */
export const firewallStep: Step = {
  name: "firewall",
  needs: ["packages", "daemon-json"],
  check: checkControl,
  stages: [
    async (config, facts, look) => firewallResources(config, facts, await bridgeUplink(look, config)),
  ],
};

export default task({
  summary: "Set up NAT, isolation and the control network's allow-list",
  description:
    "All in nftables tables of berth's own (bridge berth, inet berth, ip berth_nat, inet berth_vnodes), each\n" +
    "replaced in one transaction. Other tables are not touched, save for what Docker's own management has left behind;\n" +
    'where that is on (engine.iptables), for rules in its chain DOCKER-USER, marked "berth".',
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, firewallStep),
});
