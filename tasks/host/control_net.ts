// `berth host control-net`: the control network `_dockercnet`: a bridge and its address of our own, Docker's network on
// top, which gives vnodes their eth0; isolated, or with a device of the machine's as a port.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import type { Look } from "../../lib/host/types.ts";
import { controlDevice, settledMove } from "../../lib/resource/control_device/device.ts";
import { checkGivenBack } from "../../lib/resource/control_device/isolated.ts";
import { formedDevices, managerForm, managerFreed } from "../../lib/resource/control_device/manager.ts";
import { managersAside } from "../../lib/resource/control_device/manager_aside.ts";
import { checkRulesOnDevice } from "../../lib/resource/control_device/rules.ts";
import { findUplinks, type Uplink, type Uplinks } from "../../lib/resource/control_device/uplink.ts";
import { checkControlSubnet } from "../../lib/resource/control_subnet.ts";
import { type DockerNetwork, dockerNetwork } from "../../lib/resource/docker_network.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { bridgeOption } from "../../lib/resource/kinds/bridge_option.ts";
import { addressOn, bridge } from "../../lib/resource/kinds/link.ts";
import { macvlan } from "../../lib/resource/kinds/macvlan.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { BRIDGE_PREFIX, CONTROL_NETWORK, HOST_END_PREFIX, IFB_PREFIX } from "../../lib/vnode/names.ts";
import type { HostFacts } from "./_facts.ts";
import { checkControl, tables } from "./firewall.ts";
import { runStep, type Stage, type Step } from "./_step.ts";

/** Docker's network on the bridge. */
export function controlNetwork(config: Config, uplink: Pick<Uplink, "mtu"> | null = null): DockerNetwork {
  const { subnet, address, nat, routable } = config.host.controlNet;
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
      // Docker's own would masquerade what is not to be (berth_nat has what is).
      ...(config.host.engine.iptables && (!nat || routable.length > 0)
        ? { "com.docker.network.bridge.enable_ip_masquerade": "false" }
        : {}),
      ...(uplink === null || uplink.mtu === 1500
        ? {}
        : { "com.docker.network.driver.mtu": String(uplink.mtu) }),
    },
    label: "control",
  };
}

/** Docker's network where there is no bridge: vnodes sit on the device themselves. */
export function controlMacvlan(config: Config, uplink: Pick<Uplink, "name">): DockerNetwork {
  return {
    ...controlNetwork(config),
    driver: "macvlan",
    options: { parent: uplink.name, macvlan_mode: "bridge" },
  };
}

/** Nothing is moved: the host has a leg of its own beside those of the vnodes. */
function macvlanResources(config: Config, uplink: Uplink): readonly AnyResource[] {
  const { address } = config.host.controlNet;
  return [
    macvlan(CONTROL_NETWORK, {
      parent: uplink.name,
      mac: gatewayMac(address),
      alias: "berth control network",
    }),
    dockerNetwork(CONTROL_NETWORK, controlMacvlan(config, uplink)),
    addressOn(CONTROL_NETWORK, aliasOf(config)),
  ];
}

/** The alias's MAC as the vnodes' are made: 02:00 and the four bytes of its address. Theirs differ, as addresses do. */
function gatewayMac(address: string): string {
  return `02:00:${address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0")).join(":")}`;
}

/** The host's own address on the control network, with prefix length. */
function aliasOf(config: Config): string {
  const { subnet, address } = config.host.controlNet;
  return `${address}/${subnet.split("/")[1]}`;
}

/** The bridge first, so that it is ours and Docker only uses it; its address is never Docker's business. */
export function controlNetResources(
  config: Config,
  { bridgeMeta }: Pick<HostFacts, "bridgeMeta">,
  uplink: Pick<Uplink, "mtu"> | null = null,
): readonly AnyResource[] {
  const { address } = config.host.controlNet;
  const control = bridge(CONTROL_NETWORK, {
    alias: "berth control network",
    named: true,
    mac: gatewayMac(address),
    // A device whose way back is barred stays in it, with what it brought.
    bearing: true,
    // With a device in it, it has the device's.
    ...(uplink === null ? {} : { mtu: null }),
  });
  return [
    control,
    // Where rules cannot name the bridge, what is not registered is kept from IPv6 by those that can: inet's.
    ...(bridgeMeta ? [] : [bridgeOption(CONTROL_NETWORK, "nf_call_ip6tables", 1, control)]),
    // A connection's state is known above bridges only: on every kernel, where one hands its frames up.
    bridgeOption(CONTROL_NETWORK, "nf_call_iptables", 1, control),
    dockerNetwork(CONTROL_NETWORK, controlNetwork(config, uplink)),
    addressOn(CONTROL_NETWORK, aliasOf(config)),
    // The host answers ARP there only for its address there, and only within the subnet (ip-sysctl: arp_ignore 2).
    // With a device in it, it answers as it did on the device.
    ...(uplink === null
      ? [sysctl(`net/ipv4/conf/${CONTROL_NETWORK}/arp_ignore`, "2", { comesWith: control })]
      : []),
  ];
}

/** The device that is to be a port of the bridge: none with macvlan, which leaves it where it is. */
function portOf(config: Config, { wanted }: Uplinks): Uplink | null {
  return config.host.controlNet.driver === "macvlan" ? null : wanted;
}

function uplinksOf(look: Look, config: Config): Promise<Uplinks> {
  const { device, address } = config.host.controlNet;
  return findUplinks(look, { device, bridge: CONTROL_NETWORK, address });
}

/**
 * The device into the bridge, or out of it where the configuration names it no more; and the rules about it, which
 * must let its traffic pass as long as it is there.
 */
