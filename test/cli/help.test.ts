// Help of the root, of every group and of every task, as golden files.
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groups, tree } from "#tasks";
import { VERSION } from "../../lib/cli/version.ts";
import { BERTH, berth, golden, inParallel, ROOT, run } from "./_berth.ts";

const used = Object.keys(groups).filter((group) =>
  Object.keys(tree).some((path) => path.startsWith(`${group} `))
);

test("help of the root, the groups and the tasks stands as reviewed", async () => {
  await inParallel(["", ...used, ...Object.keys(tree)], async (path) => {
    const ran = await berth([...path.split(" ").filter((word) => word !== ""), "--help"]);
    assert.is(ran.exit, 0, `${path}: ${ran.stderr}`);
    assert.is(ran.stderr, "");
    for (const line of ran.stdout.split("\n")) assert.ok(line.length <= 120, `${path}: too long: ${line}`);
    golden(`help/${path === "" ? "berth" : path.replaceAll(" ", "_")}`, ran.stdout);
  });
});

test("no command at all shows the help on stderr and is a usage error", async () => {
  const ran = await berth([]);
  assert.is(ran.exit, 64);
  assert.is(ran.stdout, "");
  assert.match(ran.stderr, /Usage: berth COMMAND/);
});

test("berth help COMMAND is berth COMMAND --help", async () => {
  const [one, other] = await Promise.all([berth(["help", "version"]), berth(["version", "-h"])]);
  assert.is(one.stdout, other.stdout);
  assert.is(one.exit, 0);
});

test("the version is package.json's, by option and by command, as text and as JSON", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.is(VERSION, version);
  const [text, option, json] = await Promise.all([
    berth(["version"]),
    berth(["--version"]),
    berth(["version", "--json"]),
  ]);
  assert.is(text.stdout, `berth ${version}\n`);
  assert.is(option.stdout, text.stdout);
  assert.is(JSON.parse(json.stdout).version, version);
});

test("a full pipe that is read late gets all of it, and a reader that goes is no fault", async () => {
  const line = `${BERTH.map((word) => `'${word}'`).join(" ")} schema`;
  const late = await run(["bash", "-c", `set -o pipefail; ${line} | { read -rn1 _; wc -c; }`]);
  assert.is(late.exit, 0, late.stderr);
  assert.is(Number(late.stdout) + 1, Buffer.byteLength((await berth(["schema"])).stdout));
  const gone = await run(["bash", "-c", `${line} | true; echo \${PIPESTATUS[0]}`]);
  assert.is(gone.stderr, "");
  assert.is(gone.stdout, "0\n");
});

test.run();
