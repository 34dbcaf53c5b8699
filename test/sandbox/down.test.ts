// deadline: 400s
// Vnodes taken down while a watch runs: both see the containers die, and both take away what stood for them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

const NAMES = ["one", "two", "three", "four"];
const EXPERIMENT = {
  lans: { wire: { subnet: "10.1.0.0/24" } },
  vnodes: Object.fromEntries(NAMES.map((name, at) => [name, {
    image: "box",
    command: ["sleep", "100000"],
    links: [{ lan: "wire", address: `10.1.0.${at + 1}`, rate: "10mbit" }],
    firewall: { style: "basic", rules: [{ in: "accept", protocol: "tcp", port: 80 + at }] },
    forward: [{ port: 2200 + at, to: 22 }],
  }])),
};
const ROUNDS = 6;

test("four vnodes go down by one command beside a watch, again and again, and nothing of them stays", async () => {
  const box = await openSandbox({ engine: "28.5", berth: true });
  const berth = async (...args: string[]) => {
    const said = await box.run(["berth", ...args], { timeoutMs: 120_000 });
    assert.is(said.exit, 0, `berth ${args.join(" ")}: ${said.stdout}${said.stderr}`);
    return said.stdout;
  };
  const elements = () => box.sh("nft list table inet berth_vnodes | grep -c '172\\.' || true");
  try {
    await berth("boot");
    await box.loadImage();
    await box.write("/etc/berth/vnodes.d/four.yaml", JSON.stringify(EXPERIMENT));
    const before = await elements();
    for (let round = 0; round < ROUNDS; round++) {
      await berth("vnode", "up");
      await berth("vnode", "down", ...NAMES);
      assert.is((await box.sh("ls -A /var/lib/berth/vnodes")).trim(), "");
      assert.is((await box.sh("ip -br link | grep -c 'bve-\\|bbr-' || true")).trim(), "0");
      assert.is(await elements(), before);
    }
  } finally {
    await box.close();
  }
});

test.run();
