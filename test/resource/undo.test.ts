// What an undo does when one thing cannot be given back: the others are, save those that it stands on.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal, JOURNAL_PATH } from "../../lib/resource/journal.ts";
import { textFile } from "../../lib/resource/kinds/file.ts";
import { createFakeHost } from "../fake/host.ts";

test("what a thing that failed stands on can be left to it, and stays in the journal", async () => {
  const host = createFakeHost();
  const journal = createJournal(host);
  const [volume, other, root] = ["/volume", "/other", "/root"].map((path) => textFile(path, "ours\n"));
  const barred = {
    ...root!,
    revert: () => {
      throw new Error("No room");
    },
  };
  const ensure = createEnsure({ host, mode: "apply", journal });
  await ensure.ensureAll([volume!]);
  await ensure.ensureAll([other!]);
  await ensure.ensureAll([root!]);
  const stands = (id: string, failed: ReadonlySet<string>) => id === volume!.id && failed.has(root!.id);
  const said = await ensure.undo([volume!, other!, barred], stands).then(() => "undone", String);
  assert.match(said, "Cannot give back 1 thing as it was: No room");
  const left = await Promise.all(["/volume", "/other", "/root"].map((path) => host.readText(path)));
  assert.equal(left, ["ours\n", null, "ours\n"]);
  await ensure.undo([volume!, other!, root!], stands);
  assert.is(await host.readText("/volume"), null);
  assert.is((await journal.state()).size, 0);
});

test("what else the journal knows is given back beside a line of it that cannot be read, which is told", async () => {
  const host = createFakeHost();
  const [one, two] = ["/one", "/two"].map((path) => textFile(path, "ours\n"));
  await createEnsure({ host, mode: "apply", journal: createJournal(host) }).ensureAll([one!, two!]);
  const lines = (await host.readText(JOURNAL_PATH))!.split("\n");
  assert.match(lines[0]!, "/one");
  await host.writeText(JOURNAL_PATH, ["{spoilt", ...lines.slice(1)].join("\n"));
  const { unreadable } = await createEnsure({ host, mode: "apply", journal: createJournal(host) })
    .undo([one!, two!]);
  assert.equal(unreadable, [{ line: 1, text: "{spoilt" }]);
  assert.equal(await Promise.all(["/one", "/two"].map((path) => host.readText(path))), ["ours\n", null]);
});

test.run();
