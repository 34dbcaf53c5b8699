// The disk images of the test machines, and the tools that make and run them. Owns what is cached for that below
// node_modules/.cache/berth; everything is made inside throw-away vhosts, nothing is installed on the machine.
// What a machine consists of is guest/make.sh's.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { APT, cached, copy, ground, inClone, must, type Tell } from "../sandbox/layers.ts";

/** Which Debian, and which init system where that is not systemd. */
export type Suite = "bookworm" | "trixie" | "sysvinit" | "unstable";
export const SUITES: readonly Suite[] = ["bookworm", "trixie", "sysvinit", "unstable"];

/** What QEMU boots. Never written to: machines put an overlay on the disk. */
export interface VmImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

// deno-fmt-ignore
const PACKAGES = ["linux-image-cloud-amd64", "udev", "kmod", "procps", "iproute2", "nftables", "iptables", "docker.io", "busybox-static", "util-linux", "lvm2", "thin-provisioning-tools", "e2fsprogs", "xfsprogs", "dbus", "zstd", "tar", "dnsmasq-base", "ifupdown"];
const INIT_PACKAGES = {
  systemd: ["systemd-sysv"],
  sysvinit: ["sysvinit-core", "initscripts", "cgroupfs-mount"],
};
/**
 * Each suite's own DHCP client for ifupdown, the engine's command where that is a package of its own, and where links
 * are measured, tools that are not ours.
 */
const SUITE_PACKAGES: Record<Suite, readonly string[]> = {
  bookworm: ["isc-dhcp-client", "iputils-ping", "iperf3"],
  trixie: ["docker-cli", "dhcpcd-base"],
  sysvinit: ["isc-dhcp-client"],
  unstable: ["docker-cli", "dhcpcd-base"],
};
/** unstable's list of packages may have expired where the mirror is a snapshot. */
const CHECK: Partial<Record<Suite, string>> = { unstable: `Acquire::Check-Valid-Until "false";` };
/** ovmf and the like are recommended only; the BIOS is in seabios. */
const TOOLS = ["qemu-system-x86", "qemu-utils", "mmdebstrap", "e2fsprogs", "zstd"];
const GUEST = fileURLToPath(new URL("guest", import.meta.url));

/** A layer for a throw-away vhost that has QEMU and mmdebstrap. Made in half a minute, once. */
export async function vmTools(tell: Tell): Promise<string> {
  const { layer } = await ground("none", tell);
  const key = hash(layer!, TOOLS.join());
  return await cached(`vmtools-${key}`, tell, async (upper) => {
    copy(layer!, upper);
    await inClone({ upper, network: "host" }, async (clone) => {
      await must(clone, `${APT} install --no-install-recommends ${TOOLS.join(" ")}`);
      await must(clone, "rm -rf /usr/sbin/policy-rc.d /var/cache/apt/archives/*.deb");
    });
  });
}

/** A bootable image of that Debian. Made in some two minutes, once. */
export async function vmImage(suite: Suite, tell: Tell): Promise<VmImage> {
  const recipe = readdirSync(GUEST).sort().map((name) => readFileSync(join(GUEST, name), "utf8"));
  const init = suite === "sysvinit" ? "sysvinit" : "systemd";
  const packages = [...PACKAGES, ...INIT_PACKAGES[init], ...SUITE_PACKAGES[suite]];
  const layer = await vmTools(tell);
  const folder = await cached(
    `vm-${suite}-${hash(...recipe, packages.join())}`,
    tell,
    (to) =>
      inClone({ layer, network: "host", binds: [{ from: to, to: "/mnt/out" }] }, async (clone) => {
        // The machine's own mirror, whatever it is: the first one of its sources.
        const listing = "apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1";
        const mirror = (await must(clone, listing)).trim();
        const debian = suite === "sysvinit" ? "bookworm" : suite;
        const check = CHECK[suite];
        // As a file: a line for apt.conf has blanks and quotes.
        if (check !== undefined) await must(clone, `echo '${check}' >/var/tmp/aptopt`);
        const variables = {
          SUITE: debian,
          INIT: init,
          MIRROR: mirror,
          PACKAGES: packages.join(),
          GUEST,
          CHECK: check === undefined ? "" : "--aptopt=/var/tmp/aptopt",
        };
        const set = Object.entries(variables).map(([name, value]) => `${name}='${value}'`).join(" ");
        await must(clone, `${set} nice -n 10 bash ${GUEST}/make.sh`);
      }),
  );
  return { disk: join(folder, "disk.img"), kernel: join(folder, "vmlinuz"), initrd: join(folder, "initrd") };
}

function hash(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 16);
}
