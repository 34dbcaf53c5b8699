// deadline: 2400s
// A whole Debian with systemd and a kernel of modules, from the bare executable to a delayed, lossy, rate-limited
// link, and through a restart, a reboot and a power cut. What a throw-away vhost on a kernel without netem cannot show.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import {
  EGRESS,
  END,
  EXPERIMENT,
  IFB,
  INGRESS,
  lossBounds,
  ping,
  probed,
  probeOf,
  rates,
  shaping,
  shapingLines,
  TRANSFER_BYTES,
} from "./_experiment.ts";
import { boxImage, type Machine, type MachineFile, openMachine, whyNoMachine } from "./harness.ts";
import { skip } from "../skip.ts";

const BERTH_MS = 400_000;
let machine: Machine;
/** What is set in the kernel after the first boot: what every later one must come to. */
let first: readonly string[];

const tell = (line: string) => void process.stdout.write(`\n  ${line}`);
const berth = (...args: string[]) => machine.run(["berth", ...args], { timeoutMs: BERTH_MS });

/** Runs `berth boot`, expects success, answers with its last line but for the seconds. */
async function boot(what: string): Promise<{ changed: number; restored: number; output: string }> {
  const began = Date.now();
  const said = await berth("boot");
  assert.is(said.exit, 0, `${said.stdout}\n${said.stderr}`);
  assert.match(said.stdout, /Host ready, 2 of 2 vnodes as wanted, watch (started|running)/);
  const counts = /^(\d+) changed, (\d+) restored/m.exec(said.stdout)!;
  tell(`berth boot, ${what}: ${counts[0]}, ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return { changed: Number(counts[1]), restored: Number(counts[2]), output: said.stdout };
}

/** What persists: every file that berth writes outside its records, the units, the containers, the control network. */
const PERSISTENT = `
  find /etc/docker /etc/modules-load.d /etc/sysctl.d /etc/systemd /usr/lib/berth /var/lib/berth/gate -type f -print0 \
    | sort -z | xargs -0 sha256sum
  docker inspect -f '{{.Id}} {{.Name}} {{.Created}} {{.HostConfig.Runtime}} {{.HostConfig.RestartPolicy.Name}}' left right
  docker network inspect -f '{{.Id}} {{.Created}} {{json .Options}} {{json .IPAM}}' _dockercnet`;

async function storyOfABoot(what: string, before: string): Promise<void> {
  const { output } = await boot(what);
  assert.is(await machine.sh(PERSISTENT), before);
  // The host's part names no persistent thing; the vnodes are started, not made.
  const lasting = output.split("\n").filter((line) => /^[+~-] (?!restore )/.test(line))
    .filter((line) => !/^~ update vnode (left|right): not running/.test(line));
  assert.equal(lasting, []);
  assert.equal(await shapingLines(machine), first);
  const { received } = await ping(machine, "right", "10.2.0.1", 3);
  assert.ok(received > 0, "left answers on the other lan");
}

const absent = await whyNoMachine("bookworm");
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);

story("first boot: from the bare executable to a shaped link, by systemd and modprobe", async () => {
  const files: Record<string, MachineFile> = {
    "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
    "/etc/berth/vnodes.d/pair.yaml": EXPERIMENT,
    "/root/box.tar": { copy: await boxImage() },
  };
  machine = await openMachine({ suite: "bookworm", files });
  tell(`power-on to agent: ${(machine.bootMs / 1000).toFixed(1)} s`);
  await machine.sh("docker import --change 'CMD [\"/bin/sh\"]' /root/box.tar box:latest");
  assert.not.match(await machine.sh("lsmod"), "sch_netem");
  const { output } = await boot("first");
  assert.match(output, "+ create module sch_netem: not loaded");
  assert.match(await machine.sh("lsmod"), /^sch_netem .*^ifb /ms);
  assert.is(await machine.sh("systemctl is-active docker.service"), "active\n");
  assert.match(await machine.sh("ip -br addr show docker0"), "192.168.254.1/24");
  assert.match(await machine.sh("docker logs left"), "10.1.0.1/24", "eth1 before the first instruction");
  first = await shapingLines(machine);
});

story("delay, loss and rate are what was asked for, each way", async () => {
  const found = (await shaping(machine)).map(({ kind, dev, options }) => ({ kind, dev, options }));
  assert.is(found.length, 4, JSON.stringify(found));
  const netem = (dev: string) => found.find((one) => one.dev === dev && one.kind === "netem")!.options;
  assert.is((netem(IFB)["delay"] as { delay: number }).delay, EGRESS.delayMs / 1000);
  assert.ok(Math.abs((netem(IFB)["loss-random"] as { loss: number }).loss - EGRESS.loss) < 1e-6);
  assert.is((netem(END)["delay"] as { delay: number }).delay, INGRESS.delayMs / 1000);
  assert.is(netem(END)["loss-random"], undefined);

  const plain = await ping(machine, "left", "10.2.0.2", 30);
  assert.is(plain.received, plain.sent, "the other lan loses nothing");
  const before = await shaping(machine);
  const shaped = await ping(machine, "left", "10.1.0.2", 300);
  const after = await shaping(machine);
  // The fastest of many: what an emulated processor adds in its busiest moments is no delay of ours.
  const excess = shaped.minMs - plain.minMs;
  const wanted = EGRESS.delayMs + INGRESS.delayMs;
  tell(`RTT ${plain.minMs} ms unshaped, ${shaped.minMs} ms shaped: +${excess.toFixed(1)}, wanted ${wanted}`);
  assert.ok(excess > wanted - 1 && excess < wanted + 8, `${excess} ms`);
  const lost = shaped.sent - shaped.received;
  const [fewest, most] = lossBounds(shaped.sent, EGRESS.loss);
  tell(`${lost} of ${shaped.sent} lost, expected ${fewest} to ${most}`);
  assert.ok(lost >= fewest && lost <= most, `${lost} lost`);
  const drops = (list: typeof after, dev: string) =>
    list.filter((one) => one.dev === dev && one.kind === "netem").reduce((sum, one) => sum + one.drops, 0);
  assert.ok(drops(after, IFB) - drops(before, IFB) >= lost, "lost on the way out of left");
  assert.is(drops(after, END) - drops(before, END), 0, "and not on the way in");

  const { egressBps, ingressBps } = await rates(machine);
  tell(`out ${(egressBps / 1e3).toFixed(0)} kbit/s of 256, in ${(ingressBps / 1e3).toFixed(0)} of 768`);
  // Not faster, but for the clock's part. Slower where the emulated processor was kept waiting: the exact rate is shown in throw-away vhosts.
  const isNear = (found: number, wanted: number) => found < wanted * 1.05 && found > wanted * 0.85;
  assert.ok(isNear(egressBps, EGRESS.rateBps), `${egressBps} bit/s out`);
  assert.ok(isNear(ingressBps, INGRESS.rateBps), `${ingressBps} bit/s in`);
});

story("netem sees single frames, not what segmentation offload makes of them", async () => {
  const lans = { wire: "10.1.0.2", plain: "10.2.0.2" };
  await machine.sh("nft -f -", { input: probeOf(Object.values(lans)) });
  const wire = { tries: 0, bytes: 0, packets: 0, large: 0 };
  const plain = { ...wire };
  // One write of 64 KiB leaves as packets of many frames where nothing forbids it: TCP has no reason to cut it up.
  while (plain.large === 0 && plain.tries < 5) await probed(machine, lans.plain, plain);
  while (wire.tries < plain.tries) await probed(machine, lans.wire, wire);
  await machine.sh("nft delete table bridge probe");
  tell(`over the delayed lan ${JSON.stringify(wire)}, over the other ${JSON.stringify(plain)}`);
  const said = JSON.stringify({ wire, plain });
  assert.ok(plain.large > 0, `the probe sees large packets where they are: ${said}`);
  assert.is(wire.bytes, wire.tries * TRANSFER_BYTES, said);
  assert.ok(wire.packets * 1500 >= wire.bytes, `single frames were counted: ${said}`);
  assert.is(wire.large, 0, said);
});

story("docker restart brings the shaping back; a second host up changes nothing", async () => {
  await machine.sh("docker restart -t 5 left", { timeoutMs: BERTH_MS });
  assert.equal(await shapingLines(machine), first);
  const up = await berth("host", "up");
  assert.is(up.exit, 0, up.stderr);
  assert.match(up.stdout, /^0 changed, 0 restored/m);
  const check = await berth("host", "check");
  assert.is(check.exit, 0, `${check.stdout}\n${check.stderr}`);
});

story("a reboot and a power cut change nothing that lasts; vnodes and wiring come back", async () => {
  const before = await machine.sh(PERSISTENT);
  await machine.reboot();
  tell(`reboot: ${(machine.bootMs / 1000).toFixed(1)} s`);
  await storyOfABoot("after a reboot", before);
  await machine.powerCut();
  await machine.start();
  tell(`power cut, then on: ${(machine.bootMs / 1000).toFixed(1)} s`);
  await storyOfABoot("after a power cut", before);
});

test.after(async () => await machine?.close());
test.run();
