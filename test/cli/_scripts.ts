// What `berth run` promises, told once; run from source (test/cli) and by the executable (test/smoke).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { run, type RunOptions } from "./_berth.ts";

const HI = `import { $ as dollar, sleep as nap } from "zx";
import { VERSION, BerthError, type Change } from "berth";
import { twice } from "./lib/twice.ts";
interface Box { value: number }
const box: Box = { value: twice(2) };
const out = await $\`echo \${"it's $HOME;"} \${args}\`;
console.log(JSON.stringify([out.stdout.trim(), typeof VERSION, box.value, dollar === $, nap === sleep, import.meta.main, import.meta.url]));
if (args[0] === "fail") {
  await $\`exit 7\`;
}
if (args[0] === "throw") throw new Error("Bad thing");
if (args[0] === "exit") process.exit(9);
if (args[0] === "code") process.exitCode = 6;
if (args[0] === "stray") Promise.reject(new Error("Stray thing"));
if (args[0] === "berth") throw new BerthError({ code: "missing", object: "disk sda", message: "No disk", next: "Buy one" });
if (args[0] === "module") twice("no" as never);
export type Unused = Change;
`;
const TWICE = `import { os } from "zx";
export function twice(n: number): number {
  if (typeof n !== "number") throw new TypeError(\`Not a number (\${typeof os})\`);
  return 2 * n;
}
`;

/** Exit code, and what stderr must tell, of each end of the script. */
const ENDS: readonly (readonly [arg: string, exit: number, ...told: string[]])[] = [
  ["fail", 7, "A command ended with exit 7", "tasks/hi.ts:9"],
  ["throw", 1, "Bad thing", "tasks/hi.ts:11"],
  ["exit", 9],
  ["code", 6],
  ["stray", 1, "Stray thing", "tasks/hi.ts:14"],
  ["berth", 4, "disk sda: No disk", "tasks/hi.ts:15", "Buy one"],
  ["module", 1, "Not a number", "tasks/lib/twice.ts:3"],
];

