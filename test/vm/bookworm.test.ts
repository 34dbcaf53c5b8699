// deadline: 2400s
// A whole Debian with systemd, overlay layout: first boot, what netem makes of a link (which a throw-away vhost on a
// kernel without it cannot show), a restart, a reboot, a power cut.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  EGRESS,
  END,
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
import { skip } from "../skip.ts";
import { bothWays, FULL, isShaped, PLAIN, reshape, TABLES } from "./_impairments.ts";
import { forgettable, isBack, PERSISTENT, rowStories, tell } from "./_row.ts";
import { comesBackHung, comesBackKilled } from "./_watch.ts";

const COMMAND_MS = 400_000;
const { firstBoot, secondBoot, story, machine: opened, end } = await rowStories({
  suite: "bookworm",
  engine: "20.10",
  layout: "overlay",
});

/** Two more minutes of emulation: for the long run. */
const longStory: typeof story = (name, play) =>
  process.env["BERTH_LONG"] === "1" ? story(name, play) : skip(test, name, "minutes long: deno task long");

firstBoot();

story("delay, loss and rate are what was asked for, each way", async () => {
  const machine = opened();
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
  const machine = opened();
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

longStory(
  "all that netem can do, each way differently, changed under a running vnode and taken back",
  async () => {
    const machine = opened();
    const before = await shapingLines(machine);
    const life = await machine.sh("docker inspect -f '{{.Id}} {{.State.Pid}}' left");
    await ping(machine, "left", "10.1.0.2", 10);
    const [egress, ingress] = await bothWays(machine);
    try {
      await reshape(machine, FULL);
      const full = await bothWays(machine);
      tell(JSON.stringify(full.map(({ options }) => options)));
      isShaped(full, FULL);
      assert.match((await shapingLines(machine)).join("\n"), /qdisc pfifo 3: .* limit 30p/);
      // Counters go with a qdisc: these were changed, not made anew.
      assert.ok(egress!.bytes > 0 && full[0]!.bytes >= egress!.bytes, "in place, on the way out");
      assert.ok(ingress!.bytes > 0 && full[1]!.bytes >= ingress!.bytes, "and on the way in");
      assert.ok((await ping(machine, "left", "10.1.0.2", 20)).received > 0);

      await reshape(machine, PLAIN);
      const plain = await bothWays(machine);
      isShaped(plain, PLAIN);
      assert.ok(plain.every((one, at) => one.bytes >= full[at]!.bytes), "in place again");

      await reshape(machine, TABLES);
      isShaped(await bothWays(machine), TABLES);
      assert.ok((await ping(machine, "left", "10.1.0.2", 20)).received > 0);
      assert.match(
        await machine.sh("berth vnode up left"),
        /^0 vnodes .*, 1 unchanged/m,
        "the read-back is what was asked for",
      );
    } finally {
      await reshape(machine); // the stories after it are about the experiment
    }
    assert.equal(await shapingLines(machine), before);
    assert.is(await machine.sh("docker inspect -f '{{.Id}} {{.State.Pid}}' left"), life);
  },
);

story("what is installed needs no mirror; a second host up and a check find nothing", async () => {
  const berth = (...args: string[]) => opened().run(["berth", ...args], { timeoutMs: COMMAND_MS });
  for (const task of [["host", "packages"], ["host", "up"]]) {
    const up = await berth(...task);
    assert.is(up.exit, 0, up.stderr);
    assert.match(up.stdout, /^0 changed, 0 restored/m);
  }
  const check = await berth("host", "check");
  assert.is(check.exit, 0, `${check.stdout}\n${check.stderr}`);
});

story("docker restart brings the shaping back", async () => {
  const before = await shapingLines(opened());
  await opened().sh("docker restart -t 5 left", { timeoutMs: COMMAND_MS });
  assert.equal(await shapingLines(opened()), before);
});

story("a watch that is killed runs again, by systemd", () => comesBackKilled(opened()));
longStory("a watch that hangs runs again, by systemd's watchdog", () => comesBackHung(opened()));

secondBoot();

longStory(
  "a power cut of a running machine changes nothing that lasts; vnodes and wiring come back",
  async () => {
    const forgotten = await forgettable(opened());
    const lasting = await opened().sh(PERSISTENT);
    await opened().powerCut();
    await opened().start();
    tell(`power cut, then on: ${(opened().bootMs / 1000).toFixed(1)} s`);
    await isBack(opened(), lasting, forgotten);
  },
);

end();
test.run();
