// deadline: 600s
// Berths that change the host at the same time, and a watch that stands while the host is given back.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bridgeName } from "../../lib/vnode/names.ts";
import { settled, startWatch, watchLog } from "./_world.ts";
import { openVhost } from "./vhost.ts";

const LINK = (address: string) => ({
  image: "box",
  command: ["sleep", "100000"],
  links: [{ lan: "wire", address }],
});
const EXPERIMENT = {
  lans: { wire: { subnet: "10.1.0.0/24" } },
  vnodes: { left: LINK("10.1.0.1"), right: LINK("10.1.0.2") },
};

test("two berths at once bring the same up, host down ends the watch, and a lost record is made again", async () => {
  const box = await openVhost("20.10", null);
  try {
    const both = async (...argv: string[]) => {
      const ran = await Promise.all([1, 2].map(() => box.run(argv, { timeoutMs: 120_000 })));
      for (const said of ran) assert.is(said.exit, 0, `${argv.join(" ")}: ${said.stdout}${said.stderr}`);
    };
    await box.sh("nft flush ruleset");
    await both("berth", "host", "up");
    assert.match(await box.sh("berth host check"), /As prepared/);

    await startWatch(box);
    await box.sh("berth host down");
    assert.is((await box.run(["pgrep", "-f", "berth watc[h]"])).exit, 1, "the watch is ended");
    assert.is(await box.sh("nft list tables | grep berth || true"), "");
    await both("berth", "host", "up");
    assert.match(await box.sh("berth host check"), /As prepared/);

    await box.write("/etc/berth/vnodes.d/experiment.yaml", JSON.stringify(EXPERIMENT));
    const lan = await Promise.all([1, 2].map(() => box.run(["berth", "vnode", "up", "--create-only"])));
    assert.is(Math.min(...lan.map(({ exit }) => exit)), 0, lan.map(({ stderr }) => stderr).join("\n"));
    await box.sh("berth vnode up && docker exec right ping -c 1 -W 2 10.1.0.1");

    // All that berth knew of a vnode is lost; the engine then binds a directory where its resolv.conf was.
    const lost = await box.sh("rm -r /var/lib/berth/vnodes/left; docker restart -t 0 left 2>&1 || true");
    await box.sh(
      "berth vnode up && docker exec right ping -c 1 -W 2 10.1.0.1 && docker exec left cat /etc/resolv.conf",
    );
    assert.match(lost, /left/);

    // A lan that its last vnode has left does not stay.
    const other = JSON.stringify(EXPERIMENT).replaceAll('"wire"', '"other"');
    await box.write("/etc/berth/vnodes.d/experiment.yaml", other);
    await box.sh("berth vnode up && docker exec right ping -c 1 -W 2 10.1.0.1");
    const bridges = (await box.sh("ip -o link show type bridge | grep -o 'bbr-[0-9a-f]*:'")).trim();
    assert.is(bridges, `${bridgeName("other")}:`);
  } finally {
    await box.close();
  }
});

test("an engine that berth restarts, stopping its containers, changes nothing of what is wanted", async () => {
  const box = await openVhost("26.1", EXPERIMENT, { engine: { liveRestore: false } });
  try {
    await startWatch(box);
    const wanted = `cd /var/lib/berth/vnodes && tr -d ' \\n' <left/record.json | grep -o '"wanted":{[^}]*}'`;
    const before = await box.sh(wanted);
    await box.write(
      "/etc/berth/host.yaml",
      JSON.stringify({ engine: { liveRestore: false, bip: "192.168.253.1/24" } }),
    );
    assert.match(await box.sh("berth host daemon-json"), /stops and starts again: (left, right|right, left)/);
    await settled(
      box,
      "both up again",
      { left: [{ name: "eth1", lan: "wire", address: "10.1.0.1" }], right: [] },
      { left: "up", right: "up" },
      60_000,
    );
    const after = await box.sh(wanted);
    assert.is(after, before, await watchLog(box));
  } finally {
    await box.close();
  }
});

test.run();
