// The kernel's part of a preparation on machines with modules, with some of them, and with none: what a plan tells is
// what an apply then does. On the fake host.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TaskContext } from "../../lib/cli/task.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import type { Change } from "../../lib/resource/types.ts";
import { planStep } from "../../tasks/host/_step.ts";
import { hostFacts } from "../../tasks/host/_facts.ts";
import { kernelStep } from "../../tasks/host/kernel.ts";
import { createFakeHost, type FakeCommand, type FakeHost } from "../fake/host.ts";
import { CONFIG } from "./_config.ts";

const SWITCHES = ["arptables", "ip6tables", "iptables"].map((name) => `net/bridge/bridge-nf-call-${name}`);
const DEP = "/lib/modules/6.1.0-fake/modules.dep";

/** Parameters of br_netfilter appear when it is loaded, all at 1. */
const netfilter: FakeCommand = ({ argv }, { files }) => {
  if (argv.join(" ") === "modprobe -- br_netfilter") {
    for (const name of SWITCHES) files.set(`/proc/sys/${name}`, { text: "1\n", mode: 0o644 });
  }
  return null;
};

function machine(): FakeHost {
  return createFakeHost({
    sysctls: { "net.ipv4.ip_forward": "0", "net.core.rmem_max": "4096" },
    commands: [netfilter],
  });
}

async function plan(host: FakeHost): Promise<readonly Change[]> {
  const context = { host, config: () => Promise.resolve(CONFIG) } as unknown as TaskContext<unknown>;
  return await planStep(context, kernelStep);
}

async function up(host: FakeHost): Promise<readonly Change[]> {
  const engine = createEnsure({ host, mode: "apply", journal: null });
  for (const stage of kernelStep.stages) {
    await engine.ensureAll(await stage(CONFIG, await hostFacts(host), host));
  }
  return engine.changes;
}

const ids = (changes: readonly Change[]) => changes.map(({ resource }) => resource);

test("a plan tells the parameters of a module that is yet to be loaded, as an apply then sets them", async () => {
  const host = machine();
  const planned = await plan(host);
  assert.equal(
    planned.filter(({ resource }) => resource.includes("bridge-nf-call-iptables")).map(({ why }) => why),
    ['comes with module br_netfilter, wanted "0"'],
  );
  assert.equal(host.done, []);
  assert.equal(ids(planned), ids(await up(host)));
  for (const name of SWITCHES) assert.is(await host.readText(`/proc/sys/${name}`), "0\n");
  assert.equal(await plan(host), []);
});

test("modules and parameters that this kernel does not have are passed over", async () => {
  const host = machine();
  host.machine.files.set(DEP, { text: "kernel/drivers/net/ifb.ko.xz:\n", mode: 0o644 });
  const planned = await plan(host);
  assert.equal(ids(planned).filter((id) => id.startsWith("module")), ["module ifb"]);
  assert.not(ids(planned).some((id) => id.includes("bridge-nf-call")));
  assert.equal(ids(planned), ids(await up(host)));
  assert.equal(await plan(host), []);
});

test("a kernel that loads no modules is asked for none, and is done after one run", async () => {
  const host = machine();
  host.machine.files.delete("/proc/modules");
  const planned = await plan(host);
  assert.equal(ids(planned), [
    "file /etc/sysctl.d/60-berth.conf",
    "sysctl net.ipv4.ip_forward",
    "sysctl net.core.rmem_max",
  ]);
  assert.equal(ids(planned), ids(await up(host)));
  assert.equal(await plan(host), []);
});

test("bounds are raised or lowered where they must be, and left alone where they are wide enough or fixed", async () => {
  const host = createFakeHost({
    sysctls: {
      "net.ipv4.ip_forward": "1",
      "net.core.rmem_max": "1048576",
      "net.core.wmem_max": "4194304",
      "net.netfilter.nf_conntrack_max": "65536",
      "net.netfilter.nf_conntrack_buckets": "1024",
      "net.netfilter.nf_conntrack_generic_timeout": "600",
      "net.netfilter.nf_conntrack_tcp_timeout_established": "7200",
    },
  });
  const buckets = "/proc/sys/net/netfilter/nf_conntrack_buckets";
  host.machine.files.set(buckets, { text: "1024\n", mode: 0o444 });
  const planned = (await plan(host)).filter(({ resource }) => /^sysctl net\.(core|netfilter)/.test(resource));
  assert.equal(planned.map(({ resource, why }) => `${resource.split("_").at(-1)}: ${why}`), [
    'max: "65536", wanted at least "131071"',
    'timeout: "600", wanted at most "120"',
  ]);
  const made = ids(await up(host)).filter((id) => /^sysctl net\.(core|netfilter)/.test(id));
  assert.equal(made, ids(planned));
  assert.equal(await plan(host), []);
});

test.run();
