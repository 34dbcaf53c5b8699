// A sandbox that berth has prepared: what most stories begin with.
import { type Engine, openSandbox, type Sandbox } from "./harness.ts";

/** Engines that stories run on. */
export const ENGINES: readonly Engine[] = ["20.10", "26.1", "28.5"];

/** A vnode whose first instruction tells what it finds, then sleeps. */
export const TELL = [
  "sh",
  "-c",
  "ip -o link; ip -o addr; ip route; ip -6 route; cat /etc/hosts; echo TOLD; exec sleep 100000",
];

/** Two vnodes on a shaped lan; `left` tells what its first instruction finds. A third on a lan of its own. */
export const PAIR = {
  lans: { wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] }, apart: { subnet: "10.2.0.0/24" } },
  vnodes: {
    left: {
      image: "box",
      command: TELL,
      links: [
        { lan: "wire", addresses: ["10.1.0.1", "fd00:1::1"], mac: "02:00:00:00:01:01", rate: "10mbit" },
        { lan: "wire", name: "data0", address: "10.1.0.11", mac: "02:00:00:00:01:02", mtu: 1400 },
      ],
      routes: [{ to: "10.9.0.0/16", via: "10.1.0.2" }],
      hosts: { "right-wire": "10.1.0.2" },
    },
    right: {
      image: "box",
      command: ["sleep", "100000"],
      links: [{ lan: "wire", address: "10.1.0.2", rate: "10mbit" }],
    },
    bystander: { image: "box", command: ["sleep", "100000"], links: [{ lan: "apart", address: "10.2.0.1" }] },
  },
};

/** Runs berth in the sandbox and returns its stdout. @throws {Error} with all it said when it fails. */
export async function berth(box: Sandbox, ...argv: string[]): Promise<string> {
  const said = await box.run(["berth", ...argv], { timeoutMs: 120_000 });
  if (said.exit !== 0) {
    throw new Error(`berth ${argv.join(" ")} ended with ${said.exit}\n${said.stdout}${said.stderr}`);
  }
  return said.stdout;
}

/** A prepared vhost with the test image, and these vnodes up (none when null). */
export async function openVhost(
  engine: Engine,
  experiment: unknown = PAIR,
  hostConfig: unknown = {},
): Promise<Sandbox> {
  const box = await openSandbox({ engine, berth: true });
  try {
    await box.write("/etc/berth/host.yaml", JSON.stringify(hostConfig));
    await berth(box, "host", "up");
    await box.loadImage();
    if (experiment !== null) {
      await box.write("/etc/berth/vnodes.d/experiment.yaml", JSON.stringify(experiment));
      await berth(box, "vnode", "up");
    }
    return box;
  } catch (error) {
    await box.close();
    throw error;
  }
}

/** Everything on the host that was made for vnodes: interfaces, their qdiscs, registered control ports. */
export async function wiringDump(box: Sandbox): Promise<string> {
  return await box.sh(`
    ip -o link show | grep -oE ' (bve|bif)-[0-9a-f]+' | sort || true
    tc qdisc show | grep -E 'dev (bve|bif)-' | sort || true
    nft list set bridge berth control_ports | grep -oE '"veth[0-9a-f]+" \\. [0-9a-f:]+ \\. [0-9.]+' | sort || true
  `);
}
