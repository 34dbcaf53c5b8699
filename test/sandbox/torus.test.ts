// deadline: 2400s
// A large topology from nothing and back: a torus of vnodes with four shaped links each and computed routes. What it
// takes stands beside as many bare containers of the same engine, and the wiring beside a script of single commands, in
// the same run. 4 × 4 in the usual run, 10 × 10 with BERTH_LONG=1. The figures go to stderr.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { torus, torusNames } from "./_torus.ts";
import { changed } from "./_world.ts";
import type { Sandbox } from "./harness.ts";
import { openVhost } from "./vhost.ts";

const LONG = process.env["BERTH_LONG"] === "1";
const SIZE = LONG ? { width: 10, height: 10 } : { width: 4, height: 4 };
const COUNT = SIZE.width * SIZE.height;
const FILE = "/etc/berth/vnodes.d/torus.yaml";

/** How much longer than bare containers, and how many times faster than single commands: what is held here. */
const HELD = { up: 3, wiring: 5 } as const;
/** What is aimed at on a machine that does nothing else. */
const AIM = { up: 1.15, wiring: 10 } as const;

const figures: Record<string, number> = {};

/** Runs a script in the sandbox and notes its seconds. */
async function timed(box: Sandbox, what: string, script: string): Promise<string> {
  const began = performance.now();
  const said = await box.sh(script, { timeoutMs: 1_200_000 });
  figures[what] = Math.round((performance.now() - began) / 10) / 100;
  return said;
}

/**
 * Has each vnode ping every fifth of the others by name, and answers with those that nobody answered: a torus is the
 * same from everywhere, so all distances are among them.
 */
async function unreached(box: Sandbox): Promise<string> {
  const names = torusNames(SIZE);
  const lines = names.map((from, at) =>
    `${from} ${names.filter((_, to) => to !== at && (to - at + COUNT) % 5 === 0).join(" ")}`
  );
  return await box.sh(
    `while read -r from all; do
      pid=$(docker inspect -f '{{.State.Pid}}' "$from")
      nsenter -t "$pid" -m -n sh -c 'from=$1; shift; for to; do ping -c 1 -W 3 "$to" >/dev/null 2>&1 || echo "$from to $to"; done' sh "$from" $all &
      while [ "$(jobs -pr | wc -l)" -ge 8 ]; do wait -n; done
    done; wait`,
    { input: lines.join("\n") + "\n", timeoutMs: 900_000 },
  );
}

/** The wiring alone, of pretended vnodes: the gate's batches, and then the same lines as a command each. */
const WIRING = `
  lives=; began=; trap 'kill $lives 2>/dev/null || true' EXIT
  now() { date +%s%3N; }
  clear() {
    { ip -o link | grep -oE ' b(if|ve|br)-[0-9a-f]+' | sed 's/.*/link set & group 7777/'; echo "link del group 7777"; } |
      ip -force -batch - >/dev/null 2>&1 || true
  }
  ground() {
    for pid in $lives; do kill $pid; wait $pid 2>/dev/null || true; done
    lives=
    clear
    grep -ohE 'master bbr-[0-9a-f]+' /tmp/gate/*/host.ip | sort -u | while read -r _ bridge; do
      printf 'link add %s group 7777 type bridge\\nlink set %s up\\n' "$bridge" "$bridge"
    done | ip -batch -
    for dir in /tmp/gate/*; do
      unshare -n sleep 100000 & lives="$lives $!"
      mkdir -p /tmp/lines; sed "s/@PID@/$!/g; s/@GEN@/generation/g" "$dir/host.ip" >"/tmp/lines/$!.host"
      grep -v '^route replace default' "$dir/inside.ip" >"/tmp/lines/$!.inside"; cp "$dir/tc" "/tmp/lines/$!.tc"
    done
    for pid in $lives; do
      until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    done
  }
  batches() {
    for pid in $lives; do
      ip -batch "/tmp/lines/$pid.host"
      tc -batch "/tmp/lines/$pid.tc" & nsenter --net=/proc/$pid/ns/net ip -batch "/tmp/lines/$pid.inside"; wait $!
    done
  }
  single() {
    for pid in $lives; do
      while read -r line; do ip $line; done <"/tmp/lines/$pid.host"
      while read -r line; do nsenter --net=/proc/$pid/ns/net ip $line; done <"/tmp/lines/$pid.inside"
      while read -r line; do tc $line; done <"/tmp/lines/$pid.tc"
    done
  }
  for way in batches single; do
    rm -rf /tmp/lines; ground
    began=$(now); $way >/dev/null; echo "$way $(($(now) - began)) $(ip -o link | grep -c ' bve-') $(cat /tmp/lines/* | wc -l)"
  done
  for pid in $lives; do kill $pid; done; lives=
  clear
`;

