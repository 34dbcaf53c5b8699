// `deno task tree`: writes tasks/_tree.ts, the table of all commands, from the files in tasks/.
// A test (test/cli/tree.test.ts) renders it again and fails when the committed one is stale.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Task } from "../../lib/cli/task.ts";
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

/** The text of tasks/_tree.ts. @throws {Error} when a task does not load, has no summary, or its group has none. */
export async function renderTree(): Promise<string> {
  const lines: string[] = [];
  for (const file of taskFiles()) {
    const { default: declared } = await import(pathToFileURL(join(ROOT, file)).href) as { default?: Task };
    if (!declared?.summary) throw new Error(`tasks/${file} exports no task with a summary by default`);
    const path = commandPath(file);
    const group = path.split(" ").slice(0, -1).join(" ");
    if (group !== "" && groups[group] === undefined) {
      throw new Error(`tasks/_groups.ts has no summary for "${group}"`);
    }
    const hidden = declared.hidden ? "\n    hidden: true," : "";
    lines.push(`  ${JSON.stringify(path)}: {
    summary: ${JSON.stringify(declared.summary)},${hidden}
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
  const text = await renderTree();
  if (readFileSync(FILE, { encoding: "utf8", flag: "a+" }) !== text) writeFileSync(FILE, text);
  process.stdout.write(`tasks/_tree.ts: ${text.split("load:").length - 1} commands\n`);
}