/** Adds the stories to a suite; `berth` is what stands before a command line. */
export function scriptStories(test: Test, berth: () => Promise<readonly string[]>): void {
  const directory = mkdtempSync(join(tmpdir(), "berth-scripts-"));
  const scratch = join(directory, "tmp");
  const etc = join(directory, "etc");
  test.before(() => {
    for (const path of ["tmp", "etc/tasks/lib", "elsewhere/node_modules/pack"]) {
      mkdirSync(join(directory, path), { recursive: true });
    }
    writeFileSync(join(etc, "tasks/hi.ts"), HI);
    writeFileSync(join(etc, "tasks/lib/twice.ts"), TWICE);
    writeFileSync(
      join(directory, "elsewhere/node_modules/pack/package.json"),
      '{"name":"pack","main":"main.cjs"}',
    );
    writeFileSync(join(directory, "elsewhere/node_modules/pack/main.cjs"), "module.exports = { packed: 5 };");
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  const start = async (argv: readonly string[], options: RunOptions = {}) => {
    const env = { TMPDIR: scratch, ...options.env };
    const ran = await run([...await berth(), ...argv], { cwd: directory, ...options, env });
    assert.equal(
      readdirSync(scratch).filter((name) => name.startsWith("berth-run")),
      [],
      "a copy was left behind",
    );
    return ran;
  };
  const piped = (text: string, argv: readonly string[] = []) => start([...argv, "run", "-"], { input: text });

  test("a script by name has $, args, zx, berth and modules of its own", async () => {
    const ran = await start(["--config", etc, "run", "hi", "a b", "--json"]);
    assert.is(ran.stderr, "");
    assert.equal(JSON.parse(ran.stdout), [
      "it's $HOME; a b --json",
      "string",
      4,
      true,
      true,
      true,
      `file://${etc}/tasks/hi.ts`,
    ]);
    assert.is(ran.exit, 0);
  });

  for (const [arg, exit, ...told] of ENDS) {
    test(`a script that ends by "${arg}" ends berth with ${exit}, and its line is named`, async () => {
      const ran = await start(["--config", etc, "run", "hi", arg]);
      assert.is(ran.exit, exit, ran.stderr);
      for (const text of told) assert.match(ran.stderr, text);
      assert.not.match(ran.stderr, "berth-run-");
      if (told.length === 0) assert.is(ran.stderr, "");
    });
  }

  test("a script on standard input passes its exit code on and names its line", async () => {
    const ran = await piped("const code: number = 3;\n\nawait $`exit ${code}`;\n");
    assert.is(ran.exit, 3);
    assert.match(ran.stderr, "standard input:3");
  });

  test("a script that cannot be parsed names its line", async () => {
    const ran = await piped("const one = 1;\nconst two: number = ;\nconsole.log(one + two);\n");
    assert.is(ran.exit, 1);
    assert.match(ran.stderr, "standard input:2");
  });

  test("a package that is nowhere is told with the line of its import, not looked for elsewhere", async () => {
    mkdirSync(join(scratch, "node_modules/evil"), { recursive: true });
    writeFileSync(join(scratch, "node_modules/evil/index.js"), "process.stdout.write('evil ran')");
    const ran = await piped('const x = 1;\nimport evil from "evil";\nconsole.log(evil, x);');
    assert.is(ran.exit, 4);
    assert.is(ran.stdout, "");
    assert.match(ran.stderr, 'Cannot find the package "evil"');
    assert.match(ran.stderr, "standard input:2");
    rmSync(join(scratch, "node_modules"), { recursive: true });
  });

  test("a package beside a script is found, and node's modules with and without prefix", async () => {
    const text = `import pack from "pack"; import { sep } from "path"; import { EOL } from "node:os";
      const again = await import("pack"); console.log(pack.packed, again.default.packed, sep, EOL.length);`;
    writeFileSync(join(directory, "elsewhere/use.mjs"), text);
    const ran = await start(["run", "elsewhere/use.mjs"]);
    assert.is(ran.stderr, "");
    assert.is(ran.stdout, "5 5 / 1\n");
  });

  test("plan mode runs what only looks, and tells of all else", async () => {
    const file = join(directory, "made");
    const ran = await piped(
      `const links = JSON.parse((await $\`ip -j link show \${"lo"}\`).stdout);
console.log(links[0].ifname, $.sync\`ip -j link show lo\`.stdout.length > 10);
await $\`touch \${${JSON.stringify(file)}}\`;
await $\`ip -br link; touch ${file}\`;
await $\`ip link show \$(touch ${file})\`;
await $\`ip link show > ${file}\`;
await $({ nothrow: true })\`false\`;
const got = await docker.startContainer("x");
console.log(typeof got);`,
      ["--dry-run"],
    );
    assert.is(ran.stderr, "");
    assert.equal(ran.stdout.replaceAll(file, "FILE").split("\n"), [
      "lo true",
      "would run: touch FILE",
      "would run: ip -br link; touch FILE",
      "would run: ip link show $(touch FILE)",
      "would run: ip link show > FILE",
      "would run: false",
      'would call: docker.startContainer("x")',
      "undefined",
      "",
    ]);
    assert.not.ok(existsSync(file));
    assert.is(ran.exit, 0);
  });

  test("ensure plans in plan mode and makes otherwise", async () => {
    const file = join(directory, "ensured");
    const text = `import { directory } from "berth"; await ensure(directory(${JSON.stringify(file)}));`;
    const planned = await piped(text, ["--dry-run", "--quiet"]);
    assert.is(planned.exit, 0, planned.stderr);
    assert.not.ok(existsSync(file));
  });

  test("docker without an engine fails with its own exit code, at the script's line", async () => {
    mkdirSync(join(directory, "none"), { recursive: true });
    writeFileSync(join(directory, "none/host.yaml"), `engine: { socket: ${directory}/no.sock }\n`);
    const ran = await piped("\nawait docker.listContainers();", ["--config", join(directory, "none")]);
    assert.is(ran.exit, 8, ran.stderr);
    assert.match(ran.stderr, "no.sock");
  });

  for (const [signal, exit] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
    test(`${signal} ends a script that waits, with ${exit}, and says so`, async () => {
      const ran = await start(["run", "-"], {
        input: 'console.log("waiting"); setInterval(() => {}, 1000); await sleep(100_000);',
        when: ["waiting", (kill) => kill(signal)],
      });
      assert.is(ran.exit, exit, ran.stderr);
      assert.match(ran.stderr, `Stopped by ${signal}`);
    });
  }

  test("a large output of a script is not cut", async () => {
    const ran = await piped('process.stdout.write("x".repeat(3_000_000)); process.exitCode = 4;');
    assert.is(ran.stdout.length, 3_000_000);
    assert.is(ran.exit, 4);
  });

  test("variables that would change zx or the runtime are gone", async () => {
    const ran = await start(["run", "-"], {
      input: 'console.log((await $`env`).stdout.match(/^(ZX_|NODE_OPTIONS).*/m)?.[0] ?? "none")',
      env: { ZX_PREFIX: "echo evil;", ZX_VERBOSE: "true", ZX_SHELL: "/bin/false" },
    });
    assert.is(ran.stderr, "");
    assert.is(ran.stdout, "none\n");
  });
}
