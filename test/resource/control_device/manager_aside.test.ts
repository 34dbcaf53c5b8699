// What networkd is told to leave alone: what berth makes by itself, and not what the operator's own files make.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { managerForm } from "../../../lib/resource/control_device/manager.ts";
import { managersAside } from "../../../lib/resource/control_device/manager_aside.ts";
import type { NetworkdState } from "../../../lib/resource/control_device/manager_networkd_form.ts";
import { CONTROL, LEASE, linkFile, MAC, machineWith, NETWORKD } from "./_captured.ts";

const BRIDGE = "/etc/systemd/network/05-berth-control.network";
const PORT = "/etc/systemd/network/05-berth-control-port.network";

test("networkd leaves alone what berth makes, by a file it reads at once", async () => {
  assert.equal(await managersAside(machineWith({}), "_dockercnet", ["bbr-*"]), [], "no networkd, no file");
  const host = machineWith({}, [NETWORKD]);
  const [aside] = await managersAside(host, "_dockercnet", ["bbr-*"]);
  const [change] = aside!.diff(await aside!.observe(host));
  const [write, reload] = change!.do;
  assert.ok("write" in write! && write.write === "/etc/systemd/network/05-berth-unmanaged.network");
  assert.ok(BRIDGE < write.write && PORT < write.write, "the files for a bridge with a device come first");
  assert.match(write.text, "[Match]\nName=_dockercnet bbr-*\n\n[Link]\nUnmanaged=yes\n");
  assert.ok("run" in reload!);
  await host.writeText(write.write, write.text);
  const there = await aside!.observe(host);
  assert.equal(aside!.diff(there), []);
  assert.is(aside!.revert(null, there)[0]!.do.length, 2);
  await host.remove(write.write);
  assert.equal(aside!.revert(null, await aside!.observe(host)), []);
});

/** What networkd is told to leave alone on a machine with these files. */
async function leftAlone(files: Readonly<Record<string, string>>): Promise<string> {
  const host = machineWith(files, [NETWORKD]);
  const [aside] = await managersAside(host, "_dockercnet", ["bbr-*"]);
  const [write] = aside!.diff(await aside!.observe(host))[0]!.do;
  return /^Name=(.*)$/m.exec("write" in write! ? write.text ?? "" : "")![1]!;
}

test("a bridge that the operator's own files make stays with networkd: without them its address would go", async () => {
  const run = "/run/systemd/network";
  const netplan = {
    [`${run}/10-netplan-_dockercnet.netdev`]: "[NetDev]\nName=_dockercnet\nKind=bridge\n",
    [`${run}/10-netplan-_dockercnet.network`]: "[Match]\nName=_dockercnet\n\n[Network]\nDHCP=ipv4\n",
    [`${run}/10-netplan-eth0.network`]: "[Match]\nName=eth0\n\n[Network]\nBridge=_dockercnet\n",
  };
  assert.is(await leftAlone(netplan), "bbr-*");
  const byMac = {
    "/etc/systemd/network/20-cnet.network":
      `[Match]\nMACAddress=${MAC}\nType=bridge\n\n[Network]\nDHCP=ipv4\n`,
    "/etc/systemd/network/30-eth0.network": "[Match]\nName=eth0\n\n[Network]\nBridge=_dockercnet\n",
  };
  assert.is(await leftAlone(byMac), "bbr-*");

  // What is about every link, or masked, or ours, makes no bridge.
  const own = "/etc/systemd/network/10-eth0.network";
  const held = machineWith({
    "/run/systemd/netif/links/3": linkFile(own),
    "/run/systemd/netif/leases/3": LEASE,
    [own]: "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n",
  }, [NETWORKD]);
  const [form] = (await managerForm(held, CONTROL)).resources;
  assert.is(
    await leftAlone({
      ...(form!.desired as NetworkdState).files as Record<string, string>,
      "/usr/lib/systemd/network/99-all.network": "[Match]\nName=*\n\n[Network]\nDHCP=yes\n",
      "/usr/lib/systemd/network/80-cnet.network": "[Match]\nName=_dockercnet\n\n[Network]\nDHCP=yes\n",
      "/etc/systemd/network/80-cnet.network": "",
      "/etc/systemd/network/05-berth-unmanaged.network":
        "[Match]\nName=_dockercnet bbr-*\n\n[Link]\nUnmanaged=no\n",
    }),
    "_dockercnet bbr-*",
  );
});

test.run();
