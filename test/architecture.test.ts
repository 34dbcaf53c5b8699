// Holds the house against the tree: which part may import which, who may touch the machine, what stands at the
// top level, that versions are exact and accounted for. docs/architecture.md explains the rules.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALIASES, ROOT } from "../tasks/dev/_bundle.ts";
import { circles, type Import, readSources, type Source, tooLong } from "../tasks/dev/_sources.ts";

const sources = readSources(ROOT);
const product = sources.filter((source) =>
  (source.path.startsWith("lib/") || source.path.startsWith("tasks/")) &&
  !source.path.startsWith("tasks/dev/")
);
const lib = product.filter((source) => source.path.startsWith("lib/"));
const packageJson = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const denoJson = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));

/** The storeys of lib, from the ground up. A part imports its own storey and those below. */
const STOREYS: readonly (readonly string[])[] = [
  ["log", "config"],
  ["host"],
  ["resource", "docker"],
  ["vnode", "watch", "gate", "image"],
  ["cli"],
];

/** Files that may import what their folder may not, each with its reason. */
const EXCEPTIONS: Readonly<Record<string, readonly { in: string; because: string }[]>> = {
  "zx": [{ in: "lib/cli/script/", because: "hands zx on to operators' scripts; runs nothing with it" }],
};

function storeyOf(path: string): number {
  return STOREYS.findIndex((parts) => parts.includes(path.split("/")[1] ?? ""));
}

/** "lib/a.ts imports "x"" for each import that `wrong` finds wrong. */
function offenders(
  among: readonly Source[],
  wrong: (one: Import, source: Source) => boolean,
): readonly string[] {
  return among.flatMap((source) =>
    source.imports.filter((one) => wrong(one, source)).map((one) =>
      `${source.path} imports "${one.specifier}"`
    )
  );
}

/** True when a specifier is the package or something in it. */
function isOf(specifier: string, name: string): boolean {
  return specifier === name || specifier.startsWith(`${name}/`);
}

function isExcepted(path: string, name: string): boolean {
  return (EXCEPTIONS[name] ?? []).some((one) => path.startsWith(one.in));
}

