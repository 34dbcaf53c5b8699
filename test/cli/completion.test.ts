// Completion, asked as bash asks: by sourcing the script that berth prints and calling its function.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../skip.ts";
import { BERTH, berth, inParallel, run } from "./_berth.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-completion-"));
test.before(() => {
  mkdirSync(join(directory, "etc/tasks"), { recursive: true });
  mkdirSync(join(directory, "etc/vnodes.d"), { recursive: true });
  for (const file of ["fix-mtu.ts", "fix-dns.js", "notes.txt"]) {
    writeFileSync(join(directory, "etc/tasks", file), "");
  }
  const vnode = (name: string, last: number) =>
    `name: ${name}\nimage: "debian:12"\ncontrol: { address: 172.16.0.${last} }\n`;
  writeFileSync(join(directory, "etc/vnodes.d/left.yaml"), vnode("left", 10));
  writeFileSync(join(directory, "etc/vnodes.d/right.yaml"), vnode("right", 11));
  writeFileSync(join(directory, "a file.ts"), "");
  // The script calls the berth of the line: here one on PATH that runs this source.
  const line = BERTH.map((word) => `'${word}'`).join(" ");
  writeFileSync(join(directory, "berth"), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
});
test.after(() => rmSync(directory, { recursive: true, force: true }));

/** What bash would offer for a line; the cursor is at its end. bash itself splits at "=" too. */
async function offered(line: string): Promise<readonly string[]> {
  const words = line.split(" ").flatMap((word) =>
    word.split(/(=)/).filter((part, at) => part !== "" || at === 0)
  );
  const script = `source <(berth completion bash)
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _berth; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const path = `${directory}:${process.env.PATH}`;
  const ran = await run(["bash", "-c", script], { env: { PATH: path }, cwd: directory });
  assert.is(ran.stderr, "", line);
  return ran.stdout.split("\n").filter((word) => word !== "");
}

const CASES: Readonly<Record<string, readonly string[]>> = {
  "berth ver": ["verify", "version"],
  "berth vnode li": ["link", "list"],
  "berth version --js": ["--json"],
  "berth version --dry": [],
  "berth completion ": ["bash", "zsh"],
  "berth completion z": ["zsh"],
  "berth completion bash ": [],
  "berth --config=etc run fix": ["fix-dns", "fix-mtu"],
  "berth run --config etc fix-m": ["fix-mtu"],
  "berth run a": ["a file.ts"],
  "berth run fix-mtu --js": [],
  "berth run --config e": ["etc"],
  "berth vnode show --config etc le": ["left"],
  "berth vnode show --config etc ": ["left", "right"],
  "berth nothing here": [],
  "berth version -- --js": [],
};

test("bash offers commands, options, values, scripts, vnodes and files", async () => {
  await inParallel(Object.entries(CASES), async ([line, wanted]) => {
    assert.equal(await offered(line), wanted, line);
  });
});

test("completion is registered, and says nothing when berth is not there", async () => {
  const printed = (await berth(["completion", "bash"])).stdout;
  const ran = await run([
    "bash",
    "-c",
    `${printed}\ncomplete -p berth; COMP_WORDS=(/no/berth x); COMP_CWORD=1; _berth`,
  ]);
  assert.is(ran.stdout, "complete -F _berth berth\n");
  assert.is(ran.stderr, "");
});

test("__complete tells what each candidate is, and never fails", async () => {
  const ran = await berth(["__complete", "--", "vers"]);
  assert.is(ran.stdout, "version\tPrint the version\n");
  assert.is((await berth(["__complete"])).exit, 0);
});

const zsh = spawnSync("zsh", ["--version"]).status === 0;
if (zsh) {
  test("zsh accepts the script and offers a command", () => {
    const script = `autoload -Uz compinit; compinit -D; source <(${directory}/berth completion zsh)
      _describe() { print -l -- "\${(@P)2}" }; words=(${directory}/berth vers); CURRENT=2; _berth`;
    const said = execFileSync("zsh", ["-fc", script], { encoding: "utf8" });
    assert.is(said, "version:Print the version\n");
  });
} else skip(test, "zsh accepts the script and offers a command", "zsh is not installed");

test.run();
