// deadline: 120s
// The law of Look where nothing can be written: every allowed query runs with every mount read-only, and the kernel's
// own state is the same after it.
import { writeFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../skip.ts";
import { isApart, runApart } from "./apart.ts";
import { dump, runAll } from "./_look_world.ts";

test("all allowed queries run where everything is mounted read-only", async () => {
  for (const path of ["/tmp/x", "/run/x", "/etc/x", "/var/cache/x", "/proc/sys/net/ipv4/ip_forward"]) {
    assert.throws(() => writeFileSync(path, ""), /read-only/i, path);
  }
  const before = dump();
  await runAll();
  assert.is(dump(), before);
});

const why = isApart() ? null : runApart(new URL(import.meta.url).pathname, { readOnly: true });
if (why !== null) skip(test, "the law of Look, read-only", why);
if (isApart() || why !== null) test.run();
