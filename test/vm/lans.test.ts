// deadline: 3000s
// A lan on a VLAN of a machine's device, which development kernels lack: the tagged neighbour is reached, the device
// keeps its own address and untagged network.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { vlanName } from "../../lib/vnode/names.ts";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { boxImage, openMachine, until, whyNoMachine } from "./harness.ts";

const EXPERIMENT = `lans:
  tagged: { subnet: 10.5.0.0/24, device: ens9, vlan: 100 }
  own: { subnet: 10.6.0.0/24, driver: macvlan, device: ens9, vlan: 200 }
vnodes:
  inner: { image: box, command: [sleep, "100000"], links: [{ lan: tagged, address: 10.5.0.1 }] }
  beside: { image: box, command: [sleep, "100000"], links: [{ lan: own, address: 10.6.0.1 }] }
`;

/** A device with an address in use, and a neighbour that speaks untagged and in both VLANs. */
const NEIGHBOUR = `
  modprobe 8021q
  ip netns add far
  ip link add ens9 type veth peer name far9 netns far
  ip addr add 192.0.2.5/24 dev ens9
  ip link set ens9 up
  ip -n far addr add 192.0.2.9/24 dev far9
  ip -n far link set far9 up
  for vlan in 100:10.5.0.9 200:10.6.0.9; do
    ip -n far link add link far9 name "far9.\${vlan%%:*}" type vlan id "\${vlan%%:*}"
    ip -n far addr add "\${vlan#*:}/24" dev "far9.\${vlan%%:*}"
    ip -n far link set "far9.\${vlan%%:*}" up
  done`;

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine("bookworm")
  : "minutes of emulation: deno task long";

if (absent !== null) skip(test, "a lan is a VLAN of a device in use", absent);
else {
  test("a lan is a VLAN of a device in use, which stays as it is; given back with the last vnode", async () => {
    const machine = await openMachine({
      suite: "bookworm",
      bootMs: 1_500_000,
      files: {
        "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
        "/etc/berth/vnodes.d/lans.yaml": EXPERIMENT,
        "/root/box.tar": { copy: await boxImage() },
      },
    });
    const berth = (...args: string[]) => machine.run(["berth", ...args], { timeoutMs: 500_000 });
    const done = async (...args: string[]) => {
      const said = await berth(...args);
      assert.is(said.exit, 0, `berth ${args.join(" ")}\n${said.stdout}${said.stderr}`);
    };
    const answers = (what: string, argv: readonly string[]) =>
      until(what, async (seen) => {
        const said = await machine.run([...argv]);
        seen(said.stdout + said.stderr);
        return said.exit === 0;
      }, { deadlineMs: 60_000, everyMs: 500 });
    const ping = (to: string) => ["ping", "-c", "1", "-W", "2", to];
    const device = () =>
      machine.sh("ip -o addr show dev ens9 | sed 's/ tentative//'; ip -o link show ens9 | grep -o 'mtu .*'");
    try {
      await done("host", "up");
      await machine.sh("docker import /root/box.tar box:latest", { timeoutMs: 300_000 });
      await machine.sh(NEIGHBOUR);
      const before = await device();
      await done("vnode", "up");
      await answers("the tagged neighbour", ["docker", "exec", "inner", ...ping("10.5.0.9")]);
      await answers("the other VLAN's, by a macvlan", ["docker", "exec", "beside", ...ping("10.6.0.9")]);
      await answers("the untagged one, by the machine itself", ["busybox", ...ping("192.0.2.9")]);
      assert.is(await device(), before);
      const crossed = await machine.run(["docker", "exec", "inner", ...ping("10.6.0.9")]);
      assert.is.not(crossed.exit, 0, "one VLAN from the other");
      assert.match(await machine.sh(`ip -d link show ${vlanName("tagged")}`), "vlan protocol 802.1Q id 100");
      await done("vnode", "down", "inner", "beside");
      assert.is(await device(), before);
      assert.is((await machine.sh("ip -o link show | grep -c 'bvl-\\|bbr-' || true")).trim(), "0");
    } finally {
      await machine.close();
    }
  });
}

test.run();
