// The laws over the domain's things on the real kernel with a real dockerd. Runs only inside a throw-away vhost
// (test/sandbox/laws_domain.test.ts starts it there); crash points are sampled, since each costs a restart or two.
import { test } from "uvu";
import { createHost } from "../../lib/host/host.ts";
import type { Host } from "../../lib/host/types.ts";
import { createDocker } from "../../lib/docker/client.ts";
import { engineDoor } from "../../lib/docker/door.ts";
import { noDockerLeftovers } from "../../lib/resource/docker_leftovers.ts";
import { dockerNetwork } from "../../lib/resource/docker_network.ts";
import { DAEMON_JSON, engine } from "../../lib/resource/engine.ts";
import { firewallTables } from "../../lib/resource/firewall.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { nftTable } from "../../lib/resource/nft_table.ts";
import { noRestartPolicies } from "../../lib/resource/restart_policy.ts";
import { skip } from "../skip.ts";
import { sh } from "./apart.ts";
import { FACTS, KEYS, NETWORK } from "./domain_subjects.ts";
import { laws, type Subject, type World } from "./laws.ts";

const script = (text: string) => sh("/bin/bash", "-c", `set -euo pipefail\n${text}`);
const run = (text: string) => (): Promise<void> => {
  script(text);
  return Promise.resolve();
};

/** Engine, networks, containers and file as they are compared; a container's identity is none of it. */
const DUMP = `
docker info >/dev/null 2>&1 && echo runs || echo "does not run"
docker ps -a --format '{{.Names}} {{.State}}' | sort
docker network ls --format '{{.Name}} {{.Driver}}' | sort
for one in $(docker ps -aq); do docker inspect -f '{{.Name}} {{.HostConfig.RestartPolicy.Name}}' $one; done | sort
ip -o -4 addr show docker0 | awk '{print $4}'
cat ${DAEMON_JSON} || echo "no file"`;
/** The laws over the engine have its own iptables rules come and go. */
const RULES = "nft -s list ruleset | grep -v '^#' | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/'";

const open = (dumped: string) => async (): Promise<World> => {
  const docker = createDocker({ socket: "/var/run/docker.sock" });
  await Promise.resolve();
  return {
    host: createHost({ runner: "lean", engine: engineDoor(docker) }),
    journal: "/tmp/laws-journal",
    dump: () => Promise.resolve(script(`{ ${dumped}\n} 2>/dev/null || true`)),
    async close() {
      await docker.close();
      script(`rm -f /tmp/laws-journal; nft flush ruleset; docker rm -f ours theirs >/dev/null 2>&1 || true
        docker network rm _laws theirs >/dev/null 2>&1 || true`);
    },
  };
};

const text = (host: Host) => host.readText(DAEMON_JSON).then((found) => JSON.parse(found ?? "{}"));

/** An engine with a container that runs on docker0, as any machine has it. */
const START = `
printf '{"debug": false, "labels": ["theirs=1"]}' >${DAEMON_JSON}
start-stop-daemon --stop --oknodo --pidfile /var/run/docker.pid --name dockerd --retry TERM/30/KILL/5 >/dev/null
rm -rf /run/berth
start-stop-daemon --start --background --notify-await --make-pidfile --pidfile /var/run/docker-ssd.pid \
  --output /var/log/dockerd.log --exec /usr/sbin/dockerd -- -p /var/run/docker.pid`;

function declare(): void {
  laws("a real network", (): Subject => ({
    resources: [dockerNetwork("_laws", NETWORK)],
    plant: run("docker network create theirs >/dev/null"),
    drift: { of: "docker network _laws", by: run("docker network rm _laws >/dev/null") },
    edit: {
      by: run(
        "docker run -d --stop-timeout 0 --name theirs --network theirs box:latest sleep 10000 >/dev/null",
      ),
      survives: () => Promise.resolve(script("docker ps").includes("theirs")),
    },
    gone: run("docker network rm _laws >/dev/null"),
  }), open(`${DUMP}\n${RULES}`));

  const policy = "docker update --restart always ours >/dev/null";
  laws("real policies", (): Subject => ({
    resources: [noRestartPolicies("berth.vnode")],
    stays: true,
    plant: run(`docker create --name ours --label berth.vnode=ours --restart always box:latest true >/dev/null
      docker create --name theirs --restart always box:latest true >/dev/null`),
    drift: { of: "restart policy of ours", by: run(policy) },
  }), open(`${DUMP}\n${RULES}`));

  laws("the real firewall", (): Subject => ({
    resources: firewallTables(FACTS).map(nftTable),
    plant: run("nft add table inet theirs; nft add chain inet theirs c; nft add rule inet theirs c drop"),
    drift: { of: "nft table bridge berth", by: run("nft flush chain bridge berth control_in") },
    edit: {
      by: run("nft add rule inet theirs c accept"),
      survives: () => Promise.resolve(script("nft list table inet theirs").includes("accept")),
    },
    gone: run("nft delete table bridge berth; nft delete table ip berth_nat"),
  }), open(`${DUMP}\n${RULES}`));

  const rules = `iptables -P FORWARD DROP; iptables -N DOCKER; iptables -N DOCKER-USER
    iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -o docker0 -j DOCKER
    iptables -A FORWARD -s 192.0.2.1 -j DROP; iptables -A DOCKER-USER -j RETURN`;
  laws("what a real engine's rules leave", (): Subject => ({
    resources: [noDockerLeftovers()],
    plant: run(rules),
    drift: { of: "iptables rules of docker", by: run("iptables -N DOCKER; iptables -A FORWARD -j DOCKER") },
    edit: {
      by: run("iptables -A FORWARD -s 192.0.2.2 -j DROP"),
      survives: () => Promise.resolve(/192\.0\.2\.1.*192\.0\.2\.2/s.test(script("iptables-save"))),
    },
  }), open(`${DUMP}\n${RULES}`));

  // The last: it leaves an engine that manages iptables itself.
  const wanted = () =>
    engine({ file: jsonFile(DAEMON_JSON, KEYS), keys: Object.keys(KEYS), bip: String(KEYS.bip) });
  laws(
    "a real engine",
    (): Subject => ({
      resources: [wanted()],
      plant: run(`${START}\ndocker run -d --stop-timeout 0 --name theirs box:latest sleep 10000 >/dev/null`),
      drift: { of: "engine docker", by: run("ip addr del 192.168.254.1/24 dev docker0") },
      edit: {
        by: async (host) => host.writeText(DAEMON_JSON, JSON.stringify({ ...await text(host), debug: true })),
        survives: async (host) => (await text(host)).debug === true && (await text(host)).bip === undefined,
      },
      gone: run("kill $(cat /var/run/docker.pid); while pgrep -x dockerd >/dev/null; do :; done"),
    }),
    open(DUMP),
    { crashes: process.env["BERTH_LONG"] === "1" ? 1 : 15 },
  );
}

if (process.env["BERTH_TEST_DOMAIN"] === "1") declare();
else {skip(
    test,
    "laws of the domain",
    "wants a throw-away vhost: test/sandbox/laws_domain.test.ts runs it there",
  );}
test.run();
