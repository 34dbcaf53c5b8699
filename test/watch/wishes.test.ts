// What a death says of what is wanted, by whose hand it came.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../lib/docker/clock.ts";
import type { EngineEvent } from "../../lib/docker/types.ts";
import { recordPath } from "../../lib/vnode/paths.ts";
import { readRecord } from "../../lib/vnode/record.ts";
import { STOPPED_PATH } from "../../lib/resource/engine_look.ts";
import { Held } from "../../lib/watch/held.ts";
import { Wishes } from "../../lib/watch/wishes.ts";
import { createFakeHost } from "../fake/host.ts";

const log = { debug() {}, info() {}, warn() {}, error() {}, with: () => log };
const id = "a".repeat(64);
const event = (action: string, attributes: Record<string, string> = {}): EngineEvent => ({
  type: "container",
  action,
  detail: "",
  id,
  name: "left",
  attributes: { "berth.vnode": "left", ...attributes },
  timeNano: String(BigInt(Date.now()) * 1_000_000n),
});

/** `how`: the vnode's own end, an end of a forgotten life by berth, or a stop by berth for the engine's sake. */
async function wantedAfter(how: "own" | "forgotten" | "held" | "stopped"): Promise<string> {
  const host = createFakeHost();
  const wanted = { state: "up", by: "test", at: "2026-01-01T00:00:00.000Z" };
  const record = { version: 1, name: "left", containerId: id, spec: {}, lans: [], wanted, hostsPath: "" };
  await host.writeText(recordPath("left"), JSON.stringify(record), { mode: 0o600 });
  const wishes = new Wishes({
    host,
    log,
    clock: systemClock,
    engineTakesCalls: () => Promise.resolve(true),
    engineCrashed: () => Promise.resolve(false),
    held: (vnode) => new Held(host, systemClock).holds(vnode),
  });
  await wishes.take(event("start"), true);
  if (how === "forgotten") wishes.ends(id);
  if (how === "held") await host.writeText(STOPPED_PATH, '{"left":true}\n');
  if (how === "held" || how === "stopped") await wishes.take(event("kill", { signal: "15" }), true);
  await wishes.take(event("die", { exitCode: "137" }), true);
  return (await readRecord(host, "left"))!.wanted.state;
}

test("a death of the vnode's own means halted", async () => {
  assert.is(await wantedAfter("own"), "halted");
});

test("a life that berth ends, since the engine has forgotten it, is wanted as before", async () => {
  assert.is(await wantedAfter("forgotten"), "up");
});

test("a stop that berth makes for the engine's sake changes nothing; another's does", async () => {
  assert.is(await wantedAfter("held"), "up");
  assert.is(await wantedAfter("stopped"), "halted");
});

test.run();
