// What a reboot takes away of berth's directories is put back, and told as that.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { storageResources } from "../../tasks/host/storage.ts";
import { createFakeHost } from "../fake/host.ts";

test("storageResources() restores /run/berth after a reboot and changes nothing else", async () => {
  const machine = createFakeHost();
  const prepare = async () => {
    const host = { ...machine }; // another process: what the last one knew of its boot is forgotten
    const done = await createEnsure({ host, mode: "apply", journal: createJournal(host) })
      .ensureAll(storageResources());
    return done.flatMap(({ changes }) => changes.map((change) => `${change.verb} ${change.resource}`));
  };
  await machine.remove("/run/berth");
  assert.ok((await prepare()).includes("create directory /run/berth"));
  machine.reboot();
  await machine.remove("/run/berth");
  assert.equal(await prepare(), ["restore directory /run/berth"]);
  assert.equal(await prepare(), []);
});

test.run();
