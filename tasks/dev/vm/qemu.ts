// How QEMU is called for a test machine. Pure. Network cards reach each other only: what happens in the machine stays
// in it. Emulated (no KVM): a development machine's /dev/kvm does not help.
import type { VmImage } from "./image.ts";

/** A machine's hardware. Paths are the throw-away vhost's, in which QEMU runs. */
export interface Hardware {
  readonly image: VmImage;
  /** The overlay on the image's disk (qcow2). */
  readonly overlay: string;
  /** A bare tar archive with the test's files. */
  readonly files: string;
  /** Raw disks beside it; their serial numbers are disk0, disk1 … */
  readonly disks: readonly string[];
  /** Network cards, joined by a hub: eth0, eth1 … with 52:54:00:00:00:00 and on. */
  readonly cards: number;
  /** Unix socket of the agent's port. */
  readonly socket: string;
  readonly memoryMiB: number;
  /** Emulated processors, each a thread of QEMU's. */
  readonly cpus: number;
  /** Added to QEMU's niceness. */
  readonly nice: number;
  /** `log`: the console is QEMU's standard output. `hand`: it is a terminal; Ctrl-A X ends the machine. */
  readonly console: "log" | "hand";
}

/** Where a throw-away vhost keeps a machine. On its own disk: /run and /tmp are in memory. */
export const VM_FOLDER = "/var/lib/vm";

/** The argument vector that starts the machine. */
export function qemuArgv(hardware: Hardware): string[] {
  const { image, disks } = hardware;
  const cards = Array.from({ length: hardware.cards }, (_, index) => [
    "-netdev",
    `hubport,id=net${index},hubid=0`,
    "-device",
    `virtio-net-pci,netdev=net${index},romfile=,mac=52:54:00:00:00:${index.toString(16).padStart(2, "0")}`,
  ]).flat();
  const raw = disks.flatMap((path, index) => [
    "-drive",
    `if=none,id=disk${index},file=${path},format=raw,discard=unmap`,
    "-device",
    `virtio-blk-pci,drive=disk${index},serial=disk${index}`,
  ]);
  // deno-fmt-ignore
  return [
    "nice", "-n", String(hardware.nice), "qemu-system-x86_64",
    "-nodefaults", "-no-user-config", "-display", "none",
    // Nehalem is the least that the executable's runtime needs; more features only mean more to emulate. Without
    // cmpxchg16b: an interrupt just after it finds garbage in the flags (QEMU 7.2), and trixie's kernel panics.
    "-machine", "pc", "-cpu", "Nehalem,-cx16", "-accel", "tcg,thread=multi,tb-size=512", "-smp", String(hardware.cpus),
    "-m", String(hardware.memoryMiB),
    "-kernel", image.kernel, "-initrd", image.initrd,
    // norandmaps: a program that starts where it did before finds its code translated already (3 to 6 times as quick).
    "-append", "root=/dev/vda rw console=ttyS0 mitigations=off tsc=reliable loglevel=4 net.ifnames=0 apparmor=0 " +
      "norandmaps cryptomgr.notests systemd.show_status=0 modprobe.blacklist=ata_piix,ata_generic,evdev,serio_raw,psmouse,pcspkr,button,qemu_fw_cfg",
    // Flushes are passed on: what the machine has synced is there after its end by SIGKILL.
    "-drive", `if=none,id=root,file=${hardware.overlay},format=qcow2,cache=writeback,discard=unmap`,
    "-device", "virtio-blk-pci,drive=root",
    "-drive", `if=none,id=files,file=${hardware.files},format=raw,readonly=on`,
    "-device", "virtio-blk-pci,drive=files,serial=files",
    ...raw,
    ...cards,
    "-device", "virtio-rng-pci",
    "-device", "virtio-serial-pci",
    "-chardev", `socket,id=agent,path=${hardware.socket},server=on,wait=off`,
    "-device", "virtserialport,chardev=agent,name=berth.test",
    "-serial", hardware.console === "hand" ? "mon:stdio" : "stdio",
  ];
}
