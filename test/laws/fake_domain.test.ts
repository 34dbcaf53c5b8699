// The laws over the things of a host's preparation on the fake host: engine, its network, its containers' policies,
// firewall, what Docker's own rules leave, the gate's script.
import { test } from "uvu";
import type { Host } from "../../lib/host/types.ts";
import { gateScript } from "../../lib/gate/script.ts";
import { noDockerLeftovers } from "../../lib/resource/docker_leftovers.ts";
import { dockerUser } from "../../lib/resource/docker_user.ts";
import { dockerNetwork } from "../../lib/resource/docker_network.ts";
import { DAEMON_JSON, engine } from "../../lib/resource/engine.ts";
import { directory, textFile } from "../../lib/resource/kinds/file.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { nftTable } from "../../lib/resource/nft_table.ts";
import { firewallTables } from "../../lib/resource/firewall.ts";
import { vnodesTable } from "../../lib/resource/firewall_vnodes.ts";
import { vnodeChains } from "../../lib/resource/vnode_chains.ts";
import { noRestartPolicies } from "../../lib/resource/restart_policy.ts";
import {
  DOCKERD_PASSING,
  dockerdCommands,
  dockerdDoor,
  plantContainers,
  startDockerd,
  stopDockerd,
} from "../fake/dockerd.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { iptablesCommands, nftCommands, plantRules } from "../fake/nft.ts";
import { laws, type Subject, type World } from "./laws.ts";
import { FACTS, KEYS, NETWORK } from "./domain_subjects.ts";
import { elementsSubject } from "./subjects.ts";

const hosts = new WeakMap<World, FakeHost>();
const machineOf = (world: World) => hosts.get(world)!.machine;
const OUTSIDE = [
  ...["/var/lib/berth", "/run/berth", "/proc/sys/kernel/random/boot_id", "/proc/modules"],
  ...DOCKERD_PASSING,
];

/** @param without what the engine keeps for itself where it ran for the first time. */
function open(without: readonly string[] = [], reboots = false): () => Promise<World> {
  return () => {
    const host: FakeHost = createFakeHost({
      files: { "/usr/sbin/dockerd": "", "/var/log/x": "" },
      commands: [dockerdCommands, nftCommands, iptablesCommands],
      engine: dockerdDoor(() => host.machine),
    });
    for (const path of ["/etc/docker", "/fake", "/sys/class/net", "/usr/lib", "/var/run"]) {
      host.machine.directories.set(path, 0o755);
    }
    const world: World = {
      host,
      journal: "/var/lib/berth/journal",
      dump: () => Promise.resolve(host.text([...OUTSIDE, ...without])),
      close: () => Promise.resolve(),
      ...(reboots
        ? {
          reboot() {
            host.reboot();
            host.machine.files.delete("/fake/nft");
          },
        }
        : {}),
    };
    hosts.set(world, host);
    return Promise.resolve(world);
  };
}

const wanted = () =>
  engine({ file: jsonFile(DAEMON_JSON, KEYS), keys: Object.keys(KEYS), bip: String(KEYS.bip) });
const text = (host: Host) => host.readText(DAEMON_JSON).then((found) => JSON.parse(found ?? "{}"));

laws("an engine that ran before", (world): Subject => ({
  resources: [wanted()],
  async plant(host) {
    await host.writeText(DAEMON_JSON, '{\n  "debug": true,\n  "labels": ["theirs"]\n}\n');
    startDockerd(machineOf(world));
    plantContainers(machineOf(world), [{ name: "web", labels: [], policy: "no", running: true }]);
  },
  drift: {
    of: "engine docker",
    by() {
      const { links } = machineOf(world);
      links.set("docker0", { ...links.get("docker0")!, addresses: ["172.17.0.1/16"] });
      return Promise.resolve();
    },
  },
  edit: {
    by: async (host) =>
      host.writeText(DAEMON_JSON, JSON.stringify({ ...await text(host), debug: false, mtu: 1400 })),
    async survives(host) {
      const left = await text(host);
      return left.mtu === 1400 && left.debug === false && left.bip === undefined &&
        left.labels[0] === "theirs";
    },
  },
  async gone(host) {
    stopDockerd(machineOf(world));
    await host.remove(DAEMON_JSON);
  },
}), open());

laws("an engine that did not run before", (world): Subject => ({
  resources: [wanted()],
  drift: { of: "engine docker", by: () => Promise.resolve(stopDockerd(machineOf(world))) },
  gone(host) {
    stopDockerd(machineOf(world));
    return host.remove(DAEMON_JSON);
  },
}), open(["/fake/store"]));

