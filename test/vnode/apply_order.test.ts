// One change of several parts that lean on one another, given to a life in one pass.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bridgeName } from "../../lib/vnode/names.ts";
import { up } from "../../lib/vnode/up.ts";
import { createWorld, declared } from "./_world.ts";

test("up() gives a link its address before the routes by it, also where another link is made anew", async () => {
  const { ground, kernel, pidOf } = createWorld(["wire", "other"]);
  kernel.findsNextHops = true;
  const give = async (links: string, routes = "") => {
    const { vnodes, lans } = declared(`
lans: { wire: { subnet: 10.1.0.0/24 }, other: { subnet: 10.2.0.0/24 } }
vnodes: { left: { image: box, links: [${links}]${routes} } }`);
    assert.equal(
      (await up(ground, vnodes, lans)).flatMap(({ error }) => error === undefined ? [] : String(error)),
      [],
    );
  };
  await give("{ lan: wire }");
  const eth1 = kernel.inside.get(pidOf("left"))!.get("eth1")!.ifindex;
  await give(
    "{ lan: wire, address: 10.1.0.1 }, { lan: other }",
    ", routes: [{ to: 10.9.0.0/16, via: 10.1.0.9 }]",
  );
  assert.equal(kernel.routes.get(pidOf("left")), ["default via 172.16.0.1", "10.9.0.0/16 via 10.1.0.9"]);
  assert.is(kernel.inside.get(pidOf("left"))!.get("eth1")!.ifindex, eth1);
  assert.ok(kernel.links.has(bridgeName("other")));
});

test.run();
