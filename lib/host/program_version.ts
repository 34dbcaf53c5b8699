// What a program says of its version, remembered as long as its file stays the same: dockerd takes a tenth of a second
// to say it, and a run looks more than once. Owns the memory; how commands run is run.ts's.
import { stat } from "node:fs/promises";
import { findProgram } from "./command.ts";
import type { Command, Output } from "./types.ts";

/** Runs a command whatever its exit code. */
type Run = (command: Command) => Promise<Output>;

/**
 * A runner that remembers what `PROGRAM --version` said, unless it failed: what kept it from answering may pass.
 *
 * @param identity What tells one file of a program from another; null where there is none. For tests.
 */
export function rememberVersions(run: Run, identity = identityOf): Run {
  const versions = new Map<string, Promise<Output>>();
  return async (command) => {
    const file = isOfVersion(command) ? await identity(command.argv[0]!) : null;
    if (file === null) return await run(command);
    const known = versions.get(file);
    if (known !== undefined) return await known;
    const said = run(command);
    versions.set(file, said);
    const forget = () => void versions.delete(file);
    said.then(({ exit }) => exit === 0 || forget(), forget);
    return await said;
  };
}

function isOfVersion({ argv, netns }: Command): boolean {
  return argv.length === 2 && argv[1] === "--version" && netns === undefined;
}

/** A program's file, its links followed: another after an upgrade. null where there is none. */
async function identityOf(program: string): Promise<string | null> {
  const path = findProgram(program);
  if (path === null) return null;
  const found = await stat(path).catch(() => null); // it may go just now
  return found === null ? null : [path, found.dev, found.ino, found.size, found.ctimeMs].join(" ");
}
