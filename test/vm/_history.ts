// What was on a machine before berth came, and what a first boot leaves, in a form that two machines can be compared
// by. For power cuts: whatever was cut, what stood before is there, and what comes out is the same.
import * as assert from "uvu/assert";
import type { Machine } from "./harness.ts";

/** A disk of somebody else's: the third one, with a file system and a file on it. */
const FOREIGN = "/dev/disk/by-id/virtio-disk2";

/** Gives a machine with a running engine a container, an image and a volume of their own, and a disk with a file. */
export async function livedIn(machine: Machine): Promise<void> {
  await machine.sh(
    `mkfs.ext4 -q -F ${FOREIGN}; mount ${FOREIGN} /mnt; echo foreign >/mnt/file; umount /mnt
    docker run --name old -v old:/volume box:latest sh -c 'echo inside >/file; echo volume >/volume/file'
    docker commit old older:latest; sync`,
    { timeoutMs: 300_000 },
  );
}

/** All that `livedIn` made is there, with its content. */
export async function isThere(machine: Machine): Promise<void> {
  const said = await machine.sh(
    `mount -r ${FOREIGN} /mnt; cat /mnt/file; umount /mnt
    docker cp old:/file - | tar -xO; docker run --rm -v old:/volume older:latest cat /file /volume/file`,
    { timeoutMs: 300_000 },
  );
  assert.is(said, "foreign\ninside\ninside\nvolume\n");
}

/** Names that Docker, LVM and mkfs make anew each time, and the time of day. A set's elements come in any order. */
const NORMALISED = [
  "s/[0-9a-f]{64}/<id>/g",
  "s/veth[0-9a-f]{7}/<veth>/g",
  's/"[0-9a-f]{12}"/"<id>"/g',
  "s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/<uuid>/g",
  "s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/<time>/g",
].map((script) => `-e '${script}'`).join(" ");

/** All rules with their sets' elements, one on a line, without what is counted. */
const RULES =
  `nft -s list ruleset | tr ',\\t' '\\n\\n' | sed -E 's/ *elements = \\{ //; s/^ +//; s/ *\\}?$//' | grep .`;

/** The same of a machine that runs, in a form that two of its lives can be compared by. */
export async function ruleset(machine: Machine): Promise<string> {
  return await machine.sh(`${RULES} | sed -E ${NORMALISED} | sort`);
}

/** What a machine has come to, as text. */
export async function state(machine: Machine): Promise<string> {
  return await machine.sh(
    `same() { sed -E ${NORMALISED}; }
    {
    cd /; for file in $(find etc/docker etc/modules-load.d etc/sysctl.d etc/systemd/system etc/init.d etc/fstab etc/lvm/profile \\
        usr/lib/berth -type f 2>/dev/null | sort); do echo "== $file"; cat "$file"; done
    find etc/systemd etc/rc?.d -type l -printf '%p %l\\n' 2>/dev/null | sort
    echo "== storage"; vgs --noheadings -o vg_name,vg_size,vg_tags; lvs --noheadings -o lv_full_name,lv_size,lv_tags,lv_layout
    findmnt -rn -o TARGET,SOURCE,FSTYPE,OPTIONS | grep ' /dev/mapper/docker-' | sort; readlink /var/lib/berth/vnodes; find /vminfo/berth | sort
    echo "== engine"; docker info -f '{{.DockerRootDir}} {{.Driver}} {{.DefaultRuntime}}'; docker images -a --format '{{.Repository}}:{{.Tag}}' | sort
    docker ps -a --format '{{.Names}} {{.State}}' | sort
    docker inspect -f '{{.Name}} {{.HostConfig.Runtime}} {{.HostConfig.RestartPolicy.Name}} {{json .NetworkSettings.Networks}}' left right \\
      | sed -E 's/"(EndpointID|NetworkID|MacAddress)":"[^"]*"//g'
    docker network ls --format '{{.Name}} {{.Driver}}' | sort; docker network inspect -f '{{json .Options}} {{json .IPAM}}' _dockercnet
    echo "== kernel"; ${RULES} | same | sort
    tc qdisc show | grep -E ' (netem|tbf|ingress) ' | sed 's/ seed [0-9]*//' | sort
    ip -br link | awk '{ sub(/@.*/, "", $1); print $1, $2 }' | same | sort; ip -br addr | grep -vE '^(veth|lo)' | awk '{ print $1, $3 }' | sort
    } | same`,
    { timeoutMs: 300_000 },
  );
}
