// Holds the documents against the code: commands, exit codes, messages, links, the example that people copy.
// Owns no opinion on their style.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tree } from "#tasks";
import { loadConfig } from "../lib/config/load.ts";
import { EXIT_CODES } from "../lib/log/error.ts";
import { readSources } from "../tasks/dev/_sources.ts";
import { ROOT } from "../tasks/dev/_bundle.ts";
import { lookAt } from "./config/_files.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const PAGES = [
  "README.md",
  ...readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const README = read("README.md");
const OPERATIONS = read("docs/operations.md");

/** The cells of a page's table rows whose first cell matches. */
function rows(page: string, first: RegExp): string[][] {
  return page.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| ?| ?\|$/g, "").trim()))
    .filter(([cell]) => first.test(cell ?? ""));
}

/** The text between fences of a language that contains `part`. */
function block(page: string, language: string, part: string): string {
  const found = [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))]
    .map((one) => one[1]!).find((text) => text.includes(part));
  assert.ok(found, `no ${language} block with ${part}`);
  return found!;
}

test("README lists every command with its summary, and no other", () => {
  const listed = rows(README, /^`berth /).map(([command, summary]) => `${command} ${summary}`);
  const wanted = Object.entries(tree).filter(([, entry]) => !entry.hidden)
    .map(([path, { summary }]) => `\`berth ${path}\` ${summary}`);
  assert.equal(listed.sort(), wanted.sort());
});

test("operations.md lists every exit code of errors", () => {
  const listed = rows(OPERATIONS, /^\d/).flatMap(([codes]) => codes!.split(", ").map(Number));
  for (const [name, code] of Object.entries(EXIT_CODES)) assert.ok(listed.includes(code), `${name}: ${code}`);
  const wanted = new Set([...Object.values(EXIT_CODES), 0, 2, 129, 130, 143]);
  assert.equal(listed.filter((code) => !wanted.has(code)), []);
});

test("the messages in operations.md are messages of the code", () => {
  const sources = readSources(ROOT).filter(({ path }) =>
    !path.startsWith("test/") && !path.startsWith("tasks/dev/")
  )
    .map(({ text }) => text).join("\n");
  const messages = OPERATIONS.slice(OPERATIONS.indexOf("| message |")).split("\n")
    .filter((line) => line.startsWith("| `")).map((line) => /^\| `(.*?)` \|/.exec(line)![1]!);
  assert.ok(messages.length > 15);
  for (const shown of messages) {
    const message = shown.replace(/^Cannot pull /, ""); // put before what was being done
    for (const part of message.split("…").map((one) => one.replace(/^["\s:]+|["\s:]+$/g, ""))) {
      assert.ok(sources.includes(part), `"${part}" of "${message}" is nowhere in the code`);
    }
  }
});

test("every link in a page leads to a file that is there", () => {
  for (const page of PAGES) {
    for (const [, target] of read(page).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      assert.ok(existsSync(join(ROOT, dirname(page), target!)), `${page}: ${target}`);
    }
  }
});

test("every file of the checkout that a page names is there", () => {
  for (const page of PAGES) {
    for (const [path] of read(page).matchAll(/(?<![\w/])(?:lib|tasks|test)\/[\w./-]*\w\.ts\b/g)) {
      assert.ok(existsSync(join(ROOT, path)), `${page}: ${path}`);
    }
  }
});

test("README's pair of vnodes is a good configuration", async () => {
  const yaml = /<<'END'\n([\s\S]*?)^END$/m.exec(block(README, "sh", "vnodes.d/pair.yaml"))![1]!;
  const config = await loadConfig({ look: lookAt({ "/etc/berth/vnodes.d/pair.yaml": yaml }) });
  assert.equal(config.vnodes.map(({ name, links }) => [name, links[0]!.egress]), [
    ["left", { rateBps: 10_000_000 }],
    ["right", { rateBps: 10_000_000 }],
  ]);
});

test("README's program does what is said", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-docs-"));
  try {
    const path = join(folder, "program.ts");
    writeFileSync(
      path,
      block(README, "ts", "ensure").replace('"berth"', JSON.stringify(join(ROOT, "mod.ts")))
        .replace("/tmp/motd", join(folder, "motd")),
    );
    const run = () =>
      execFileSync(process.execPath, ["run", "-A", "--no-check", "--config", join(ROOT, "deno.json"), path], {
        encoding: "utf8",
      });
    assert.is(run(), "written\n");
    assert.is(readFileSync(join(folder, "motd"), "utf8"), "Welcome aboard\n");
    assert.is(run(), "as wanted\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
