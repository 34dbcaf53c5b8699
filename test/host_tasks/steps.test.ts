// The list of host tasks: what a failure stops, and what each says it wants. No machine is touched.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errorJson, errorText } from "../../lib/cli/report.ts";
import { painter } from "../../lib/cli/terminal.ts";
import { BerthError } from "../../lib/log/error.ts";
import { eachStep, STEPS, throwFailures } from "../../tasks/host/_all.ts";
import type { HostFacts } from "../../tasks/host/_facts.ts";
import { controlNetwork } from "../../tasks/host/control_net.ts";
import { engineOptions } from "../../tasks/host/daemon_json.ts";
import { firewallResources } from "../../tasks/host/firewall.ts";
import { kernelParameters, moduleResources } from "../../tasks/host/kernel.ts";
import { packagesResources } from "../../tasks/host/packages.ts";
import hostRc from "../../tasks/host/rc.ts";
import { runtimeResources } from "../../tasks/host/runtime.ts";
import { ipCommands } from "../fake/ip.ts";
import { createFakeHost } from "../fake/host.ts";
import { CONFIG } from "./_config.ts";

const FACTS: HostFacts = {
  programs: ["ip", "sysctl"],
  modules: true,
  bridgeMeta: false,
  runc: "/usr/sbin/runc",
  berth: ["/usr/bin/berth"],
  init: null,
};
const ids = (resources: readonly { readonly id: string }[]) => resources.map(({ id }) => id);

test("a failed step stops those that need it, and no other", async () => {
  const ran: string[] = [];
  const outcomes = await eachStep(STEPS, (step) => {
    ran.push(step.name);
    return step.name === "daemon-json"
      ? Promise.reject(new BerthError({ code: "docker", object: "engine docker", message: "No" }))
      : Promise.resolve([]);
  });
  assert.equal(ran, ["packages", "kernel", "storage", "runtime", "daemon-json", "rc"]);
  assert.equal(
    outcomes.steps.filter(({ result }) => result === "skipped").map(({ step, why }) => `${step}: ${why}`),
    ["firewall: needs daemon-json", "control-net: needs daemon-json", "autostart: needs daemon-json"],
  );
  assert.throws(
    () => throwFailures(outcomes),
    (error: BerthError) =>
      error.exit === 8 &&
      error.message === "Failed: daemon-json; not tried: firewall, control-net, autostart",
  );
});

test("a cause is told once, however many steps it stops and whoever wraps it", async () => {
  const why = 'Subnet "172.16.0.0/12" overlaps eth0';
  const cause = new BerthError({ code: "refused", object: "subnet", message: why });
  const wrapped = () =>
    new BerthError({
      code: "refused",
      object: "bridge",
      message: `Cannot create it: ${why}`,
      next: "Take another",
      cause,
    });
  for (const failing of [["storage"], ["firewall", "control-net"]]) {
    const outcomes = await eachStep(
      STEPS,
      (step) => failing.includes(step.name) ? Promise.reject(wrapped()) : Promise.resolve([]),
    );
    try {
      throwFailures(outcomes);
      assert.unreachable();
    } catch (error) {
      const text = errorText(error as BerthError, painter({ isTTY: false }), false);
      assert.is(text.split(why).length - 1, 1, text);
      assert.is(text.split("Take another").length - 1, 1, text);
      assert.match(text, `host ${failing.join(", ")}: Cannot create it`);
      assert.not.match(errorJson(error as BerthError), '"cause"');
    }
  }
});

test("another driver than what stands is refused by the first step that would change anything for it", async () => {
  const { controlNet } = CONFIG.host;
  const to = (driver: "bridge" | "macvlan", device?: string) => ({
    ...CONFIG,
    host: {
      ...CONFIG.host,
      controlNet: { ...controlNet, driver, ...device === undefined ? {} : { device } },
    },
  });
  const step = STEPS.find(({ name }) => name === "firewall")!;
  const refusal = async (kind: string, config: typeof CONFIG) => {
    const host = createFakeHost({ commands: [ipCommands, ({ argv }) => argv[0] === "ip" ? {} : null] });
    host.machine.links.set("_dockercnet", {
      ...{ kind, alias: "berth control network", mtu: 1500, up: true, addresses: [] },
    });
    return await step.check!(host, config).then(
      () => "accepted",
      ({ code, message }) => `${code}: ${message}`,
    );
  };
  assert.match(
    await refusal("bridge", to("macvlan", "eth0")),
    'refused: Link "_dockercnet" is a bridge of berth\'s',
  );
  assert.match(
    await refusal("macvlan", to("bridge", "eth0")),
    'refused: Link "_dockercnet" is a macvlan of berth\'s',
  );
  assert.match(await refusal("macvlan", to("bridge")), "wanted a bridge: it cannot be changed in place");
  assert.is(await refusal("macvlan", to("macvlan", "eth0")), "accepted");
  assert.is(await refusal("bridge", to("bridge", "eth0")), "accepted");
});

