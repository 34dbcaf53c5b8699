// Live values over a spec: what is wired, what outlives another spec, and whose frames leave one by one.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { VnodeSpec } from "../../lib/config/types.ts";
import { droppedLive, effectiveSpec, keptLive, segmentChanges, withLive } from "../../lib/vnode/live.ts";
import type { Live, VnodeRecord } from "../../lib/vnode/record.ts";

function specs(left = "rate: 10mbit", right = "rate: 1mbit"): readonly VnodeSpec[] {
  const text = `lans: { wire: {}, other: {} }
vnodes:
  left: { image: box, links: [{ lan: wire, ${left} }, { lan: other }] }
  right: { image: box, links: [{ lan: wire, ${right} }] }
`;
  return parseConfig([{ path: "/etc/berth/vnodes.d/pair.yaml", text }]).vnodes;
}

const recordOf = (spec: VnodeSpec, live?: Live) =>
  ({ name: spec.name, spec, ...(live && { live }) }) as VnodeRecord;
const DELAY = { delayUs: 5000 };

test("effectiveSpec() puts live values over the spec's, and is the spec itself where there are none", () => {
  const [spec] = specs();
  assert.is(effectiveSpec({ spec: spec! }), spec);
  const [eth1, eth2] = effectiveSpec(
    { spec: spec!, live: { eth1: { egress: DELAY, oneSegment: true, up: false }, gone: { up: false } } },
  ).links;
  assert.equal(eth1!.egress, DELAY);
  assert.equal(eth1!.ingress, { rateBps: 10_000_000 });
  assert.is(eth1!.oneSegment, true);
  assert.is(eth1!.up, false);
  assert.equal(eth2, spec!.links[1]);
  assert.equal(effectiveSpec({ spec: spec!, live: { eth1: { up: true, flap: null } } }).links, spec!.links);
});

test("withLive() sets and takes back single values; a record without any has none", () => {
  const record = recordOf(specs()[0]!);
  const live = withLive(withLive(record, "eth1", { egress: DELAY }), "eth2", { oneSegment: true });
  assert.equal(live.live, { eth1: { egress: DELAY }, eth2: { oneSegment: true } });
  const back = withLive(withLive(live, "eth1", { egress: undefined }), "eth2", { oneSegment: undefined });
  assert.equal(back, record);
  assert.not.ok("live" in back);
});

test("a live value outlives a spec that says as before, and gives way to one that says something else", () => {
  const [before] = specs();
  const live = { eth1: { egress: DELAY, ingress: { rateBps: 9000 } }, eth2: { up: false } };
  const record = recordOf(before!, live);
  assert.equal(keptLive(record, before!), live);
  assert.equal(droppedLive(record, before!), []);
  const [after] = specs("rate: 10mbit, egress: { rate: 2mbit }");
  assert.equal(keptLive(record, after!), { eth1: { ingress: { rateBps: 9000 } }, eth2: { up: false } });
  assert.equal(droppedLive(record, after!), ["egress of eth1"]);
  const [none] = specs("name: eth7");
  assert.equal(keptLive(record, { ...none!, links: [none!.links[0]!] }), undefined);
  assert.is(keptLive(null, before!), undefined);
});

test("segmentChanges() limits all links of a lan while any of them counts packets, and no others", () => {
  const [left, right] = specs();
  const lans = new Set(["wire"]);
  const told = (records: readonly VnodeRecord[]) =>
    segmentChanges(records, lans).map(({ record, links, oneSegment }) => [record.name, links, oneSegment]);
  assert.equal(told([recordOf(left!), recordOf(right!)]), []);
  const shaped = recordOf(left!, { eth1: { egress: DELAY } });
  assert.equal(told([shaped, recordOf(right!)]), [["left", ["eth1"], true], ["right", ["eth1"], true]]);
  const marked = [
    recordOf(left!, { eth1: { egress: DELAY, oneSegment: true } }),
    recordOf(right!, { eth1: { oneSegment: true } }),
  ];
  assert.equal(told(marked), []);
  const reset = [recordOf(left!, { eth1: { oneSegment: true } }), marked[1]!];
  assert.equal(told(reset), [["left", ["eth1"], false], ["right", ["eth1"], false]]);
  // Where the specs themselves say so, nothing is live about it.
  const [one, other] = specs("delay: 1ms");
  assert.equal(told([recordOf(one!), recordOf(other!)]), []);
});

test.run();
