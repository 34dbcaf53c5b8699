// The laws over every generic kind on the fake host.
import { test } from "uvu";
import type { Host } from "../../lib/host/types.ts";
import { directory, textFile } from "../../lib/resource/kinds/file.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { kernelModule } from "../../lib/resource/kinds/kernel_module.ts";
import { addressOn, bridge } from "../../lib/resource/kinds/link.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { type Subject, type World } from "./laws.ts";
import { laws } from "./laws.ts";
import { filesSubject, jsonSubject, linksSubject } from "./subjects.ts";

const hosts = new WeakMap<World, FakeHost>();

function fakeWorld(): Promise<World> {
  const host = createFakeHost({
    sysctls: { "net.ipv4.ip_forward": "0", "net.ipv4.ip_local_port_range": "32768\t60999" },
    installed: ["bash"],
    available: ["iproute2", "nftables"],
    commands: [({ argv }) => argv[0] === "judge" ? {} : null],
  });
  const world: World = {
    host,
    journal: "/var/lib/berth/journal",
    dump: () =>
      Promise.resolve(host.text(["/var/lib/berth", "/proc/sys/kernel/random/boot_id", "/proc/modules"])),
    reboot: () => host.reboot(),
    close: () => Promise.resolve(),
  };
  hosts.set(world, host);
  return Promise.resolve(world);
}

const machineOf = (world: World) => hosts.get(world)!.machine;

laws("files", () => filesSubject("/etc"), fakeWorld);
laws("shared JSON", () => jsonSubject("/etc", ["judge"]), fakeWorld);
laws("links", () => linksSubject(), fakeWorld);

laws("sysctls", () => ({
  resources: [
    sysctl("net.ipv4.ip_forward", "1"),
    sysctl("net.ipv4.ip_local_port_range", "1024 65000"),
    sysctl("net.ipv6.none", "1", { optional: true }),
  ],
  drift: { of: "sysctl net.ipv4.ip_forward", by: (host) => setSysctl(host, "net/ipv4/ip_forward", "0") },
  edit: {
    by: (host) => setSysctl(host, "net/ipv4/ip_forward", "2"),
    survives: async (host) => (await host.readText("/proc/sys/net/ipv4/ip_forward")) === "2\n",
  },
}), fakeWorld);

async function setSysctl(host: Host, path: string, value: string): Promise<void> {
  await host.exec({ argv: ["sysctl", "-qw", `${path}=${value}`] });
}

laws("modules", (world): Subject => ({
  resources: [kernelModule("br_netfilter"), kernelModule("ifb")],
  plant(host) {
    machineOf(world).modules.set("bridge", 1);
    return host.exec({ argv: ["modprobe", "--", "bridge"] }).then(() => {});
  },
  drift: {
    of: "module ifb",
    by: (host) => host.exec({ argv: ["modprobe", "-r", "--", "ifb"] }).then(() => {}),
  },
}), fakeWorld);

laws("packages", (world): Subject => ({
  resources: [packages(["iproute2", "bash", "nftables"])],
  stays: true,
  drift: {
    of: "packages bash iproute2 nftables",
    by() {
      machineOf(world).packages.installed.delete("nftables");
      return Promise.resolve();
    },
  },
}), fakeWorld);

laws("many kinds at once", () => ({
  resources: [
    directory("/etc/berth", 0o700),
    textFile("/etc/berth/a", "a\n"),
    sysctl("net.ipv4.ip_forward", "1"),
    bridge("bb-one", { alias: "berth lan one" }),
    bridge("bb-two", { alias: "berth lan two" }),
    addressOn("bb-two", "10.1.0.1/24"),
    jsonFile("/etc/berth/x.json", { a: { b: 1 } }),
  ],
}), fakeWorld);

test.run();