test(`a torus of ${SIZE.width} × ${SIZE.height} comes, is what it says, and goes`, async () => {
  const box = await openVhost("28.5", null);
  try {
    await timed(
      box,
      "bare",
      `seq ${COUNT} | xargs -P 8 -I{} docker run -d --name bare{} box sleep 100000 >/dev/null`,
    );
    await timed(box, "bareGone", "docker rm -f $(docker ps -aq) >/dev/null");
    const before = await box.dump();
    await box.write(FILE, JSON.stringify(torus(SIZE, { routing: "static" })));
    const told = JSON.parse(await timed(box, "up", "berth vnode up --json")) as {
      vnodes: { vnode: string; changed: boolean }[];
    };
    assert.equal(told.vnodes.filter((one) => one.changed).map((one) => one.vnode).sort(), torusNames(SIZE));
    const list = JSON.parse(await timed(box, "list", "berth vnode list --json")).vnodes as {
      wiring: string;
    }[];
    assert.equal(list.map((one) => one.wiring), list.map(() => "wired"));
    const again = JSON.parse(await timed(box, "upAgain", "berth vnode up --json")) as typeof told;
    assert.equal(again.vnodes.filter((one) => one.changed), []);
    assert.is((await timed(box, "pings", "true"), await unreached(box)), "");
    await timed(box, "restart", "docker restart -t 0 t005 >/dev/null");
    assert.is(await unreached(box), "", "after a restart");
    await box.sh("cp -r /var/lib/berth/gate /tmp/gate");
    await timed(box, "down", "berth vnode down $(docker ps -a --format '{{.Names}}')");
    const left = changed(before, await box.dump()).filter((line) =>
      !/file: (\/var\/lib\/berth\/((vnodes|gate) d |journal )|\/etc\/berth|\/tmp)|(link|addr|route): .*(_dockercnet|docker0)/
        .test(line)
    );
    assert.equal(left, []);
    for (const line of (await box.sh(WIRING, { timeoutMs: 1_200_000 })).trim().split("\n")) {
      const [way, ms, ends, lines] = line.split(" ") as [string, string, string, string];
      assert.is(Number(ends), 4 * COUNT, line);
      figures[way] = Number(ms) / 1000;
      figures["lines"] = Number(lines);
    }
    const ratios = {
      up: figures["up"]! / figures["bare"]!,
      down: figures["down"]! / figures["bareGone"]!,
      wiring: figures["single"]! / figures["batches"]!,
    };
    process.stderr.write(
      `torus ${COUNT}: ${JSON.stringify(figures)} s; up ${ratios.up.toFixed(2)} × bare (aim ${AIM.up}), ` +
        `down ${ratios.down.toFixed(2)} × bare, wiring ${
          ratios.wiring.toFixed(1)
        } × faster (aim ${AIM.wiring})\n`,
    );
    assert.ok(ratios.up < HELD.up, `up took ${ratios.up.toFixed(2)} times as long as bare containers`);
    assert.ok(ratios.wiring > HELD.wiring, `batches are only ${ratios.wiring.toFixed(1)} times faster`);
  } finally {
    await box.close();
  }
});

test.run();
