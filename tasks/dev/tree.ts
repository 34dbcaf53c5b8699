// `deno task tree`: writes tasks/_tree.ts, the table of all commands, from the files in tasks/.
// A test (test/cli/tree.test.ts) renders it again and fails when the committed one is stale.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { groups } from "../_groups.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FILE = join(ROOT, "_tree.ts");

/** The files of tasks, relative to tasks/, sorted: no dev/, nothing that begins with "_". */
export function taskFiles(root = ROOT, below = ""): readonly string[] {
  const files: string[] = [];
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith("_") || path === "dev") continue;
    if (entry.isDirectory()) files.push(...taskFiles(root, path));
    else if (path.endsWith(".ts")) files.push(path);
  }
  return files.sort();
}

/** The words of a command: "host/daemon_json.ts" is "host daemon-json". */
export function commandPath(file: string): string {
  return file.slice(0, -".ts".length).replaceAll("_", "-").replaceAll("/", " ");
}

/** What the tree repeats of a task. Read from its text: a task that does not load must not hide the others. */
export function declaredIn(text: string): { readonly summary: string | null; readonly hidden: boolean } {
  const summary = /^ {2}summary:\s*("(?:[^"\\]|\\.)*"),$/m.exec(text)?.[1];
  return {
    summary: summary === undefined ? null : JSON.parse(summary),
    hidden: /^ {2}hidden: true,$/m.test(text),
  };
}

/** The text of tasks/_tree.ts. @throws {Error} when a task has no summary, or its group has none. */
export function renderTree(): string {
  const lines: string[] = [];
  for (const file of taskFiles()) {
    const { summary, hidden } = declaredIn(readFileSync(join(ROOT, file), "utf8"));
    if (!summary) throw new Error(`tasks/${file} has no summary: "…", as a string in one line`);
    const path = commandPath(file);
    const group = path.split(" ").slice(0, -1).join(" ");
    if (group !== "" && groups[group] === undefined) {
      throw new Error(`tasks/_groups.ts has no summary for "${group}"`);
    }
    lines.push(`  ${JSON.stringify(path)}: {
    summary: ${JSON.stringify(summary)},${hidden ? "\n    hidden: true," : ""}
    load: () => import("./${file}"),
  },`);
  }
  return `// Generated from the files in tasks/ by \`deno task tree\`. Do not edit.
// The imports are static strings, so that the bundler takes the tasks in; each is loaded only when it is run.
// deno-fmt-ignore-file
import type { Tree } from "../lib/cli/tree.ts";

export { groups } from "./_groups.ts";

/** All commands. */
export const tree: Tree = {
${lines.join("\n")}
};
`;
}

if (import.meta.main) {
  const text = renderTree();
  if (readFileSync(FILE, { encoding: "utf8", flag: "a+" }) !== text) writeFileSync(FILE, text);
  process.stdout.write(`tasks/_tree.ts: ${text.split("load:").length - 1} commands\n`);
}
