// deadline: 120s
// The law of Look: nothing it accepts changes anything, with dumps compared (and with everything mounted read-only:
// look_readonly.test.ts); everything else is refused before it starts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LOOK_PROGRAMS } from "../../lib/host/allow.ts";
import { findProgram } from "../../lib/host/command.ts";
import { skip } from "../skip.ts";
import { isApart, privateDirectories, runApart, sh } from "./apart.ts";
import { dump, look, runAll } from "./_look_world.ts";
import { ALLOWED, FORBIDDEN } from "./_queries.ts";

function declare(): void {
  privateDirectories("/tmp", "/run");
  sh("ip", "link", "set", "lo", "up");
  sh("ip", "link", "add", "name", "left", "type", "veth", "peer", "name", "right");

  test("every program of the allow-list is in the list of queries", () => {
    assert.equal([...new Set(ALLOWED.map(({ argv }) => argv[0]!))].sort(), LOOK_PROGRAMS);
  });

  test("query() accepts every allowed form", async () => {
    const refused: string[] = [];
    for (const command of ALLOWED) {
      // A program that is not here is missing, not refused.
      const error = await look.query(command).then(() => null, (error) => error);
      if (error?.code === "look-refused") refused.push(error.message);
    }
    assert.equal(refused, []);
  });

  test("no allowed query changes files, links, routes, qdiscs or kernel parameters", async () => {
    const before = dump();
    await runAll();
    assert.is(dump(), before);
  });

  test("query() refuses everything else before it starts", async () => {
    assert.ok(FORBIDDEN.length >= 60);
    const before = dump();
    const let_: string[] = [];
    for (const command of FORBIDDEN) {
      const error = await look.query(command).then(() => null, (error) => error);
      if (error?.code !== "look-refused") let_.push(`${JSON.stringify(command)}: ${error ?? "ran"}`);
    }
    assert.equal(let_, []);
    assert.is(dump(), before);
  });

  const missing = LOOK_PROGRAMS.filter((name) => findProgram(name) === null);
  if (missing.length > 0) {
    skip(test, `queries of ${missing.join(", ")} are run`, "these programs are not on this machine");
  }
}

const why = isApart() ? null : runApart(new URL(import.meta.url).pathname);
if (isApart()) declare();
else if (why !== null) skip(test, "the law of Look", why);
if (isApart() || why !== null) test.run();