test("every folder of lib has its storey", () => {
  const folders = readdirSync(join(ROOT, "lib"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  assert.equal(folders.filter((folder) => storeyOf(`lib/${folder}/x.ts`) < 0), []);
  assert.equal(lib.filter((source) => source.path.split("/").length < 3).map((source) => source.path), []);
});

test("imports in lib point downwards", () => {
  const upwards = offenders(lib, (one, source) => {
    if (one.path === null || !one.path.startsWith("lib/")) return false;
    // A contract is types alone, and has no effect on what is loaded: lower parts may name it.
    if (one.typeOnly && one.path.endsWith("/types.ts")) return false;
    return storeyOf(one.path) > storeyOf(source.path);
  });
  assert.equal(upwards, []);
});

test("lib never imports tasks, save the tree of commands by lib/cli/main.ts", () => {
  const found = offenders(lib, (one, source) => {
    if (one.specifier === "#tasks") return source.path !== "lib/cli/main.ts";
    return one.path !== null && !one.path.startsWith("lib/");
  });
  assert.equal(found, []);
});

test("tasks import lib and each other, never the developers' tasks or tests", () => {
  const tasks = product.filter((source) => source.path.startsWith("tasks/"));
  const found = offenders(
    tasks,
    (one) => one.path !== null && (one.path.startsWith("tasks/dev/") || one.path.startsWith("test/")),
  );
  assert.equal(found, []);
});

test("only lib/host runs programs and touches files", () => {
  const found = offenders(product, (one, source) => {
    if (one.typeOnly || source.path.startsWith("lib/host/")) return false;
    const name = ["zx", "child_process", "node:child_process", "fs", "node:fs"].find((banned) =>
      isOf(one.specifier, banned)
    );
    return name !== undefined && !isExcepted(source.path, name);
  });
  assert.equal(found, []);
});

test("only lib/docker speaks HTTP by undici", () => {
  const found = offenders(
    product,
    (one, source) => isOf(one.specifier, "undici") && !one.typeOnly && !source.path.startsWith("lib/docker/"),
  );
  assert.equal(found, []);
});

test("lib and tasks import node's built-ins with node: and packages that package.json names", () => {
  const known = Object.keys(packageJson.dependencies);
  const found = offenders(product, (one) => {
    if (one.path !== null || one.specifier.startsWith("node:")) return false;
    return !known.some((name) => isOf(one.specifier, name));
  });
  assert.equal(found, []);
});

test("lib and tasks use neither Deno's nor Bun's own globals", () => {
  const found = product.filter((source) => {
    const code = source.text.replace(/\/\/.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, "");
    return /(?<!["'`\w])\b(Deno|Bun)\.\w/.test(code) || /globalThis(\.|\[")(Deno|Bun)\b/.test(code);
  });
  assert.equal(found.map((source) => source.path), []);
});

test("every module starts with a comment that says what it owns", () => {
  const silent = sources.filter((source) =>
    !source.path.startsWith("test/") && !source.text.startsWith("//")
  );
  assert.equal(silent.map((source) => source.path), []);
});

test("no file is too long, no imports go in a circle", () => {
  assert.equal(tooLong(sources), []);
  assert.equal(circles(sources), []);
});

test("the top level holds what the house has, and nothing else", () => {
  const wanted = [
    ...[".ci", ".editorconfig", ".git", ".gitignore", ".npmrc", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"],
    ...["README.md", "deno.json", "dist", "docs", "lib", "mod.ts", "node_modules", "package-lock.json"],
    ...["package.json", "tasks", "test"],
  ];
  assert.equal(readdirSync(ROOT).filter((name) => !wanted.includes(name)), []);
});

test("versions in package.json are exact", () => {
  const all = Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies });
  assert.equal(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version))), []);
});

test("every package in the executable is imported by lib or tasks", () => {
  const imported = product.flatMap((source) => source.imports.map((one) => one.specifier));
  const unused = Object.keys(packageJson.dependencies).filter((name) =>
    !imported.some((specifier) => isOf(specifier, name))
  );
  assert.equal(unused, []);
});

test("the lock is whole: npm ci refuses one that leaves out another platform's optional package", () => {
  const packages = lock.packages as Record<string, { optionalDependencies?: Record<string, string> }>;
  const missing = Object.values(packages)
    .flatMap((one) => Object.keys(one.optionalDependencies ?? {}))
    .filter((name) => packages[`node_modules/${name}`] === undefined);
  assert.equal(missing, []);
});

test("the lock holds no download addresses", () => {
  assert.not.match(JSON.stringify(lock), /"resolved":/);
});

test("every dependency has its row in docs/dependencies.md, with the version in use", () => {
  const text = readFileSync(join(ROOT, "docs/dependencies.md"), "utf8");
  const rows = text.split("\n").map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const all = Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies });
  const without = all.filter(([name, version]) => !rows.some((row) => row[1] === name && row[2] === version));
  assert.equal(without.map(([name, version]) => `${name} ${version}`), []);
  const gone = rows.filter((row) =>
    /^\d+\.\d+\.\d+$/.test(row[2] ?? "") && !all.some(([name]) => name === row[1])
  );
  assert.equal(gone.map((row) => row[1]), []);
});

test("deno.json and package.json tell the same door", () => {
  assert.is(packageJson.exports, denoJson.exports);
  assert.ok(existsSync(join(ROOT, denoJson.exports)), `${denoJson.exports} does not exist`);
});

test("Deno and the bundle read the same files for the same names", () => {
  assert.equal(denoJson.imports, ALIASES);
});

test("every task of deno.json is a file that exists", () => {
  const files = Object.values(denoJson.tasks as Record<string, string>).map((line) =>
    line.match(/\S+\.ts/)![0]
  );
  assert.equal(files.filter((file) => !existsSync(join(ROOT, file))), []);
});

test.run();
