// Storage cases of one disk that shows by two paths, and of two that only look like that. Part of cases.test.ts.
import { consentTo, disk, ext4, ground, named, told } from "./_story.ts";

const OVERLAY = "storage: { layout: overlay }";
const WWN = "0x5000c500a1b2c3d4";

/** One disk, twice: the name by its number leads to the path that came last. */
function twins() {
  return [
    disk("b", 100, { serial: "same", wwn: WWN, ids: ["scsi-disk"] }),
    disk("c", 100, { serial: "same", wwn: WWN, ids: ["pci-0000:02:00.0-fc-lun-0"] }),
  ];
}

/** Title, and what is told. */
export const TWINS: Readonly<Record<string, () => Promise<string>>> = {
  "one disk by two paths": () => told(ground(twins()), OVERLAY),
  "one disk by two paths, no layout asked for": () => told(ground(twins())),
  "one disk by two paths, beside one of a single path": () => told(ground([...twins(), disk("d")])),
  "one disk by two paths, both named": () =>
    told(ground(twins()), named("scsi-disk", "pci-0000:02:00.0-fc-lun-0")),
  "the system disk by a second path, consented to": async () => {
    const machine = ground([disk("b", 16, { wwn: WWN, ...ext4 })]);
    const consent = await consentTo(machine, named("virtio-disk-b"));
    machine.lvm.disks.set("/dev/sda", { ...machine.lvm.disks.get("/dev/sda")!, wwn: WWN });
    return told(machine, `${named("virtio-disk-b")}\n${consent}`);
  },
  "a partition of a disk by two paths": () =>
    told(ground([
      { ...twins()[0]!, signatures: [{ type: "gpt", uuid: "2222" }] },
      disk("b1", 50, { parent: "/dev/sdb", partType: "0x8e", ids: ["scsi-disk-part1"], wwn: WWN }),
      { ...twins()[1]!, signatures: [{ type: "gpt", uuid: "2222" }] },
    ])),
  "two namespaces of one serial number": () =>
    told(ground([
      disk("b", 100, { serial: "S1", ids: ["nvme-S1_1"], wwn: "eui.01" }),
      disk("c", 100, { serial: "S1", ids: ["nvme-S1_2"], wwn: "eui.02" }),
    ])),
};
