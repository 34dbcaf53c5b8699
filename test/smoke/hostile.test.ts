// berth runs as root in whatever directory an operator stands in. Nothing that lies there may be loaded: a
// stranger's bunfig.toml once ran TypeScript as root. The environment is another matter: Bun obeys BUN_OPTIONS,
// BUN_BE_BUN and BUN_INSPECT before any line of ours runs, so whoever starts berth by itself clears it.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gateScript } from "../../lib/gate/script.ts";
import { BUN } from "../../tasks/dev/_bundle.ts";
import { run } from "../../tasks/dev/_run.ts";
import { berth, executable, inDirectory } from "./_berth.ts";

/** Fills a directory with everything that some tool loads by itself; each leaves a trace when it is loaded. */
function plant(directory: string): { trace: string; evil: string } {
  const trace = join(directory, "trace");
  const evil = join(directory, "evil.ts");
  const leave = (what: string) =>
    `require("node:fs").appendFileSync(${JSON.stringify(trace)}, "${what}\\n");\n`;
  const write = (path: string, text: string) => {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  write("evil.ts", leave("evil.ts"));
  for (const name of ["bunfig.toml", ".bunfig.toml"]) write(name, `preload = ["./evil.ts"]\n`);
  for (const name of [".env", ".env.local", ".env.production"]) {
    write(name, "PLANTED=1\nZX_PREFIX=touch trace;\n");
  }
  write(
    "package.json",
    JSON.stringify({ name: "x", type: "module", imports: { "#tasks": "./evil.ts", "zx/core": "./evil.ts" } }),
  );
  write(
    "tsconfig.json",
    JSON.stringify({ compilerOptions: { paths: { "*": ["./evil.ts"] }, baseUrl: "." } }),
  );
  write("deno.json", JSON.stringify({ imports: { "zx/core": "./evil.ts" } }));
  for (const name of ["zx", "undici", "valibot", "yaml", "berth"]) {
    write(
      `node_modules/${name}/package.json`,
      JSON.stringify({ name, main: "index.js", exports: { "./*": "./index.js", ".": "./index.js" } }),
    );
    write(`node_modules/${name}/index.js`, leave(`node_modules/${name}`));
  }
  write(
    "script.ts",
    `import { $ } from "zx";\nprocess.stdout.write(\`\${(await $\`echo hi\`).stdout}\${process.env.PLANTED}\\n\`);\n`,
  );
  return { trace, evil };
}

function traceOf(trace: string): string {
  return existsSync(trace) ? readFileSync(trace, "utf8") : "";
}

test.before(async () => {
  await executable();
});

test("the planted directory is a trap indeed: Bun itself walks into it", async () => {
  await inDirectory(async (directory) => {
    const { trace } = plant(directory);
    writeFileSync(join(directory, "harmless.ts"), "export {};\n");
    await run([BUN, "run", "./harmless.ts"], { cwd: directory, env: { HOME: directory } });
    assert.match(traceOf(trace), /evil\.ts/);
  });
});

const COMMANDS: readonly (readonly string[])[] = [["version"], ["--help"], ["schema"], ["nonsense"], [
  "host",
  "plan",
  "--config",
  "/nonexistent",
]];

for (const args of COMMANDS) {
  test(`berth ${args.join(" ")} loads nothing of a hostile directory`, async () => {
    await inDirectory(async (directory) => {
      const { trace } = plant(directory);
      await berth(args, { cwd: directory, env: { HOME: directory, XDG_CONFIG_HOME: directory } });
      assert.is(traceOf(trace), "");
    });
  });
}

test("berth run gives a script in a hostile directory the built-in zx, and no .env", async () => {
  await inDirectory(async (directory) => {
    const { trace } = plant(directory);
    const ran = await berth(["run", "./script.ts"], { cwd: directory, env: { HOME: directory } });
    assert.is(ran.stdout, "hi\nundefined\n", ran.output);
    assert.is(traceOf(trace), "");
  });
});

test("NODE_OPTIONS and NODE_PATH make a compiled executable load nothing", async () => {
  await inDirectory(async (directory) => {
    const { trace, evil } = plant(directory);
    const settings = [["NODE_OPTIONS", `--require ${evil}`], ["NODE_PATH", join(directory, "node_modules")]];
    for (const [name, value] of settings) {
      const ran = await berth(["version"], { env: { [name!]: value! } });
      assert.is(ran.exit, 0, ran.output);
    }
    assert.is(traceOf(trace), "");
  });
});

test("BUN_OPTIONS and BUN_BE_BUN are obeyed by Bun, before any line of ours", async () => {
  // Not wanted, but known; if it ever changes, the guards of the next tests can go.
  await inDirectory(async (directory) => {
    const { trace, evil } = plant(directory);
    await berth(["version"], { env: { BUN_OPTIONS: `--preload ${evil}` } });
    assert.is(traceOf(trace), "evil.ts\n");
    rmSync(trace);
    const bun = await berth(["--version"], { env: { BUN_BE_BUN: "1" } });
    assert.match(bun.stdout, /^\d+\.\d+\.\d+/);
  });
});

test("the gate starts berth from / with an empty environment", async () => {
  const script = gateScript({
    runc: "/usr/bin/runc",
    berth: "/usr/local/bin/berth",
    dataRoot: "/var/lib/docker",
  });
  const starts = script.replaceAll("\\\n", " ").split("\n").filter((line) => line.includes('"$berth" '));
  assert.is(starts.length, 1);
  assert.match(starts[0]!, /cd \/ && exec env -i .*"\$berth" gate/);
  const parsed = await run(["bash", "-n", "-c", script]);
  assert.is(parsed.exit, 0, parsed.output);
});

test("what a guarded start passes on has no hostile variable left", async () => {
  await inDirectory(async (directory) => {
    const { trace, evil } = plant(directory);
    const ran = await run(
      ["sh", "-c", 'cd / && exec env -i PATH="$PATH" LC_ALL=C "$0" version', await executable()],
      {
        cwd: directory,
        env: {
          PATH: "/usr/bin:/bin",
          BUN_OPTIONS: `--preload ${evil}`,
          BUN_BE_BUN: "1",
          BUN_INSPECT: "ws://127.0.0.1:0/x",
          NODE_OPTIONS: `--require ${evil}`,
        },
      },
    );
    assert.is(ran.exit, 0, ran.output);
    assert.match(ran.stdout, /\d+\.\d+\.\d+/);
    assert.is(traceOf(trace), "");
  });
});

test("a script's children do not inherit BUN_ variables, ZX_ variables or NODE_OPTIONS", async () => {
  await inDirectory(async (directory) => {
    const script = join(directory, "env.ts");
    writeFileSync(script, "process.stdout.write((await $`env`).stdout);\n");
    const ran = await berth(["run", script], {
      env: { BUN_CONFIG_VERBOSE_FETCH: "0", ZX_VERBOSE: "true", NODE_OPTIONS: "--trace-warnings" },
    });
    assert.is(ran.exit, 0, ran.output);
    assert.not.match(ran.stdout, /^(BUN_|ZX_|NODE_OPTIONS)/m);
  });
});

test.run();
