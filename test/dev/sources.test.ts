// The readers of sources behind the architecture test: a rule that no import can break would hold nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { circles, importsOf, type Source, tooLong } from "../../tasks/dev/_sources.ts";

function source(path: string, text: string): Source {
  return { path, text, imports: importsOf(path, text) };
}

test("importsOf() finds static, lazy, re-exported and bare imports", () => {
  const found = importsOf(
    "lib/a/x.ts",
    [
      `import { one } from "../b/one.ts";`,
      `import {`,
      `  two,`,
      `} from "./two.ts";`,
      `import "node:process";`,
      `export * from "valibot";`,
      `const three = await import("undici");`,
      `const four = import(`,
      `  "zx/core"`,
      `);`,
    ].join("\n"),
  );
  assert.equal(found.map((one) => [one.specifier, one.path, one.lazy]), [
    ["../b/one.ts", "lib/b/one.ts", false],
    ["./two.ts", "lib/a/two.ts", false],
    ["valibot", null, false],
    ["node:process", null, false],
    ["undici", null, true],
    ["zx/core", null, true],
  ]);
});

test("importsOf() tells types, which are gone at run time", () => {
  const found = importsOf(
    "lib/a/x.ts",
    [
      `import type { A } from "./a.ts";`,
      `import { type B, type C } from "./b.ts";`,
      `import { type D, d } from "./d.ts";`,
      `type E = import("./e.ts").E;`,
      `type F = typeof import("./f.ts");`,
    ].join("\n"),
  );
  assert.equal(found.map((one) => [one.specifier, one.typeOnly]), [
    ["./a.ts", true],
    ["./b.ts", true],
    ["./d.ts", false],
    ["./e.ts", true],
    ["./f.ts", true],
  ]);
});

test("importsOf() passes over comments and help texts", () => {
  const text = [
    `// import { x } from "zx";`,
    "/* import y from 'zx' */",
    "const help = `",
    `import from "zx"`,
    "`;",
  ];
  assert.equal(importsOf("lib/a/x.ts", text.join("\n")), []);
});

test("circles() names a circle once, and lets types and lazy imports close one", () => {
  assert.equal(
    circles([
      source("lib/a.ts", `import "./b.ts";`),
      source("lib/b.ts", `import { c } from "./c.ts";`),
      source("lib/c.ts", `import { b } from "./b.ts";`),
    ]),
    [["lib/b.ts", "lib/c.ts", "lib/b.ts"]],
  );
  assert.equal(
    circles([
      source("lib/a.ts", `import type { B } from "./b.ts";`),
      source("lib/b.ts", `import { a } from "./a.ts";\nconst c = await import("./c.ts");`),
      source("lib/c.ts", `import { b } from "./b.ts";`),
    ]),
    [],
  );
});

test("tooLong() names the file and both numbers", () => {
  const text = "x\n".repeat(401);
  assert.equal(tooLong([source("lib/a.ts", text)]), ["lib/a.ts: 401 lines, at most 400"]);
  assert.equal(tooLong([source("lib/a.ts", text.slice(2))]), []);
});

test.run();
