// One copy-on-write clone of a root directory in namespaces of its own: made, entered, ended.
// Owns the processes on the machine's side (keeper, nsenter). What the clone consists of is init.sh's; what is
// installed in it is layers.ts'.
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CACHE,
  CHECKOUT,
  collectLeftovers,
  KEEPER,
  layerWork,
  newName,
  sandboxFolder,
  startTime,
} from "./paths.ts";

/** What a clone is made of. */
export interface CloneOptions {
  /** The root directory to clone. @default {"/"} */
  readonly lower?: string;
  /** A prepared upper directory laid over `lower`, read-only, shared by many clones. */
  readonly layer?: string;
  /** Where changes go instead of the clone's own directory; kept at the end. For preparing layers. */
  readonly upper?: string;
  /** `own`: eth0 to a router namespace. `host`: the machine's network, to fetch packages. @default {"own"} */
  readonly network?: "own" | "host";
  /** Whether the checkout may be written to. @default {"ro"} */
  readonly checkout?: "ro" | "rw";
  /** Directories of the machine bound into the clone, read-write. */
  readonly binds?: readonly { readonly from: string; readonly to: string }[];
  /** Leaves the clone's directory behind. @default {false} */
  readonly keep?: boolean;
}

/** How a process is started in the clone. */
export interface EnterOptions {
  readonly cwd?: string;
  /** Added to a fixed environment (PATH, HOME, LC_ALL, TERM). */
  readonly env?: Readonly<Record<string, string>>;
  /** Whose network: the vhost's, or the router's. @default {"vhost"} */
  readonly network?: "vhost" | "router";
}

/** What a command in the clone said. */
export interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run to its end. */
export interface RunOptions extends EnterOptions {
  readonly input?: string | Uint8Array;
  /** Milliseconds; then everything the command started in its process group is killed and `run` throws. @default {60000} */
  readonly timeoutMs?: number;
}

/** A running clone. */
export interface Clone {
  readonly name: string;
  /** Its pid 1, as the machine sees it. */
  readonly pid: number;
  /** Its directory on the machine; `upper` in it holds what was changed. */
  readonly directory: string;
  /** A path of the machine's that leads to `path` in the clone. Absolute symbolic links on the way mislead it. */
  outside(path: string): string;
  /** Starts a process in it, in a process group of its own. */
  start(
    argv: readonly string[],
    options?: EnterOptions & { stdio?: StdioOptions; detached?: boolean },
  ): ChildProcess;
  run(argv: readonly string[], options?: RunOptions): Promise<Said>;
  /** Ends every process of it and removes its directory and cgroups. Does nothing the second time. */
  close(): Promise<void>;
}

/** Set-up takes 0.2 s on a quiet machine. */
const READY_MS = 60_000;
const CLONE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Makes a clone. Needs root.
 *
 * @throws {Error} with what init.sh said where a mount, a cgroup or a link could not be made.
 */
