// The table of commands agrees with the files in tasks/, and every task in it is whole.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groups, tree } from "#tasks";
import { schemaOptions } from "../../lib/cli/option.ts";
import { childrenOf, findCommand, splitWords } from "../../lib/cli/tree.ts";
import { commandPath, declaredIn, renderTree } from "../../tasks/dev/tree.ts";
import { ROOT } from "./_berth.ts";

test("tasks/_tree.ts is what `deno task tree` makes", () => {
  const committed = readFileSync(join(ROOT, "tasks/_tree.ts"), "utf8");
  assert.is(committed, renderTree(), "tasks/_tree.ts is stale: deno task tree");
});

test("every task loads, and says what the tree says of it", async () => {
  for (const [path, entry] of Object.entries(tree)) {
    const { default: declared } = await entry.load();
    assert.is(declared.summary, entry.summary, path);
    assert.is(declared.hidden ?? false, entry.hidden ?? false, path);
    assert.not.match(declared.summary, /\.$/, `${path}: a summary has no full stop`);
    for (const option of schemaOptions(declared.options)) {
      assert.ok(option.help !== "", `${path}: option "${option.flag}" has no description`);
      assert.match(option.flag, /^[a-z][a-z0-9-]*$/, path);
    }
  }
});

test("commandPath() turns files into words", () => {
  assert.is(commandPath("host/daemon_json.ts"), "host daemon-json");
  assert.is(commandPath("version.ts"), "version");
});

test("declaredIn() reads a summary with quotes and escapes", () => {
  const text = 'export default task({\n  summary: "Say \\"no\\"",\n  hidden: true,\n});';
  assert.equal(declaredIn(text), { summary: 'Say "no"', hidden: true });
});

const load = () => Promise.reject(new Error("not to be loaded"));
const small = {
  "host up": { summary: "a", load },
  "host control-net": { summary: "b", load },
  "version": { summary: "c", load },
  "secret": { summary: "d", hidden: true, load },
};

test("findCommand() finds tasks, groups, and the word that is neither", () => {
  assert.is(findCommand(small, ["host", "up", "x"]).kind, "task");
  assert.equal(findCommand(small, ["host"]), { kind: "group", path: "host", words: 1 });
  assert.equal(findCommand(small, []), { kind: "group", path: "", words: 0 });
  assert.equal(findCommand(small, ["host", "upp"]), { kind: "unknown", path: "host", word: "upp" });
  for (const word of ["constructor", "__proto__", "toString", "hos"]) {
    assert.is(findCommand(small, [word]).kind, "unknown", word);
  }
});

test("splitWords() lets options stand before and between the words", () => {
  const split = (text: string) => splitWords(text.split(" "), small);
  assert.equal(split("--json host --config /x up a -v"), {
    words: ["host", "up"],
    rest: ["--json", "--config", "/x", "a", "-v"],
  });
  assert.equal(split("version -- host"), { words: ["version"], rest: ["--", "host"] });
});

test("childrenOf() leaves hidden tasks out", () => {
  assert.equal(childrenOf(small, ""), ["host", "version"]);
  assert.equal(childrenOf(small, "host"), ["control-net", "up"]);
});

test("every group has a summary and at least one task", () => {
  for (const path of Object.keys(tree).filter((path) => path.includes(" "))) {
    assert.ok(groups[path.split(" ")[0]!], path);
  }
});

test.run();
