// A device is looked at only where it is one. What blank, held and written disks look like is shown in a machine:
// test/vm/storage.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createLook } from "../../lib/host/look.ts";

const look = createLook({ runner: "lean" });

test("device() is null where there is no block device", async () => {
  for (const path of ["/dev/null", "/dev", "/etc/hostname", "/nonexistent", "/etc/hostname/below"]) {
    assert.is(await look.device(path, 2 ** 30), null, path);
  }
});

test.run();
