// What stands in for a faulty host.yaml: the last good one, else defaults, and in both cases all that is wrong with it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { keepGood, LAST_GOOD, loadSomeHost } from "../../lib/config/last_good.ts";
import { createFakeHost } from "../fake/host.ts";

const FAULTY = "bogus: 1\nwatch: {resync: soon}\n";
const GOOD = "engine: {socket: /run/other.sock}\n";

async function hostWith(text: string | null) {
  const host = createFakeHost();
  await host.makeDirectory("/etc/berth");
  if (text !== null) await host.writeText("/etc/berth/host.yaml", text);
  return host;
}

test("a faulty file is stood in for by the last good one, and all its problems are told", async () => {
  const host = await hostWith(GOOD);
  const { text } = await loadSomeHost({ look: host });
  await host.writeText("/etc/berth/host.yaml", FAULTY); // while the host is prepared
  await keepGood(host, "/etc/berth", text);
  assert.is(await host.readText(LAST_GOOD), GOOD, "what was read well, whatever stands there by now");
  assert.is((await host.stat(LAST_GOOD))!.mode & 0o777, 0o600);
  const { config, from, fault, look, text: none } = await loadSomeHost({ look: host });
  assert.is(from, "last good");
  assert.is(none, null, "what is faulty is not kept");
  await keepGood(host, "/etc/berth", none);
  assert.is(await host.readText(LAST_GOOD), GOOD);
  assert.is(config.host.engine.socket, "/run/other.sock");
  assert.equal(fault!.issues.map(({ place }) => place).sort(), [
    "/etc/berth/host.yaml:1",
    "/etc/berth/host.yaml:2",
  ]);
  assert.is(await look.readText("/etc/berth/host.yaml"), GOOD);
  await host.remove("/etc/berth/host.yaml");
  await host.writeText("/etc/berth/host.json", "{");
  assert.is((await loadSomeHost({ look: host })).config.host.engine.socket, "/run/other.sock");
});

test("where no good one is kept, or it is not good to this berth, defaults do, told as such", async () => {
  const host = await hostWith(FAULTY);
  assert.is((await loadSomeHost({ look: host })).from, "defaults");
  await host.makeDirectory("/var/lib/berth");
  await host.writeText(LAST_GOOD, "of: another berth\n");
  const { config, from, fault } = await loadSomeHost({ look: host });
  assert.is(from, "defaults");
  assert.is(config.host.engine.socket, "/var/run/docker.sock");
  assert.is(fault!.issues.length, 2);
});

test("no file is a good one, too, and another directory's is neither kept nor taken", async () => {
  const host = await hostWith(null);
  await keepGood(host, "/etc/berth", (await loadSomeHost({ look: host })).text);
  assert.is(await host.readText(LAST_GOOD), "");
  await host.writeText("/etc/berth/host.yaml", FAULTY);
  assert.is((await loadSomeHost({ look: host })).from, "last good");
  await host.makeDirectory("/tmp/other");
  await host.writeText("/tmp/other/host.yaml", GOOD);
  await keepGood(host, "/tmp/other", (await loadSomeHost({ look: host, directory: "/tmp/other" })).text);
  assert.is(await host.readText(LAST_GOOD), "");
  await host.writeText("/tmp/other/host.yaml", FAULTY);
  assert.is((await loadSomeHost({ look: host, directory: "/tmp/other" })).from, "defaults");
});

test.run();
