// One row of the matrix of first boots: a Debian image with nothing of berth's but the executable and what
// `berth host rc --image` writes, blank disks beside it, switched on. Owns what is on the image and what a row says
// of its first and its second boot. Everything is looked at over the agent; nothing but the boot runs berth.
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cutAt, JOURNAL, type Moment } from "./_cuts.ts";
import { EXPERIMENT, ping, shapingLines } from "./_experiment.ts";
import { ruleset } from "./_history.ts";
import {
  boxImage,
  type Machine,
  type MachineFile,
  type MachineOptions,
  openMachine,
  type Suite,
  whyNoMachine,
} from "./harness.ts";
import { skip } from "../skip.ts";
import { build } from "../../tasks/dev/build.ts";

/** Which machine, and how its disks are used. */
export interface Row {
  readonly suite: Suite;
  /** What its Debian's engine calls itself, from the left. */
  readonly engine: string;
  readonly layout: "overlay" | "thin";
}

/** Two that berth takes by itself: larger than its smallest. Sparse: a row fills some 200 MB of them. */
const DISKS = [34 * 1024, 34 * 1024];
/** A boot with everything in it takes two minutes on a quiet machine. */
export const BOOT_MS = 1_500_000;

/** Run in the image: a file system with a file, on the disk after those two, that berth must leave alone. */
const FOREIGN =
  `mkdir /root/foreign; echo kept >/root/foreign/file; mkfs.ext4 -q -F -d /root/foreign /dev/vde`;

const BOX = `#!/bin/sh
### BEGIN INIT INFO
# Provides:          box-image
# Required-Start:    docker
# Required-Stop:
# X-Start-Before:    berth
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: The image of the test's vnodes
### END INIT INFO
[ "$1" = start ] || exit 0
docker image inspect box:latest >/dev/null 2>&1 && exit 0
exec docker import --change 'CMD ["/bin/sh"]' /root/box.tar box:latest
`;
const BOX_UNIT = `[Unit]
Description=The image of the test's vnodes
Requires=docker.service
After=docker.service
Before=berth-boot.service
[Service]
Type=oneshot
ExecStart=/etc/init.d/box-image start
[Install]
WantedBy=multi-user.target
`;

/** Its hardware and its image. `boxImage`: what carries vnodes comes from no registry; a script of the image loads it. */
export async function rowMachine({ suite, layout }: Row): Promise<MachineOptions> {
  const files: Record<string, MachineFile> = {
    "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
    "/etc/berth/vnodes.d/pair.yaml": EXPERIMENT,
    "/root/box.tar": { copy: await boxImage() },
    "/etc/init.d/box-image": BOX,
    // overlay is what comes out by itself where there are spare disks.
    ...(layout === "overlay" ? {} : { "/etc/berth/host.yaml": `storage: { layout: ${layout} }\n` }),
    ...(suite === "sysvinit" ? {} : { "/etc/systemd/system/box-image.service": BOX_UNIT }),
  };
  const box = suite === "sysvinit" ? "update-rc.d box-image defaults" : "systemctl enable box-image.service";
  const image = `chmod 755 /etc/init.d/box-image; ${box}\nberth host rc --image`;
  return { suite, files, image, disks: DISKS, bootMs: BOOT_MS };
}

/** What berth has said on the console since the machine was last switched on. */
export function bootOutput(machine: Machine): string {
  const all = stripVTControlCharacters(machine.console(5000));
  return all.slice(all.lastIndexOf("vm: switched on"));
}

/** What a first boot comes to, whichever init system and layout. */
export async function isAsWanted(machine: Machine, { engine, layout, suite }: Row): Promise<void> {
  const output = bootOutput(machine);
  assert.match(output, /Host ready.* 2 of 2 vnodes as wanted/, output.split("\n").slice(-80).join("\n"));
  assert.ok((await machine.sh("docker version -f '{{.Server.Version}}'")).startsWith(engine));
  if (suite !== "sysvinit") assert.is(await machine.sh("systemctl --failed --no-legend --plain"), "");
  await storageIsAsWanted(machine, layout);
  assert.match(await machine.sh("docker info -f '{{json .Runtimes}}'"), '"berth"');
  const container = "{{.HostConfig.Runtime}} {{.HostConfig.RestartPolicy.Name}} {{.State.Running}}";
  assert.is(await machine.sh(`docker inspect -f '${container}' left right`), "berth no true\n".repeat(2));
  assert.match(await machine.sh("ip -br addr show docker0"), "192.168.254.1/24");
  assert.match(
    await machine.sh("docker network inspect -f '{{json .IPAM.Config}}' _dockercnet"),
    "172.16.0.0/12",
  );
  assert.match(await machine.sh("ip -br addr show _dockercnet"), "172.16.0.1/12");
  const tables = await machine.sh("nft list tables");
  for (const table of ["bridge berth", "inet berth", "ip berth_nat"]) {
    assert.match(tables, `table ${table}\n`);
  }
  assert.match(await machine.sh("docker logs left"), "10.1.0.1/24", "eth1 before the first instruction");
  const qdiscs = await shapingLines(machine);
  assert.is(qdiscs.filter((line) => / (netem|tbf) /.test(line)).length, 4, qdiscs.join("\n"));
  await answers(machine);
}