async function deviceResources(
  config: Config,
  facts: HostFacts,
  look: Look,
): Promise<readonly AnyResource[]> {
  const { address, gatewayTimeoutMs, probe } = config.host.controlNet;
  const uplinks = await uplinksOf(look, config);
  const { moved } = uplinks;
  const wanted = portOf(config, uplinks);
  const options = {
    bridge: CONTROL_NETWORK,
    address: aliasOf(config),
    mac: gatewayMac(address),
    timeoutMs: gatewayTimeoutMs,
    probe,
  };
  if (wanted !== null) {
    const mark = (await formedDevices(look)).includes(wanted.name);
    return [...standing(config, facts, wanted), controlDevice(wanted.name, { ...options, mark })];
  }
  return [
    ...(moved === null ? [] : [controlDevice(moved, { ...options, wanted: "free" })]),
    ...standing(config, facts, null),
  ];
}

/**
 * Another device than the one that is named now goes out first, with all that came with it: two in one bridge would
 * join two networks, and make a loop where they are one.
 */
async function formerResources(
  config: Config,
  _facts: HostFacts,
  look: Look,
): Promise<readonly AnyResource[]> {
  const uplinks = await uplinksOf(look, config);
  const { moved } = uplinks;
  const wanted = portOf(config, uplinks);
  if (moved === null || wanted === null || wanted.name === moved) return [];
  const { address, gatewayTimeoutMs } = config.host.controlNet;
  return [controlDevice(moved, {
    bridge: CONTROL_NETWORK,
    address: aliasOf(config),
    mac: gatewayMac(address),
    timeoutMs: gatewayTimeoutMs,
    // controlNet.probe is about the other one: this one's gateways are asked.
    wanted: "free",
  })];
}

/** The firewall's tables, where it was set up: if not, its own task does so. */
function standing(config: Config, facts: HostFacts, uplink: Uplink | null): readonly AnyResource[] {
  return tables(config, facts, uplink).map((table) => ({
    ...table,
    diff: (found: unknown) => found === null ? [] : table.diff(found),
  }));
}

/** What makes the move last, by whoever manages the device. */
async function managerResources(config: Config, _facts: HostFacts, look: Look) {
  const wanted = portOf(config, await uplinksOf(look, config));
  if (wanted === null) return [];
  const control = { device: wanted.name, bridge: CONTROL_NETWORK, alias: aliasOf(config) };
  return (await managerForm(look, control)).resources;
}

/** Before the bridge and any lan are made. */
function asideResources(_config: Config, _facts: HostFacts, look: Look) {
  const links = [HOST_END_PREFIX, IFB_PREFIX, BRIDGE_PREFIX].map((prefix) => `${prefix}*`);
  return managersAside(look, CONTROL_NETWORK, links);
}

/** Devices that are named no more go back to their managers, before anything else is moved. */
async function freedResources(config: Config, _facts: HostFacts, look: Look) {
  const wanted = portOf(config, await uplinksOf(look, config));
  return await managerFreed(look, { bridge: CONTROL_NETWORK, alias: aliasOf(config) }, wanted?.name ?? null);
}

async function checkSubnet(look: Look, config: Config): Promise<void> {
  const { subnet, address, device } = config.host.controlNet;
  await checkControlSubnet(look, {
    subnet,
    address,
    network: CONTROL_NETWORK,
    hasDevice: device !== undefined,
  });
}

/**
 * Refuses a subnet that is taken, or a network of others' that has the name, on a machine that has no control network
 * yet: before an engine and its containers are stopped for one that cannot be had.
 *
 * @throws {BerthError} code `config` or `refused`.
 */
export async function checkNewControlNet(look: Look, config: Config): Promise<void> {
  const network = dockerNetwork(CONTROL_NETWORK, controlNetwork(config));
  const found = await network.observe(look);
  if (found?.label === network.desired.label) return; // what speaks against it by now only its own step hangs on
  network.diff(found);
  await checkSubnet(look, config);
}

async function check(look: Look, config: Config): Promise<void> {
  await checkControl(look, config);
  await checkSubnet(look, config);
  const uplinks = await uplinksOf(look, config);
  const port = portOf(config, uplinks);
  if (port !== null && port.name !== uplinks.moved) {
    await checkRulesOnDevice(look, port.name, CONTROL_NETWORK);
  }
  const { moved } = uplinks;
  if (moved !== null && moved !== port?.name) {
    await checkGivenBack(look, { device: moved, bridge: CONTROL_NETWORK, alias: aliasOf(config) });
  }
  // A manager that berth cannot write for is told before anything is touched.
  await managerResources(config, {} as HostFacts, look);
}

/**
 * Bridge, address and Docker's network: what the watch keeps as it is. A device is moved by an operator or at boot
 * only: a watch that tried again and again would cut the machine off again and again.
 */
export const controlNetGround: Stage = async (config, facts, look) => {
  const { wanted } = await uplinksOf(look, config);
  return wanted !== null && config.host.controlNet.driver === "macvlan"
    ? macvlanResources(config, wanted)
    : controlNetResources(config, facts, wanted);
};

export const controlNetStep: Step = {
  name: "control-net",
  needs: ["daemon-json", "kernel"],
  check,
  stages: [
    () => [settledMove()],
    asideResources,
    // Their managers drop what is on the bridge: it is put right after them.
    freedResources,
    formerResources,
    controlNetGround,
    deviceResources,
    managerResources,
  ],
};

export default task({
  summary: "Make the control network",
  description:
    "Docker network _dockercnet on a bridge of the same name, isolated from the machine's own devices, or with\n" +
    "the one that controlNet.device names as a port. That one is moved with all its addresses and routes; if its\n" +
    "gateway stays silent then, or berth dies, everything is put back within controlNet.gatewayTimeout.\n" +
    "The subnet must not overlap anything else the machine knows.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, controlNetStep),
});
