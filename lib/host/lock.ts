// Locks that the kernel releases when their holder dies: a flock child locks our own open descriptor and ends, the
// lock stays with the descriptor. Node has no flock of its own.
import { spawn } from "node:child_process";
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { BerthError } from "../log/error.ts";
import { findProgram } from "./command.ts";
import type { Lock } from "./types.ts";

/** flock(1)'s exit code for "somebody else has it". */
const CONFLICT = 1;

/**
 * Takes an exclusive lock on a file, which is made (0600) with its parents (0700) and never removed.
 * The holder's pid is written into it. Waits `waitMs` milliseconds, by default not at all.
 *
 * @throws {BerthError} code `locked`, naming the holder, when not had in time.
 */
export async function takeLock(path: string, options: { waitMs?: number } = {}): Promise<Lock> {
  const deadline = performance.now() + (options.waitMs ?? 0);
  // After a reboot the first lock makes /run/berth, in which others have nothing to see.
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (;;) {
    const descriptor = openSync(path, "a+", 0o600);
    try {
      const exit = await flock(descriptor, Math.max(0, deadline - performance.now()));
      if (exit === CONFLICT) throw locked(path, options.waitMs ?? 0);
      if (exit !== 0) throw new Error(`flock ended with exit ${exit}`);
      if (isStill(path, descriptor)) {
        ftruncateSync(descriptor, 0);
        writeSync(descriptor, `${process.pid}\n`);
        return lockOf(path, descriptor);
      }
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    // Somebody removed the file between open and lock: what we hold is a lock on nothing.
    closeSync(descriptor);
  }
}

function lockOf(path: string, descriptor: number): Lock {
  let held = true;
  return {
    path,
    release() {
      if (held) {
        held = false;
        ftruncateSync(descriptor, 0);
        closeSync(descriptor);
      }
      return Promise.resolve();
    },
  };
}

function flock(descriptor: number, waitMs: number): Promise<number> {
  const program = findProgram("flock");
  if (program === null) {
    throw new BerthError({
      code: "missing",
      object: "program flock",
      message: 'Program "flock" is not on this machine',
      next: "Install package util-linux",
    });
  }
  const how = waitMs < 1 ? ["-n"] : ["-w", (waitMs / 1000).toFixed(3)];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...how, "3"], {
      cwd: "/",
      env: {},
      stdio: ["ignore", "ignore", "ignore", descriptor],
    });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? -1));
  });
}

function isStill(path: string, descriptor: number): boolean {
  try {
    return statSync(path).ino === fstatSync(descriptor).ino;
  } catch {
    return false; // Removed: not the file we locked.
  }
}

function locked(path: string, waitMs: number): BerthError {
  const pid = Number(readFileSync(path, "utf8").trim() || Number.NaN);
  let holder = "another process";
  if (!Number.isNaN(pid)) {
    holder = `process ${pid}`;
    try {
      holder += ` (${
        readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim().slice(0, 80)
      })`;
    } catch {
      // It has just ended, or lives in another pid namespace: the number alone must do.
    }
  }
  return new BerthError({
    code: "locked",
    object: `lock ${path}`,
    message: `Lock "${path}" is held by ${holder}` + (waitMs > 0 ? `, waited ${waitMs} ms` : ""),
    next: "Wait until it is done, then run this again",
  });
}
