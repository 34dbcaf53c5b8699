// Runs the built executable for the smoke tests. test/run.ts builds it first; a file run alone builds it too.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../../tasks/dev/build.ts";
import { type Ran, run } from "../../tasks/dev/_run.ts";

/** Path of dist/berth, built when it is out of date. */
export function executable(): Promise<string> {
  built ??= build();
  return built;
}

let built: Promise<string> | undefined;

/** Runs berth with no environment but PATH, from `/` unless told otherwise. */
export async function berth(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; deadlineMs?: number } = {},
): Promise<Ran> {
  return await run([await executable(), ...args], {
    cwd: options.cwd ?? "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...options.env },
    deadlineMs: options.deadlineMs ?? 20_000,
  });
}

/** A directory that is gone when `work` is done. */
export async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "berth-smoke-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
