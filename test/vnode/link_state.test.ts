// The state a link is given live, over whatever its spec says: it is in it then, and "reset" leaves nothing live.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Flap, LinkSpec } from "../../lib/config/types.ts";
import { type LinkState, liveState } from "../../lib/vnode/link_state.ts";
import { effectiveSpec, keptLive, liveSpec, withLive } from "../../lib/vnode/live.ts";
import type { VnodeRecord } from "../../lib/vnode/record.ts";
import { aLink, aVnode } from "./_experiment.ts";

const SLOW: Flap = { upMs: 10_000, downMs: 2000, offsetMs: 0 };
const FAST: Flap = { upMs: 1000, downMs: 1000, offsetMs: 0 };
/** Unix time at which both schedules are down, and at which both are up. */
const [DOWN, UP] = [11_500, 500];

const recordOf = (more: Partial<LinkSpec>): VnodeRecord => ({
  version: 1,
  name: "left",
  containerId: "0".repeat(64),
  spec: aVnode("left", [aLink("wire", "10.1.0.1/24", { name: "eth1", ...more })]),
  lans: [],
  wanted: { state: "up", by: "test", at: "" },
  hostsPath: "",
});
const upAt = (record: VnodeRecord, at: number) => effectiveSpec(record, at).links[0]!.up !== false;

test("whatever a spec says and whatever was live before, a link is as it was told last", () => {
  const specs: Partial<LinkSpec>[] = [{}, { up: false }, { flap: SLOW }, { flap: SLOW, up: false }];
  const states: LinkState[] = ["up", "down", FAST, SLOW, "reset"];
  for (const spec of specs) {
    const plain = recordOf(spec);
    const link = plain.spec.links[0]!;
    for (const first of states) {
      for (const then of states) {
        const record = withLive(
          withLive(plain, "eth1", liveState(link, first)),
          "eth1",
          liveState(link, then),
        );
        const said = JSON.stringify([spec, first, then]);
        const seen = [upAt(record, UP), upAt(record, DOWN)];
        if (then === "up") assert.equal(seen, [true, true], said);
        if (then === "down") assert.equal(seen, [false, false], said);
        if (typeof then === "object") {
          assert.equal(seen, [true, false], said);
          assert.equal(liveSpec(record).links[0]!.flap, then, said);
        }
        if (then === "reset") assert.equal(record, plain, said);
      }
    }
  }
});

test("a live state goes when the spec itself says another, and stays with any other change", () => {
  const record = recordOf({});
  const down = withLive(record, "eth1", liveState(record.spec.links[0]!, "down"));
  const spec = (more: Partial<LinkSpec>) => recordOf(more).spec;
  assert.equal(keptLive(down, spec({ mtu: 1400 })), { eth1: { up: false } });
  assert.is(keptLive(down, spec({ up: false })), undefined);
  assert.is(keptLive(down, { ...record.spec, links: [] }), undefined);
});

test.run();
