// Links without carrier, by the spec and by the clock: the state is a matter of the time alone, and the watch looks when
// it changes, not before, whatever it is told meanwhile.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Flap, LinkSpec } from "../../lib/config/types.ts";
import { flappedSpec, linkUpAt, nextFlapMs } from "../../lib/vnode/flap.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { effectiveSpec, liveSpec } from "../../lib/vnode/live.ts";
import { bridgeName, hostEndName, lanAlias } from "../../lib/vnode/names.ts";
import { wire } from "../../lib/vnode/wire.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";
import { Flaps } from "../../lib/watch/flaps.ts";
import { FakeClock } from "../fake/clock.ts";
import { createFakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";
import { aLink, aVnode } from "./_experiment.ts";

const flap = fc.record<Flap>({
  upMs: fc.integer({ min: 100, max: 86_400_000 }),
  downMs: fc.integer({ min: 100, max: 86_400_000 }),
  offsetMs: fc.integer({ min: 0, max: 86_400_000 }),
});

test("linkUpAt() holds until its next change, then is the other; a period is both together", () => {
  fc.assert(fc.property(flap, fc.integer({ min: 0, max: 2 ** 42 }), (schedule, now) => {
    const { up, nextMs } = linkUpAt(schedule, now);
    const length = up ? schedule.upMs : schedule.downMs;
    assert.ok(nextMs > now && nextMs <= now + length, `${now} ${nextMs}`);
    assert.is(linkUpAt(schedule, nextMs - 1).up, up);
    assert.is(linkUpAt(schedule, nextMs).up, !up);
    assert.is(linkUpAt(schedule, nextMs).nextMs, nextMs + (up ? schedule.downMs : schedule.upMs));
    assert.equal(linkUpAt(schedule, now + schedule.upMs + schedule.downMs).up, up);
  }));
  assert.equal(linkUpAt({ upMs: 10_000, downMs: 2000, offsetMs: 0 }, 0), { up: true, nextMs: 10_000 });
  assert.equal(linkUpAt({ upMs: 10_000, downMs: 2000, offsetMs: 500 }, 499), { up: false, nextMs: 500 });
});

const SCHEDULE: Flap = { upMs: 10_000, downMs: 2000, offsetMs: 0 };
const spec = (one: Partial<LinkSpec>, two: Partial<LinkSpec> = {}) =>
  aVnode("left", [
    aLink("wire", "10.1.0.1/24", { name: "eth1", ...one }),
    aLink("wire", "10.1.0.2/24", { name: "eth2", ...two }),
  ]);

test("a spec at a moment: what flaps is up or down, what is set down stays so, the rest is as it was", () => {
  const flapping = spec({ flap: SCHEDULE });
  assert.is(flappedSpec(flapping, 0).links[0]!.up, undefined);
  assert.is(effectiveSpec({ spec: flapping }, 11_000).links[0]!.up, false);
  assert.equal(liveSpec({ spec: flapping }), flapping);
  assert.is(flappedSpec(spec({}), 11_000).links[0]!.up, undefined);
  assert.is(flappedSpec(spec({ flap: SCHEDULE, up: false }), 0).links[0]!.up, false);
  assert.is(nextFlapMs(spec({}), 0), null);
  assert.is(nextFlapMs(spec({ flap: SCHEDULE, up: false }), 0), null);
  assert.is(nextFlapMs(spec({ flap: SCHEDULE }, { flap: { ...SCHEDULE, offsetMs: 3000 } }), 11_000), 12_000);
});

test("wired without carrier from the start, or later, and up again: its host end alone", async () => {
  const made: { kernel?: FakeKernel } = {};
  const host = createFakeHost({ commands: [(command, machine) => made.kernel!.handle(command, machine)] });
  const kernel = made.kernel = new FakeKernel(host.machine);
  kernel.add(bridgeName("wire"), "bridge", { up: true, ifalias: lanAlias("wire") });
  const begun = spec({ up: false });
  const pid = kernel.start(begun.control.mac, begun.control.address);
  const life = (await lifeOf(host, "0123456789abcdef", pid))!;
  const states = async (wanted: Partial<LinkSpec>) => {
    const { steps } = await wire(host, wiringOf(spec(wanted)), life);
    assert.equal((await wire(host, wiringOf(spec(wanted)), life)).steps, []);
    const ends = ["eth1", "eth2"].map((name) => kernel.links.get(hostEndName("left", name))!);
    return [steps.length, ...ends.map(({ up }) => up), ...ends.map(({ peer }) => peer!.up)];
  };
  assert.equal((await states({ up: false })).slice(1), [false, true, true, true]);
  assert.equal(await states({}), [1, true, true, true, true]);
  assert.equal(await states({ up: false }), [1, false, true, true, true]);
  // IPv6 comes back with an MTU by way of "down": it stays so.
  kernel.links.get(hostEndName("left", "eth1"))!.mtu = 1000;
  assert.equal(await states({ up: false }), [1, false, true, true, true]);
});

test("the watch looks at a vnode when a link of it changes", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const looked: string[] = [];
  const base = clock.unix();
  const at = (offset: number): Partial<LinkSpec> => ({
    flap: { ...SCHEDULE, offsetMs: (base + offset) % 12_000 },
  });
  const flaps = new Flaps(clock, stop.signal, (vnode) => looked.push(`${vnode} ${clock.unix() - base}`));
  flaps.keep("none", spec({}));
  flaps.keep("left", spec(at(0)));
  flaps.keep("right", spec(at(1000), at(4000)));
  for (let step = 0; step < 130; step++) {
    await clock.advance(100);
    // Told again and again what it knows: no look more, none less.
    if (step === 50) flaps.keep("left", spec(at(0)));
  }
  assert.equal(looked, [
    "right 1000",
    "right 2000",
    "right 4000",
    "left 10000",
    "right 11000",
    "left 12000",
    "right 13000",
  ]);
  flaps.keep("right", null);
  flaps.only(new Set());
  flaps.keep("left", spec({}));
  await clock.advance(30_000);
  assert.is(looked.filter((one) => !one.startsWith("left")).length, 5);
  stop.abort();
});

test.run();
