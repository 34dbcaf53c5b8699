// What the fake host and the real engine are put to alike: keys of daemon.json, a network, the firewall's facts.
import type { DockerNetwork } from "../../lib/resource/docker_network.ts";
import type { FirewallFacts } from "../../lib/resource/firewall.ts";
import type { JsonObject } from "../../lib/resource/kinds/json.ts";

/** Keys of both kinds: some are reloaded, some want a restart. */
export const KEYS: JsonObject = { "bip": "192.168.254.1/24", "iptables": false, "live-restore": true };

export const NETWORK: DockerNetwork = {
  driver: "bridge",
  subnet: "10.201.0.0/16",
  gateway: "10.201.0.1",
  ipRange: "10.201.0.1/32",
  options: { "com.docker.network.bridge.inhibit_ipv4": "true" },
  label: "control",
};

export const FACTS: FirewallFacts = {
  controlBridge: "_dockercnet",
  controlSubnet: "172.16.0.0/12",
  controlAddress: "172.16.0.1",
  isolation: "experiments",
  hasUplink: false,
  nat: true,
  routable: ["10.1.0.0/16"],
  dockerSubnet: "192.168.254.0/24",
  dockerNat: true,
  lanPortPrefixes: ["bve-", "bvx-", "bvl-"],
  lanPrefix: "bbr-",
  bridgeMeta: false,
};