test("storage refuses a control subnet that is taken where there is no control network yet, before it looks at disks", async () => {
  const step = STEPS.find(({ name }) => name === "storage")!;
  const tried = async (address: string, network: unknown, hasIp = true) => {
    const [local, bits] = address.split("/");
    const addresses = [{ ifname: "eth0", addr_info: [{ family: "inet", local, prefixlen: Number(bits) }] }];
    const host = createFakeHost({
      commands: [({ argv }) => {
        if (argv[0] !== "ip") return null;
        if (!hasIp) throw new BerthError({ code: "missing", object: "ip", message: "No such program" });
        return { stdout: JSON.stringify(argv.includes("addr") ? addresses : []) };
      }],
      engine: {
        get(path) {
          if (path === "/networks") return Promise.resolve({ status: 200, body: [] });
          return Promise.resolve({ status: network === null ? 404 : 200, body: network });
        },
        call: () => Promise.reject(new Error("a look changes nothing")),
      },
    });
    return await step.check!(host, CONFIG).then(
      () => "accepted",
      ({ code, message }) => `${code}: ${message}`,
    );
  };
  assert.match(await tried("172.20.0.2/16", null), "config: Subnet");
  assert.is(await tried("10.0.0.2/8", null), "accepted");
  // One that stands is not the engine's business; one of others' is.
  assert.is(await tried("172.20.0.2/16", { Labels: { "berth.network": "control" } }), "accepted");
  assert.match(await tried("10.0.0.2/8", { Labels: {} }), "refused: A Docker network named");
  // A plan for a machine that is to get the program first.
  assert.is(await tried("172.20.0.2/16", null, false), "accepted");
});

test("host rc takes either --image or --remove, and looks at nothing before", async () => {
  const context = { options: { image: true, remove: true } } as unknown as Parameters<typeof hostRc.run>[0];
  const error = await Promise.resolve(hostRc.run(context)).then(() => null, (thrown) => thrown as BerthError);
  assert.is(error?.code, "usage");
  assert.match(error?.message ?? "", '"--image" and "--remove" do not go together');
});

test("host rc ends as a thing that is missing where no init system runs, and writes nothing", async () => {
  for (const mode of ["apply", "plan"] as const) {
    const host = createFakeHost();
    const context = {
      ...{ host, mode, changes: [], options: { image: false, remove: false } },
      ...{ config: () => Promise.resolve(CONFIG), tell: assert.unreachable, output: assert.unreachable },
    } as unknown as Parameters<typeof hostRc.run>[0];
    const error = await Promise.resolve(hostRc.run(context)).then(
      () => null,
      (thrown) => thrown as BerthError,
    );
    assert.is(error?.code, "missing");
    assert.is(error?.exit, 4);
    assert.match(error?.message ?? "", "No init system runs here: nothing will start berth at boot");
    assert.match(error?.next ?? "", "berth host rc --image");
    assert.equal(host.done, []);
  }
});

test("every need is a step that comes before", () => {
  const before = new Set<string>();
  for (const { name, needs } of STEPS) {
    for (const need of needs) assert.ok(before.has(need), `${name} needs ${need}`);
    before.add(name);
  }
});

test("packages of missing programs are installed, and no others", () => {
  assert.equal(ids(packagesResources(CONFIG, FACTS)), ["packages docker.io kmod nftables"]);
  const all = ["dockerd", "nft", "ip", "modprobe", "sysctl", "runc"];
  assert.equal(packagesResources(CONFIG, { ...FACTS, programs: all })[0]!.desired.installed, []);
});

test("a kernel without modules is asked for none", () => {
  assert.equal(moduleResources(CONFIG, { ...FACTS, modules: false }), []);
  assert.ok(ids(moduleResources(CONFIG, FACTS)).includes("module dummy"));
});

test("bridged frames stay out of iptables unless Docker manages it", () => {
  assert.is(kernelParameters(CONFIG)["net.bridge.bridge-nf-call-iptables"], "0");
  const engine = { ...CONFIG.host.engine, iptables: true };
  const docker = { ...CONFIG, host: { ...CONFIG.host, engine } };
  assert.is(kernelParameters(docker)["net.bridge.bridge-nf-call-iptables"], undefined);
  assert.not(ids(firewallResources(docker, FACTS)).includes("iptables rules of docker"));
  const [forward] = firewallResources(docker, FACTS).filter(({ id }) => id === "nft table inet berth");
  assert.match(JSON.stringify(forward!.diff(null)), "notrack");
  assert.ok(ids(firewallResources(CONFIG, FACTS)).includes("iptables rules of docker"));
});

test("engineOptions() keeps the operator's runtimes and options beside ours", () => {
  const keys = engineOptions(CONFIG);
  assert.equal(keys.runtimes, { other: { path: "/other" }, berth: { path: "/usr/lib/berth/runtime" } });
  assert.is(keys["log-driver"], "local");
  assert.is(keys["ip-masq"], false);
  assert.not("hosts" in keys);
  assert.not("data-root" in keys);
});

test("the control network gives out no dynamic address and keeps dockerd off the bridge's own", () => {
  const network = controlNetwork(CONFIG);
  assert.is(network.ipRange, "172.16.0.1/32");
  assert.is(network.options["com.docker.network.bridge.inhibit_ipv4"], "true");
  const masquerades = (iptables: boolean, routable: readonly string[]) => {
    const { engine, controlNet } = CONFIG.host;
    const host = {
      ...CONFIG.host,
      engine: { ...engine, iptables },
      controlNet: { ...controlNet, routable },
    };
    const { options } = controlNetwork({ ...CONFIG, host });
    return options["com.docker.network.bridge.enable_ip_masquerade"];
  };
  assert.is(masquerades(true, ["203.0.113.0/24"]), "false");
  assert.is(masquerades(true, []), undefined);
  assert.is(masquerades(false, ["203.0.113.0/24"]), undefined);
});

test("the gate calls the executable, or from source a script that quotes each word", () => {
  assert.equal(ids(runtimeResources(CONFIG, FACTS)), [
    "directory /usr/lib/berth",
    "file /usr/lib/berth/runtime",
  ]);
  const source = runtimeResources(CONFIG, { ...FACTS, berth: ["/bin/deno", "run", "it's"] });
  const script = source[1]!.desired as { readonly text: string };
  assert.match(script.text, /exec '\/bin\/deno' 'run' 'it'\\''s' "\$@"/);
});

test.run();