export async function openClone(options: CloneOptions = {}): Promise<Clone> {
  if (process.getuid?.() !== 0) throw new Error("A throw-away vhost needs root; found another user");
  const wrong = [CHECKOUT, sandboxFolder()].find((path) => /[\s,:\\]/.test(path));
  if (wrong) {
    throw new Error(
      `Cannot mount an overlay over "${wrong}": found a blank, comma, colon or backslash in the path`,
    );
  }
  collectLeftovers();
  const name = newName();
  const directory = join(sandboxFolder(), name);
  const work = options.upper ? `${options.upper}.work` : join(directory, "work");
  const upper = options.upper ?? join(directory, "upper");
  for (const path of [directory, upper, work]) mkdirSync(path, { recursive: true, mode: 0o755 });
  const overLayer = options.layer ? layerWork(name) : "";
  mkdirSync(overLayer || CACHE, { recursive: true });
  if (options.keep) writeFileSync(join(directory, "kept"), "");
  const network = options.network ?? "own";
  const keeper = spawn(
    "/bin/bash",
    [KEEPER, "run", directory, name, options.keep ? "yes" : "no", overLayer],
    {
      detached: true, // a Ctrl-C in the terminal is for the command in the clone, not for its keeper
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        PATH: CLONE_PATH,
        BOX: directory,
        BOX_NAME: name,
        LOWER: options.lower ?? "/",
        LAYER: options.layer ?? "",
        LAYER_WORK: overLayer,
        UPPER: upper,
        WORK: work,
        CHECKOUT,
        CHECKOUT_MODE: options.checkout ?? "ro",
        NETWORK: network,
        BINDS: (options.binds ?? []).map(({ from, to }) => `${from} ${to}`).join("\n"),
      },
    },
  );
  writeFileSync(join(directory, "keeper"), `${keeper.pid} ${startTime(keeper.pid ?? 0)}`);
  const ended = new Promise<void>((resolve) => keeper.once("close", () => resolve()));
  const { pid, router } = await ready(keeper);
  // Neither the keeper nor its pipes keep the owner's event loop alive.
  keeper.unref();
  for (const stream of [keeper.stdin, keeper.stdout, keeper.stderr]) {
    (stream as unknown as { unref?(): void }).unref?.();
  }
  let closing: Promise<void> | undefined;

  const enter = (argv: readonly string[], how: EnterOptions = {}): string[] => {
    const env = {
      PATH: CLONE_PATH,
      HOME: "/root",
      LC_ALL: "C",
      TERM: process.env["TERM"] ?? "dumb",
      ...how.env,
    };
    const net = network === "host"
      ? []
      : how.network === "router"
      ? [`--net=/proc/${pid}/root/proc/${router}/ns/net`]
      : ["--net"];
    // deno-fmt-ignore
    return ["nsenter", "--target", String(pid), "--mount", "--uts", "--ipc", "--pid", "--cgroup", ...net, "--",
      "env", "-i", "-C", how.cwd ?? "/root", ...Object.entries(env).map(([key, value]) => `${key}=${value}`), ...argv];
  };
  const start: Clone["start"] = (argv, how = {}) => {
    const [program, ...args] = enter(argv, how);
    return spawn(program!, args, {
      stdio: how.stdio ?? ["pipe", "pipe", "pipe"],
      detached: how.detached ?? true,
    });
  };
  return {
    name,
    pid,
    directory,
    outside: (path) => `/proc/${pid}/root${path}`,
    start,
    run: (argv, how = {}) => finish(start(argv, how), argv, how),
    close() {
      closing ??= (keeper.stdin!.end(), keeper.ref(), ended);
      return closing;
    },
  };
}

/** The processes that nsenter started in a clone: signals meant for the command go there. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return []; // it has ended
  }
}

function ready(keeper: ChildProcess): Promise<{ pid: number; router: number }> {
  return new Promise((resolve, reject) => {
    let out = "";
    let err = "";
    keeper.stderr!.on("data", (chunk) => err += chunk);
    keeper.stdout!.on("data", (chunk) => {
      out += chunk;
      const found = /^ready (\d+) (\d+)$/m.exec(out);
      if (!found) return;
      clearTimeout(late);
      resolve({ pid: Number(found[1]), router: Number(found[2]) });
    });
    const late = setTimeout(() => {
      reject(
        new Error(
          `A throw-away vhost was not ready within ${READY_MS} ms: ${
            err.trim() || out.trim() || "nothing said"
          }`,
        ),
      );
      process.kill(-keeper.pid!, "SIGKILL"); // what it leaves, the next start collects
    }, READY_MS);
    keeper.once("close", (exit) => {
      clearTimeout(late);
      reject(
        new Error(
          `Cannot make a throw-away vhost: its set-up ended with exit code ${exit}: ${
            err.trim() || out.trim()
          }`,
        ),
      );
    });
  });
}

function finish(child: ChildProcess, argv: readonly string[], how: RunOptions): Promise<Said> {
  const timeoutMs = how.timeoutMs ?? 60_000;
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  child.stdout!.on("data", (chunk) => stdout.push(chunk));
  child.stderr!.on("data", (chunk) => stderr.push(chunk));
  child.stdin!.on("error", () => {}); // the command may end before it has read everything
  child.stdin!.end(how.input ?? "");
  const text = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString("utf8");
  return new Promise((resolve, reject) => {
    let closed = false;
    const done = (exit: number) => {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      resolve({ exit, stdout: text(stdout), stderr: text(stderr) });
    };
    const timer = setTimeout(() => {
      closed = true;
      const said = `stdout: ${text(stdout).slice(-2000)}\nstderr: ${text(stderr).slice(-2000)}`;
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // it ended just now
      }
      child.stdout!.destroy();
      child.stderr!.destroy();
      reject(new Error(`"${argv.join(" ")}" did not end in the sandbox within ${timeoutMs} ms\n${said}`));
    }, timeoutMs);
    const exitCode = (code: number | null, signal: string | null) =>
      code ?? (signal === "SIGKILL" ? 137 : signal === "SIGTERM" ? 143 : 129);
    child.once("close", (code, signal) => done(exitCode(code, signal)));
    // A daemon that the command left behind may hold its output open: then what was said by the end counts.
    child.once("exit", (code, signal) => setTimeout(() => done(exitCode(code, signal)), 500).unref());
    child.once("error", reject);
  });
}