laws("a network of the engine's", (world): Subject => ({
  resources: [dockerNetwork("_dockercnet", NETWORK)],
  async plant(host) {
    startDockerd(machineOf(world));
    await host.engineCall({ method: "POST", path: "/networks/create", body: { Name: "theirs" } });
  },
  drift: {
    of: "docker network _dockercnet",
    by: (host) => host.engineCall({ method: "DELETE", path: "/networks/_dockercnet" }).then(() => {}),
  },
  edit: {
    by: (host) =>
      host.engineCall({ method: "POST", path: "/networks/create", body: { Name: "more" } }).then(() => {}),
    survives: async (host) => (await host.engine("/networks/more"))?.status === 200,
  },
  gone: (host) => host.engineCall({ method: "DELETE", path: "/networks/_dockercnet" }).then(() => {}),
}), open());

laws("restart policies", (world): Subject => {
  const always = (name: string, labels: readonly string[]) => ({
    name,
    labels,
    policy: "always",
    running: true,
  });
  const plant = () => {
    startDockerd(machineOf(world));
    plantContainers(machineOf(world), [always("ours", ["berth.vnode"]), always("theirs", [])]);
    return Promise.resolve();
  };
  return {
    resources: [noRestartPolicies("berth.vnode")],
    plant,
    stays: true,
    drift: { of: "restart policy of ours", by: plant },
    edit: {
      by: () => Promise.resolve(),
      survives: async (host) =>
        JSON.stringify((await host.engine("/containers/theirs/json"))?.body).includes("always"),
    },
  };
}, open());

const RULES = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:THEIRS - [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -s 10.0.0.1/32 -j THEIRS
-A DOCKER-USER -j RETURN
COMMIT
`;

laws("what Docker's own rules leave", (world): Subject => {
  const plant = () => Promise.resolve(plantRules(machineOf(world), "ip", RULES));
  return {
    resources: [noDockerLeftovers()],
    plant,
    drift: { of: "iptables rules of docker", by: plant },
    edit: {
      by: () => Promise.resolve(),
      async survives(host) {
        const { stdout } = await host.query({ argv: ["iptables-save"] });
        return stdout.includes(":FORWARD DROP") && stdout.includes("-j THEIRS") && stdout.includes("DOCKER");
      },
    },
  };
}, open());

laws("berth's rules in Docker's chain for operators", (world): Subject => {
  const theirs = (rules: string) => RULES.replace("-A DOCKER-USER -j", `${rules}-A DOCKER-USER -j`);
  const plant = (rules: string) => {
    plantRules(machineOf(world), "ip", theirs(rules));
    return Promise.resolve();
  };
  return {
    resources: [dockerUser({ controlBridge: "_dockercnet", lanPrefix: "bbr-" })],
    plant: () => plant("-A DOCKER-USER -s 192.0.2.7/32 -j DROP\n"),
    drift: {
      of: "rules of berth in DOCKER-USER",
      by: () => plant("-A DOCKER-USER -s 192.0.2.7/32 -j DROP\n"),
    },
    edit: {
      by: async (host) =>
        void await host.exec({
          argv: ["iptables-restore", "--noflush", "-w", "10"],
          input: "*filter\n-I DOCKER-USER -s 192.0.2.8/32 -j DROP\nCOMMIT\n",
        }),
      survives: async (host) =>
        (await host.query({ argv: ["iptables-save"] })).stdout.includes("-s 192.0.2.8/32 -j DROP"),
    },
  };
}, open());

const nft = (input: string) => (host: Host) => host.exec({ argv: ["nft", "-f", "-"], input }).then(() => {});

laws("the firewall", (): Subject => ({
  resources: firewallTables(FACTS).map(nftTable),
  plant: nft("add table inet theirs\nadd chain inet theirs c\nadd rule inet theirs c drop\n"),
  drift: { of: "nft table inet berth", by: nft("flush chain inet berth forward\n") },
  edit: {
    by: nft("add rule inet theirs c accept\n"),
    survives: async (host) =>
      (await host.query({ argv: ["nft", "-j", "-t", "list", "table", "inet", "theirs"] })).exit === 0,
  },
  gone: nft("delete table bridge berth\ndelete table inet berth\ndelete table ip berth_nat\n"),
}), open([], true));

laws("elements of sets and maps", elementsSubject, open([], true));

laws("chains of vnodes", (): Subject => ({
  resources: [
    nftTable(vnodesTable(FACTS)),
    vnodeChains([{ name: "v_left_in", rules: ["tcp dport 80 drop"] }, { name: "v_right_in", rules: [] }]),
  ],
  drift: { of: "nft chains of vnodes", by: nft("flush chain inet berth_vnodes v_left_in\n") },
  gone: nft("delete table inet berth_vnodes\n"),
}), open([], true));

laws("the gate's script", (): Subject => ({
  resources: [
    directory("/usr/lib/berth"),
    textFile(
      "/usr/lib/berth/runtime",
      gateScript({ runc: "/usr/sbin/runc", berth: "/usr/bin/berth", dataRoot: "/var/lib/docker" }),
      { mode: 0o755 },
    ),
  ],
  drift: {
    of: "file /usr/lib/berth/runtime",
    by: (host) => host.writeText("/usr/lib/berth/runtime", "#!/bin/sh\n"),
  },
}), open());

test.run();
