// deadline: 900s
// A start that cannot be wired fails with its reason, leaves nothing behind and leaves the container startable.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine, Sandbox } from "./harness.ts";
import { bridgeName } from "../../lib/vnode/names.ts";
import { berth, ENGINES, openVhost, wiringDump } from "./vhost.ts";

const BRIDGE = bridgeName("wire");

/** Seconds that the test's gate gives berth, instead of 20. */
const HANG_SECONDS = 2;

interface Fault {
  readonly name: string;
  /** Beside the missing bridge, which makes the gate ask berth. */
  readonly script: string;
  readonly mend: string;
  readonly reason: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    name: "a missing bridge",
    script: "true",
    mend: "true",
    reason: new RegExp(`bridge \\\\?"${BRIDGE}\\\\?" of lan .*wire.* is missing`),
  },
  {
    name: "berth crashing",
    script:
      `mv /usr/local/bin/berth /usr/local/bin/berth.real; printf '#!/bin/sh\\nkill -SEGV $$\\n' >/usr/local/bin/berth; chmod 755 /usr/local/bin/berth`,
    mend: "mv /usr/local/bin/berth.real /usr/local/bin/berth",
    reason: /vnode left could not be wired and the berth executable ended with 139/,
  },
  {
    name: "berth hanging",
    script:
      `mv /usr/local/bin/berth /usr/local/bin/berth.real; printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/local/bin/berth; chmod 755 /usr/local/bin/berth`,
    mend: "mv /usr/local/bin/berth.real /usr/local/bin/berth",
    reason: /vnode left could not be wired and the berth executable gave no answer in time/,
  },
];

/** What a life leaves: shims, the runtime's state, host-side wiring of `left`. */
async function remains(box: Sandbox, id: string): Promise<string> {
  return await box.sh(`
    pgrep -af '[c]ontainerd-shim.*${id}' || true
    ls -d /run/docker/runtime-runc/moby/${id} /var/run/docker/runtime-runc/moby/${id} 2>/dev/null || true
    ip -o link show | grep 'v=left:' || true
    nft list table bridge berth | grep 02:00:ac || true
    tc qdisc show | grep -E 'dev (bve|bif)-' | grep -v -F "$(ip -o link | grep 'v=bystander' | grep -oE 'bve-[0-9a-f]+')" || true
  `);
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine);
  try {
    await box.sh(`sed -i 's/-s KILL [0-9]* /-s KILL ${HANG_SECONDS} /' /usr/lib/berth/runtime`);
    const id = (await box.sh("docker inspect -f '{{.Id}}' left")).trim();
    const pid = async () => (await box.sh("docker inspect -f '{{.State.Pid}}' bystander")).trim();
    const bystander = await pid();
    await berth(box, "vnode", "halt", "left", "right", "--grace", "0");
    const bystanders = await remains(box, id);
    const wiring = await wiringDump(box);
    for (const fault of FAULTS) {
      await box.sh(`ip link del ${BRIDGE}; ${fault.script}`);
      for (let start = 1; start <= 3; start++) {
        const said = await box.run(["docker", "start", "left"], { timeoutMs: 90_000 });
        assert.is.not(said.exit, 0, `start ${start} with ${fault.name} must fail`);
        assert.match(said.stderr, fault.reason, `start ${start} with ${fault.name} on ${engine}`);
        await box.until(`nothing left of start ${start} with ${fault.name}`, async (seen) => {
          const left = await remains(box, id);
          seen(left);
          return left === bystanders;
        });
        assert.is(await wiringDump(box), wiring);
        assert.is(await pid(), bystander);
        await box.sh("docker exec bystander ip -o addr show eth1 | grep -q 10.2.0.1");
      }
      await box.sh(
        `${fault.mend}; ip link add ${BRIDGE} type bridge; ip link set ${BRIDGE} up alias berth:lan=wire`,
      );
      await box.sh("docker start left");
      await box.sh("docker exec left ip -o addr show eth1 | grep -q 10.1.0.1");
      await box.sh("docker stop -t 0 left");
      await berth(box, "vnode", "halt", "left");
    }
  } finally {
    await box.close();
  }
}

for (const engine of ENGINES) {
  test(`engine ${engine}: three failed starts of each kind, and the fourth succeeds`, () => story(engine));
}

test.run();
