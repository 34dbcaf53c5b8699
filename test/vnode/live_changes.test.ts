// Live changes while another command is at the vnode: what comes out is decided by what stands when it is their turn.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shapesOf } from "../../lib/config/shape_text.ts";
import type { Ground } from "../../lib/vnode/ground.ts";
import { setLinkState } from "../../lib/vnode/link_state.ts";
import { effectiveSpec } from "../../lib/vnode/live.ts";
import { turnLockPath } from "../../lib/vnode/paths.ts";
import { amendRecord, readRecord, type VnodeRecord } from "../../lib/vnode/record.ts";
import { planSaving, saveShape } from "../../lib/vnode/save_shape.ts";
import { shapedLink, shapeLink } from "../../lib/vnode/shape_link.ts";
import { readShaping } from "../../lib/vnode/shape_state.ts";
import { up } from "../../lib/vnode/up.ts";
import { createWorld, declared } from "./_world.ts";

const PATH = "/etc/berth/vnodes.d/a.yaml";
const TEXT = `lans: { wire: { subnet: 10.1.0.0/24 } }
vnodes:
  left: { image: box, links: [{ lan: wire, address: 10.1.0.1, rate: 10mbit }] }
  right: { image: box, links: [{ lan: wire, address: 10.1.0.2 }] }
`;

async function begun() {
  const world = createWorld(["wire"]);
  const { vnodes, lans } = declared(TEXT);
  const outcomes = await up(world.ground, vnodes, lans);
  assert.equal(outcomes.flatMap(({ error }) => error === undefined ? [] : [String(error)]), []);
  const now = async () => (await readRecord(world.host, "left"))!;
  const link = async () => effectiveSpec(await now()).links[0]!;
  return { ...world, now, link };
}

/** The same ground, whose turn at "left" is had only after another command has changed its record. */
function behind(
  { ground, host }: Awaited<ReturnType<typeof begun>>,
  change: (record: VnodeRecord) => VnodeRecord,
): Ground {
  const lock: typeof host.lock = async (path, options) => {
    if (path === turnLockPath("left")) await amendRecord(host, (await readRecord(host, "left"))!, change);
    return await host.lock(path, options);
  };
  return { ...ground, host: { ...host, lock } };
}

/** As an \`up\` of another spec would do it. */
const spec = (more: object) => (record: VnodeRecord): VnodeRecord => ({
  ...record,
  spec: { ...record.spec, links: record.spec.links.map((link) => ({ ...link, ...more })) },
});

test("setLinkState() takes a link down by the spec that it has when its turn comes", async () => {
  const world = await begun();
  // By then the spec says down itself: nothing is to be live over it.
  const outcomes = await setLinkState(behind(world, spec({ up: false })), "left", "eth1", "down");
  assert.equal(outcomes.map(({ error }) => error), [undefined]);
  assert.is((await world.now()).live, undefined);
  assert.is((await world.link()).up, false);
  assert.equal(
    (await setLinkState(behind(world, spec({ name: "eth9" })), "left", "eth1", "up"))[0]!.changed,
    false,
  );
  const gone = await setLinkState(world.ground, "left", "eth1", "up");
  assert.match(String(gone[0]!.error), 'no link "eth1"; there is eth9');
});

test("shapeLink() puts its keys over what the link does when its turn comes", async () => {
  const world = await begun();
  const rate = { egress: { rateBps: 2_000_000 }, ingress: { rateBps: 2_000_000 } };
  const { outcomes, shapes } = await shapeLink(
    behind(world, spec(rate)),
    "left",
    "eth1",
    ({ now }) => shapesOf(now, ["egress.delay=5ms"]),
  );
  assert.equal(outcomes.map(({ vnode, error }) => [vnode, error]), [["left", undefined], [
    "right",
    undefined,
  ]]);
  const wanted = { egress: { rateBps: 2_000_000, delayUs: 5000 }, ingress: { rateBps: 2_000_000 } };
  const { egress, ingress } = await world.link();
  assert.equal([{ egress, ingress }, shapes], [wanted, wanted]);
  const link = await shapedLink(world.ground, "left", "eth1");
  assert.equal(
    (await readShaping(world.host, "left", link)).map(({ way, live, kernel }) => [way, live, kernel]),
    [
      ["egress", wanted.egress, "as wanted"],
      ["ingress", null, "as wanted"],
    ],
  );
});

test("what is saved goes through a symbolic link, whose file keeps its mode", async () => {
  const { ground, host, now, link } = await begun();
  host.machine.directories.set("/etc/berth/vnodes.d", 0o755);
  host.machine.files.set("/srv/a.yaml", { text: TEXT, mode: 0o640 });
  host.machine.symlinks.set(PATH, "/srv/a.yaml");
  const { shapes } = await shapeLink(
    ground,
    "left",
    "eth1",
    ({ now }) => shapesOf(now, ["egress.rate=2mbit"]),
  );
  const saving = await planSaving(host, "/etc/berth", await now(), "eth1", shapes);
  assert.ok(saving.changed);
  await saveShape(host, await now(), "eth1", shapes, saving);
  assert.equal(host.machine.files.get("/srv/a.yaml"), { text: saving.text, mode: 0o640 });
  assert.equal([(await now()).live, (await link()).egress], [undefined, { rateBps: 2_000_000 }]);
});

test.run();
