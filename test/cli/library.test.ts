// mod.ts, the library's face: importing it has no effects, and five lines make a program.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, run } from "./_berth.ts";

const MOD = join(ROOT, "mod.ts");

test("importing it needs no permission, says nothing, and keeps nothing running", async () => {
  // No --allow-… but reading the sources: opening, running or connecting to anything would throw.
  const argv = [
    process.execPath,
    "run",
    "--no-check",
    "--no-prompt",
    `--allow-read=${ROOT}`,
    "--allow-env",
    "-",
  ];
  const ran = await run(argv, {
    input: `import * as berth from "${MOD}"; console.log(typeof berth.createHost);`,
  });
  assert.is(ran.stderr, "");
  assert.is(ran.stdout, "function\n");
  assert.is(ran.exit, 0);
});

test("importing it loads neither undici, zx nor a schema", async () => {
  const ran = await run([process.execPath, "info", "--json", MOD]);
  const modules: {
    specifier: string;
    dependencies?: { isDynamic?: boolean; code?: { specifier: string } }[];
  }[] = JSON.parse(ran.stdout).modules;
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set<string>();
  const visit = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    for (const { isDynamic, code } of byName.get(specifier)?.dependencies ?? []) {
      if (!isDynamic && code !== undefined) visit(code.specifier);
    }
  };
  visit(`file://${MOD}`);
  assert.ok(loaded.size > 10, `only ${loaded.size} modules seen`);
  const heavy = [...loaded].filter((name) => /node_modules|^npm:/.test(name));
  assert.equal(heavy, []);
});

test("a program of five lines ensures a resource", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-library-"));
  try {
    const input = `import { createEnsure, createHost, textFile } from "${MOD}";
const host = createHost();
const { ensure } = createEnsure({ host, mode: "apply", journal: null });
const { changed } = await ensure(textFile("${directory}/motd", "Moored\\n"));
console.log(changed, (await ensure(textFile("${directory}/motd", "Moored\\n"))).changed);`;
    const ran = await run([process.execPath, "run", "-A", "--no-check", "-"], { input });
    assert.is(ran.stderr, "");
    assert.is(ran.stdout, "true false\n");
    assert.is(readFileSync(`${directory}/motd`, "utf8"), "Moored\n");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