async function storageIsAsWanted(machine: Machine, layout: Row["layout"]): Promise<void> {
  const group = await machine.sh("vgs --noheadings -o vg_name,pv_count,vg_tags docker");
  assert.match(group, /^ *docker +2 .*\bberth\b/);
  const mounts = layout === "thin" ? ["/vminfo", "/vms", "/vms/docker"] : ["/vminfo", "/vms"];
  const found = await machine.sh(
    `findmnt -rn -o TARGET,SOURCE,FSTYPE | grep ' /dev/mapper/docker-[a-z]* ' | sort`,
  );
  const volume = (path: string) => path === "/vms/docker" ? "engine" : path.slice(1);
  assert.is(
    found,
    mounts.map((path) => `${path} /dev/mapper/docker-${volume(path)} ext4\n`).join(""),
  );
  const pools = await machine.sh(`lvs --noheadings -o lv_name,pool_lv -S 'pool_lv!=""' docker`);
  if (layout === "thin") assert.match(pools, /engine +pool/);
  else assert.is(pools, "");
  assert.is(await machine.sh("docker info -f '{{.DockerRootDir}} {{.Driver}}'"), "/vms/docker overlay2\n");
  assert.is(await machine.sh("readlink /var/lib/berth/vnodes"), "/vminfo/berth/vnodes\n");
  for (const path of mounts) assert.match(await machine.sh("cat /etc/fstab"), ` ${path} ext4 `);
}

/** The vnodes hear each other on the lan that loses nothing. */
export async function answers(machine: Machine): Promise<void> {
  const { received } = await ping(machine, "right", "10.2.0.1", 3);
  assert.ok(received > 0, "left answers right on the lan that loses nothing");
}

/**
 * What lasts: every file that berth writes outside its records, what init starts, volumes, file systems, containers,
 * the control network.
 */
export const PERSISTENT = `
  cd /; find etc/docker etc/containerd etc/modules-load.d etc/sysctl.d etc/systemd etc/init.d etc/lvm etc/fstab \
      usr/lib/berth var/lib/berth/gate var/lib/berth/storage.json -type f ! -name hosts.path -print0 2>/dev/null \
    | sort -z | xargs -0 sha256sum
  for path in var/lib/berth/gate/*/hosts.path; do readlink -f "$(cat "$path")"; done
  find etc/systemd etc/rc?.d -type l -printf '%p %l\\n' 2>/dev/null | sort
  vgs --noheadings -o vg_name,vg_uuid,vg_size,vg_tags 2>/dev/null || true
  lvs --noheadings -o lv_full_name,lv_uuid,lv_size,lv_tags,lv_layout 2>/dev/null || true
  blkid -p -o export /dev/mapper/docker-* 2>/dev/null | grep -E '^(DEVNAME|UUID|TYPE)=' || true
  docker images --no-trunc -q | sort
  docker inspect -f '{{.Id}} {{.Name}} {{.Created}} {{.HostConfig.Runtime}} {{.HostConfig.RestartPolicy.Name}}' left right
  docker network inspect -f '{{.Id}} {{.Created}} {{json .Options}} {{json .IPAM}}' _dockercnet`;

/** What the kernel forgets. */
export interface Forgotten {
  readonly qdiscs: readonly string[];
  readonly rules: string;
}

/** What it has now, and will have forgotten after the next boot. */
export async function forgettable(machine: Machine): Promise<Forgotten> {
  return { qdiscs: await shapingLines(machine), rules: await ruleset(machine) };
}

/** A place beyond the machine with no way back to control addresses: it answers what is masqueraded, nothing else. */
const BEYOND = `
  ip netns add beyond; ip link add beyond0 type veth peer name beyond1 netns beyond
  ip addr add 192.0.2.1/24 dev beyond0; ip link set beyond0 up
  ip -n beyond addr add 192.0.2.2/24 dev beyond1; ip -n beyond link set beyond1 up
  docker exec left ping -c 3 -w 20 192.0.2.2 || true
  ip link del beyond0; ip netns del beyond`;

