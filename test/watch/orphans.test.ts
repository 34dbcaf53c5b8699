// What is collected as nobody's, and what is left alone since it may be somebody's: over a fake kernel and engine.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { orphanSteps } from "../../lib/watch/orphans.ts";
import { removeLonelyLans } from "../../lib/vnode/lans.ts";
import { bridgeName, hostEndName, lanAlias, linkAlias } from "../../lib/vnode/names.ts";
import { readHostView } from "../../lib/vnode/view.ts";
import { until } from "../fake/clock.ts";
import { recordOf, story } from "./_ground.ts";

test("orphans are what carries our mark of a life that is over and of no record; nothing else is touched", () =>
  story(async (ground) => {
    const { kernel, host } = ground;
    await ground.vnode(1);
    ground.start("n1", false);
    const pid = ground.containers.get("n1")!.pid;
    const start = host.machine.files.get(`/proc/${pid}/stat`)!.text.trim().split(" ").at(-3);
    const over = linkAlias("ghost", "eth1", "0123456789ab.1.1.boot-1");
    const lives = linkAlias("ghost", "eth2", `0123456789ab.${pid}.${start}.boot-1`);
    kernel.add("bve-00000000001", "veth", { ifalias: over });
    kernel.add("bve-00000000002", "veth", { ifalias: lives });
    kernel.add("bve-00000000003", "veth");
    kernel.add("bve-00000000004", "veth", { ifalias: "berth:v=ghost" });
    kernel.add("bve-00000000005", "veth", { ifalias: linkAlias("n1", "eth9", "0.1.1.1") });
    kernel.add("other", "veth", { ifalias: "somebody's" });
    kernel.allow.add("gone0 02:00:00:00:77:77 172.16.7.7").add("other 02:00:00:00:88:88 172.16.8.8");
    kernel.names.add("gone0").add("other");
    const end = hostEndName("n1", "eth1");
    kernel.elements.set("bridge berth/lan_guarded", new Map([["bve-00000000001", ""], [end, ""]]));
    kernel.elements.set("bridge berth/lan_uplinks", new Map([["ens4", ""]]));
    const steps = await orphanSteps(host, await readHostView(host), [recordOf(1)], []);
    assert.equal(steps.map((step) => step.clear ?? step.nft), [["bve-00000000001"], [
      'add element bridge berth control_ports { "gone0" . 02:00:00:00:77:77 . 172.16.7.7 }',
      'add element bridge berth control_names { "gone0" }',
      'delete element bridge berth control_ports { "gone0" . 02:00:00:00:77:77 . 172.16.7.7 }',
      'delete element bridge berth control_names { "gone0" }',
    ], [
      'add element bridge berth lan_guarded { "bve-00000000001" }',
      'delete element bridge berth lan_guarded { "bve-00000000001" }',
    ]]);
  }));

test("what may be of a vnode whose record cannot be read stays, and the vnode is told of", () =>
  story(async (ground) => {
    const { kernel, host } = ground;
    await ground.vnode(1);
    await ground.vnode(2);
    await ground.watch();
    await ground.converges("boot and wire");
    const world = () => ({
      elements: [...kernel.elements].map(([set, all]) => [set, [...all]]),
      allowed: [...kernel.allow],
      links: [...kernel.links.keys()],
    });
    const path = "/var/lib/berth/vnodes/n2/record.json";
    const text = host.machine.files.get(path)!.text;
    await host.writeText(path, "{");
    await host.writeText(path.replace("n2", "n3"), "");
    kernel.add(bridgeName("else"), "bridge", { ifalias: lanAlias("else") });
    kernel.add("bve-00000000001", "veth", { ifalias: linkAlias("n3", "eth1", "0123456789ab.1.1.boot-1") });
    const known = kernel.elements.get("inet berth_vnodes/known");
    assert.equal([...known!.keys()].sort(), ["172.16.1.1", "172.16.1.2"]);
    const before = world();
    ground.resync("broken");
    await until("a look", () => ground.state?.resyncReason === "broken");
    assert.equal(world(), before);
    await until("it to be told of", () => ground.state!.degraded.some(({ key }) => key === "n2"));
    // Another's lan that is given up meanwhile may be its, too.
    await removeLonelyLans(host, [{ name: "else", subnets: [], mtu: 1500 }]);
    assert.equal(world(), before);
    kernel.remove(bridgeName("else"));
    await host.writeText(path, text);
    await host.remove(path.replace("n2", "n3"));
    ground.resync("mended");
    await until("a look at all", () => ground.state?.resyncReason === "mended");
    assert.not(kernel.links.has("bve-00000000001"));
    await ground.converges("all as before");
  }));

test.run();
