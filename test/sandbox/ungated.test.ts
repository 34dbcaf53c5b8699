// deadline: 900s
// Vnodes that Docker starts past the gate: the watch wires them, and takes their wiring away. With the times it takes.
import { test } from "uvu";
import { settled, startWatch, type WantedVnodes, watchLog } from "./_world.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { ENGINES, openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const EXPERIMENT = {
  lans: { wire: { subnets: ["10.1.0.0/24"] } },
  vnodes: {
    left: {
      image: "box",
      command: SLEEP,
      links: [
        { lan: "wire", address: "10.1.0.1", rate: "10mbit" },
        { lan: "wire", name: "data0", address: "10.1.0.11" },
      ],
    },
    right: { image: "box", command: SLEEP, links: [{ lan: "wire", address: "10.1.0.2", rate: "10mbit" }] },
  },
};
const VNODES: WantedVnodes = {
  left: [
    { name: "eth1", lan: "wire", address: "10.1.0.1", rate: 10_000_000 },
    { name: "data0", lan: "wire", address: "10.1.0.11" },
  ],
  right: [{ name: "eth1", lan: "wire", address: "10.1.0.2", rate: 10_000_000 }],
};
/** p99 of a shared machine; the median is some 120 ms. */
const ROUNDS = process.env.BERTH_LONG ? 100 : 12;

/** A vnode started without the gate: the engine's entry for our runtime leads past it. */
async function ungated(box: Sandbox, engine: Engine): Promise<void> {
  await box.sh("berth vnode up left; mv /usr/lib/berth/runtime /run/sandbox/gate");
  await box.sh(
    `printf '#!/bin/sh\\nexec runc "$@"\\n' >/usr/lib/berth/runtime; chmod 755 /usr/lib/berth/runtime`,
  );
  const wired: number[] = [];
  const unwired: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const since = Date.now();
    await box.sh("docker kill left");
    await settled(box, "a killed vnode to be unwired", VNODES, { left: "halted" });
    await box.sh("docker start left");
    await settled(box, "an ungated vnode to be wired", VNODES, { left: "up" });
    const events = await box.sh(
      `docker events --since ${(since / 1000).toFixed(3)} --until "$(date +%s.%N)" ` +
        `--filter container=left --format '{{.Action}} {{.TimeNano}}'`,
    );
    const at = (action: string) => Number(new RegExp(`^${action} (\\d+)`, "m").exec(events)![1]) / 1e6;
    const log = await watchLog(box, 200);
    const last = (what: string, from: number) =>
      Math.max(
        ...[...log.matchAll(new RegExp(`^(\\S+Z) .*${what} vnode=left`, "gm"))]
          .map((match) => Date.parse(match[1]!)).filter((time) => time >= from - 1),
      );
    wired.push(last("Wired", at("start")) - at("start"));
    const first = [...log.matchAll(/^(\S+Z) .*(?:Unwired|Wired) vnode=left/gm)]
      .map((match) => Date.parse(match[1]!)).find((time) => time >= at("die") - 1)!;
    unwired.push(first - at("die"));
  }
  const figure = (all: number[]) => {
    const sorted = all.filter(Number.isFinite).toSorted((a, b) => a - b);
    return `median ${sorted[Math.floor(sorted.length / 2)]?.toFixed(0)} ms, ` +
      `p99 ${sorted.at(-1)?.toFixed(0)} ms over ${sorted.length}`;
  };
  process.stdout.write(
    `engine ${engine}: start to wired ${figure(wired)}; die to unwired ${figure(unwired)}\n`,
  );
  await box.sh("mv /run/sandbox/gate /usr/lib/berth/runtime; docker restart -t 0 left");
  await settled(box, "a gated vnode again", VNODES, { left: "up", right: "up" });
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine, EXPERIMENT, { watch: { resync: "1h" } });
  try {
    await startWatch(box);
    await ungated(box, engine);
  } catch (error) {
    process.stdout.write(await watchLog(box, 60));
    throw error;
  } finally {
    await box.close();
  }
}

for (const engine of (process.env.ENGINE ? [process.env.ENGINE as Engine] : ENGINES)) {
  test(`engine ${engine}: ${ROUNDS} starts past the gate are wired by the watch`, () => story(engine));
}

test.run();