/** A later boot: nothing that lasts has changed, and what the kernel forgets is back. */
export async function isBack(machine: Machine, lasting: string, forgotten: Forgotten): Promise<void> {
  const output = bootOutput(machine);
  assert.match(output, /Host ready.* 2 of 2 vnodes as wanted/, output.split("\n").slice(-80).join("\n"));
  assert.is(await machine.sh(PERSISTENT), lasting);
  // What was changed names no lasting thing; the vnodes are started, not made.
  const lines = output.split("\n").map((line) => line.replace(/^.*?(?=[+~-] )/, ""));
  const changed = lines.filter((line) => /^[+~-] (create|update|replace|delete|adopt) /.test(line))
    .filter((line) => !/^~ update vnode (left|right): not running/.test(line));
  assert.equal(changed, []);
  const { qdiscs, rules } = await forgettable(machine);
  assert.equal(qdiscs, forgotten.qdiscs);
  assert.match(rules, "masquerade");
  assert.is(rules, forgotten.rules);
  await answers(machine);
  assert.match(await machine.sh(BEYOND), /[1-3] packets received/, "NAT for the control network");
}

/** A row whose stories are registered one by one, on one machine. */
export interface RowStories {
  /** The row's machine, from the first boot on. */
  machine(): Machine;
  /** Registers a story, or skips it where there is no such machine. */
  story(name: string, play: () => Promise<void>): void;
  firstBoot(): void;
  /** Instead: the power goes during it, again and again, and a disk of somebody else's is beside it. */
  cutFirstBoot(moments: readonly Moment[]): void;
  secondBoot(): void;
  /** Power off; only then does the next row of a file begin. */
  end(): void;
}

/** Makes a row's stories. */
export async function rowStories(row: Row): Promise<RowStories> {
  const absent = await whyNoMachine(row.suite);
  let opened: Machine | undefined;
  let lasting = "";
  const machine = () => {
    if (opened === undefined) throw new Error(`${row.suite}: there has been no first boot`);
    return opened;
  };
  const story: RowStories["story"] = (name, play) => {
    const full = `${row.suite}, ${row.layout}: ${name}`;
    return absent === null ? test(full, play) : skip(test, full, absent);
  };
  return {
    machine,
    story,
    firstBoot: () =>
      story("first boot, from the bare executable to a shaped link", async () => {
        opened = await openMachine(await rowMachine(row));
        tell(`${row.suite}: first boot ${(opened.bootMs / 1000).toFixed(1)} s`);
        await isAsWanted(opened, row);
        lasting = await opened.sh(PERSISTENT);
      }),
    cutFirstBoot: (moments) =>
      story(
        `first boot, the power cut ${moments.length} times: as wanted, nothing of before is lost`,
        async () => {
          const { image, disks, ...options } = await rowMachine(row);
          const withForeign = { ...options, image: `${FOREIGN}\n${image}`, disks: [...disks!, 256] };
          opened = await openMachine(withForeign, "agent");
          for (const moment of moments) {
            tell(`${row.suite}: cut at line ${await cutAt(opened, moment)} of the journal`);
            await opened.start("agent");
          }
          await opened.booted();
          tell(`${row.suite}: first boot that was not cut ${(opened.bootMs / 1000).toFixed(1)} s`);
          tell(`${await opened.sh(`wc -l <${JOURNAL}`)} lines of journal`);
          await isAsWanted(opened, row);
          assert.is(
            await opened.sh("mount -r /dev/disk/by-id/virtio-disk2 /mnt; cat /mnt/file; umount /mnt"),
            "kept\n",
          );
          const check = await opened.run(["berth", "host", "check"], { timeoutMs: BOOT_MS });
          assert.is(check.exit, 0, `${check.stdout}\n${check.stderr}`);
          lasting = await opened.sh(PERSISTENT);
        },
      ),
    secondBoot: () =>
      story("a reboot changes nothing that lasts; vnodes and wiring come back", async () => {
        const forgotten = await forgettable(machine());
        await machine().reboot();
        tell(`${row.suite}: reboot ${(machine().bootMs / 1000).toFixed(1)} s`);
        await isBack(machine(), lasting, forgotten);
      }),
    end: () => story("the machine is switched off", async () => await opened?.close()),
  };
}

/** A figure for whoever reads the log. */
export function tell(line: string): void {
  process.stdout.write(`\n  ${line}`);
}
