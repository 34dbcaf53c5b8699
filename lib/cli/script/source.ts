// Which script `berth run` means: a name in the tasks' directory, a file, or standard input; and its text.
// Runs nothing. The text of a script is only read here.
import { isAbsolute, join, resolve } from "node:path";
import { Buffer } from "node:buffer";
import process from "node:process";
import { BerthError } from "../../log/error.ts";
import { list, readText, stat } from "../../host/files.ts";
import { nearest } from "../nearest.ts";

/** Endings of scripts, in the order in which a NAME is looked for. */
export const SCRIPT_ENDINGS: readonly string[] = [".ts", ".js", ".mjs"];

/** A script before it is prepared. */
export interface ScriptSource {
  /** As people know it: "/etc/berth/tasks/fix.ts", "./fix.ts", "standard input". */
  readonly shown: string;
  /** Where its relative imports start: an absolute path; for standard input a name in the current directory. */
  readonly path: string;
  readonly text: string;
}

/** Names of the scripts in a directory, sorted, each once. */
export async function scriptNames(directory: string): Promise<readonly string[]> {
  const names = (await list(directory) ?? []).filter((file) =>
    SCRIPT_ENDINGS.some((end) => file.endsWith(end))
  );
  return [...new Set(names.map((file) => file.slice(0, file.lastIndexOf("."))))].sort();
}

/** Finds and reads the script. @throws {BerthError} code `missing`, naming the nearest script there is. */
export async function findScript(asked: string, directory: string): Promise<ScriptSource> {
  if (asked === "-") {
    return { shown: "standard input", path: resolve("standard input.ts"), text: await readStandardInput() };
  }
  if (asked.includes("/") || SCRIPT_ENDINGS.some((end) => asked.endsWith(end))) {
    const path = isAbsolute(asked) ? asked : resolve(asked);
    const text = (await stat(path))?.kind === "directory" ? null : await readText(path);
    if (text !== null) return { shown: asked, path, text };
    throw new BerthError({
      code: "missing",
      object: `script ${asked}`,
      message: `There is no file "${path}"`,
      next: "Name a file, a script in the tasks' directory, or - for standard input",
    });
  }
  for (const end of SCRIPT_ENDINGS) {
    const path = join(directory, asked + end);
    const text = await readText(path);
    if (text !== null) return { shown: path, path, text };
  }
  const names = await scriptNames(directory);
  const near = await nearest(asked, names);
  throw new BerthError({
    code: "missing",
    object: `script ${asked}`,
    message: `There is no script "${asked}" in "${directory}" (looked for ${SCRIPT_ENDINGS.join(", ")})`,
    next: near !== undefined
      ? `Did you mean "${near}"?`
      : names.length > 0
      ? `There are: ${names.join(", ")}`
      : `Put it at "${join(directory, `${asked}.ts`)}", or name a file`,
  });
}

async function readStandardInput(): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) {
    chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
