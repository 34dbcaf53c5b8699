// MTUs as the kernel takes them: below 1280 an interface has no IPv6 whose address generation could be switched
// off, and a bridge must not go down to the least of its ports. In a network namespace of the test's own.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Command } from "../../lib/host/types.ts";
import { lan } from "../../lib/vnode/lan.ts";
import { bridgeName, hostEndName } from "../../lib/vnode/names.ts";
import { hostLinkLines, wiringOf } from "../../lib/vnode/wiring.ts";
import { skip } from "../skip.ts";

const BRIDGE = bridgeName("wire");
const END = hostEndName("left", "eth1");

function parse(lanMtu: number, linkMtu: number) {
  const text = JSON.stringify({
    lans: { wire: { subnet: "10.1.0.0/24", mtu: lanMtu } },
    vnodes: { left: { image: "box", links: [{ lan: "wire", address: "10.1.0.1", mtu: linkMtu }] } },
  });
  return parseConfig([{ path: "/etc/berth/vnodes.d/one.json", text }]);
}

/** Runs a script in a namespace that ends with it; `$$` in a batch is its own pid, so that both ends stay there. */
function inNamespace(script: string): string {
  const ran = spawnSync("unshare", ["-n", "bash", "-ec", script], { encoding: "utf8" });
  assert.is(ran.status, 0, ran.stderr);
  return ran.stdout;
}
const batch = (lines: string) => `ip -batch - <<END\n${lines}\nEND\n`;

/** The script that makes a lan, then wires one link to it. */
async function make(lanMtu: number, linkMtu: number): Promise<string> {
  const { lans, vnodes } = parse(lanMtu, linkMtu);
  const wiring = wiringOf(vnodes[0]!);
  return batch(await lanLines(lans[0]!, "[]")) +
    batch(hostLinkLines(wiring, wiring.links[0]!, "$$", "g").join("\n")) + "ip link set eth1 up\n";
}

/** What makes a bridge that was found so into the wanted one. */
async function lanLines(spec: Parameters<typeof lan>[0], found: string): Promise<string> {
  const resource = lan(spec);
  const look = { query: () => Promise.resolve({ stdout: found, stderr: "", exit: 0 }) };
  const state = await resource.observe(look as unknown as Parameters<typeof resource.observe>[0]);
  const ops = resource.diff(state).flatMap((change) => change.do);
  return ops.map((op) => (op as { run: Command }).run.input!.trim()).join("\n");
}

const LINKS = "ip -j -d link show";
const ADDRESSES = "ip -j addr show";
const linkOf = (shown: string, name: string) =>
  (JSON.parse(shown) as { ifname: string; mtu: number; addr_info: { local: string }[] }[])
    .find((one) => one.ifname === name)!;

async function story(): Promise<void> {
  for (
    const [lanMtu, linkMtu] of [[1500, 1500], [1500, 1200], [1200, 1200], [1280, 68], [68, 68], [9000, 1300]]
  ) {
    const [shown, links] = inNamespace((await make(lanMtu!, linkMtu!)) + `${ADDRESSES}; echo; ${LINKS}`)
      .split("\n").filter((line) => line !== "") as [string, string];
    const said = `lan ${lanMtu}, link ${linkMtu}`;
    assert.is(linkOf(shown, BRIDGE).mtu, lanMtu, said);
    assert.is(linkOf(shown, END).mtu, linkMtu, said);
    assert.equal(linkOf(shown, BRIDGE).addr_info, [], said);
    assert.equal(linkOf(shown, END).addr_info, [], said);
    const left = lan(parse(lanMtu!, linkMtu!).lans[0]!);
    const look = { query: () => Promise.resolve({ stdout: links, stderr: "", exit: 0 }) };
    const found = await left.observe(look as unknown as Parameters<typeof left.observe>[0]);
    assert.equal(left.diff(found), [], said);
  }
  // What an earlier berth left: pulled below 1280 by a port.
  const broken = (await make(1500, 1500)) + `ip link set ${BRIDGE} mtu 1200\n`;
  const found = inNamespace(broken + LINKS);
  const shown = inNamespace(
    broken + batch(await lanLines(parse(1500, 1500).lans[0]!, found)) + ADDRESSES,
  );
  assert.is(linkOf(shown, BRIDGE).mtu, 1500);
  assert.equal(linkOf(shown, BRIDGE).addr_info, []);
}

const name = "any MTU from 68 on can be had by lans and links, and none brings fe80::";
if (process.getuid?.() === 0) test(name, story);
else skip(test, name, "needs root, for network namespaces");

test.run();
