// The sandbox as tests see it: a vhost of their own, with an engine, that ends with the test process.
// Owns what tests need beyond a bare clone (tasks/dev/sandbox/clone.ts): dockerd, the test image, berth,
// waiting, comparing. Asserts nothing itself.
import { createReadStream, existsSync } from "node:fs";
import { request } from "node:http";
import {
  type Clone,
  type EnterOptions,
  openClone,
  type RunOptions,
  type Said,
} from "../../tasks/dev/sandbox/clone.ts";
import { type Background, background } from "../../tasks/dev/sandbox/background.ts";
import { type Engine, ground, imageTar } from "../../tasks/dev/sandbox/layers.ts";
import { CHECKOUT } from "../../tasks/dev/sandbox/paths.ts";
import { DUMP } from "../../tasks/dev/sandbox/dump.ts";

export type { Background, Engine, EnterOptions, RunOptions, Said };

/** What a test wants of its vhost. */
export interface SandboxOptions {
  /** `none` is a machine without Docker, with the packages in apt's cache. @default {"20.10"} */
  readonly engine?: Engine;
  /** Starts dockerd and waits until it answers. @default {false} */
  readonly dockerd?: boolean;
  /** Loads the test image as `box:latest` (busybox; needs `dockerd`). @default {false} */
  readonly image?: boolean;
  /** Puts dist/berth at /usr/local/bin/berth. @default {false} */
  readonly berth?: boolean;
  /** Leaves its directory on the machine. @default {false} */
  readonly keep?: boolean;
}

const BERTH = `${CHECKOUT}/dist/berth`;

/** How `until` waits. */
export interface UntilOptions {
  /** @default {10000} */
  readonly deadlineMs?: number;
  /** Between two looks. @default {50} */
  readonly everyMs?: number;
}

/** A vhost of a test's own. */
export interface Sandbox {
  readonly clone: Clone;
  /** Runs a command to its end; a non-zero exit does not throw. */
  run(argv: readonly string[], options?: RunOptions): Promise<Said>;
  /** Runs a bash script (`set -euo pipefail`) and returns its stdout. @throws {Error} with its output where it fails. */
  sh(script: string, options?: RunOptions): Promise<string>;
  /** Starts a command in the background; it ends with the sandbox at the latest. */
  spawn(argv: readonly string[], options?: EnterOptions): Background;
  /** Runs a command in the router's network: 198.51.100.1 on `vhost`, 203.0.113.1 on lo. Files are the vhost's. */
  router(argv: readonly string[], options?: RunOptions): Promise<Said>;
  write(path: string, text: string): Promise<void>;
  /** @throws {Error} where there is no such file. */
  read(path: string): Promise<string>;
  copyIn(hostPath: string, path: string): Promise<void>;
  /**
   * Looks again and again until `check` answers something truthy, and returns that.
   *
   * @throws {Error} with what was last seen (`check`'s value or error, or what it gave to `seen`) at the deadline.
   */
  until<T>(
    description: string,
    check: (seen: (what: unknown) => void) => Promise<T> | T,
    options?: UntilOptions,
  ): Promise<NonNullable<T>>;
  /** Starts dockerd and waits until it answers; its log is /run/sandbox/dockerd.log. Does nothing where it answers. */
  dockerdStart(flags?: readonly string[]): Promise<void>;
  /** kill -9 of dockerd alone: its containerd goes with it, shims and containers live on. Its pid files stay. */
  dockerdKill9(): Promise<void>;
  /** SIGTERM, and waits for its end. */
  dockerdStop(): Promise<void>;
  /** True when the engine answers a ping. */
  dockerdAnswers(): Promise<boolean>;
  /** Loads busybox as `box:latest`. */
  loadImage(): Promise<void>;
  /** The vhost's world as sorted text: what is compared before and after. */
  dump(): Promise<string>;
  /** Ends it and removes everything of it. Does nothing the second time. */
  close(): Promise<void>;
}

/** Makes a vhost. Preparing an engine the first time takes a minute at most; then under a second. */
export async function openSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const tell = (line: string) => void process.stderr.write(`sandbox: ${line}\n`);
  const clone = await openClone({ ...await ground(options.engine ?? "20.10", tell), keep: options.keep });
  const box = sandboxOf(clone, tell);
  try {
    if (options.berth) {
      const given = process.env.BERTH_BUILT ?? BERTH;
      if (!existsSync(given)) throw new Error(`No executable at "${given}": run "deno task build" first`);
      // A copy: a build meanwhile must not change it. One from elsewhere may have no path in the sandbox.
      if (given !== BERTH) await box.copyIn(given, "/usr/local/bin/berth");
      else await box.sh(`install -m 755 ${BERTH} /usr/local/bin/berth`);
    }
    if (options.dockerd || options.image) await box.dockerdStart();
    if (options.image) await box.loadImage();
  } catch (error) {
    await box.close();
    throw error;
  }
  return box;
}

function sandboxOf(clone: Clone, tell: (line: string) => void): Sandbox {
  const must = async (argv: readonly string[], how?: RunOptions): Promise<string> => {
    const said = await clone.run(argv, how);
    if (said.exit === 0) return said.stdout;
    throw new Error(`"${argv.join(" ")}" ended with exit code ${said.exit}\n${said.stdout}${said.stderr}`);
  };
  const dockerdPids = async () =>
    (await clone.run(["pgrep", "-x", "dockerd"])).stdout.split("\n").filter(Boolean);
  const answers = () => ping(clone.outside("/run/docker.sock"));
  const gone = () =>
    until("dockerd to end", async (seen) => {
      const pids = await dockerdPids();
      seen(`pids ${pids.join(" ")}`);
      return pids.length === 0;
    }, { deadlineMs: 30_000 });

  const box: Sandbox = {
    clone,
    run: (argv, how) => clone.run(argv, how),
    sh: (script, how) => must(["/bin/bash", "-c", `set -euo pipefail\n${script}`], how),
    spawn: (argv, how) => background(clone, argv, how),
    router: (argv, how) => clone.run(argv, { ...how, network: "router" }),
    async write(path, text) {
      await must(["/bin/bash", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "write", path], {
        input: text,
      });
    },
    read: (path) => must(["cat", "--", path]),
    async copyIn(hostPath, path) {
      if (!existsSync(hostPath)) throw new Error(`Cannot copy "${hostPath}" into the sandbox: no such file`);
      const child = clone.start([
        "/bin/bash",
        "-c",
        'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod 755 "$1"',
        "copy",
        path,
      ], {
        stdio: ["pipe", "ignore", "inherit"],
      });
      createReadStream(hostPath).pipe(child.stdin!);
      const exit = await new Promise((resolve) => child.once("close", resolve));
      if (exit !== 0) {
        throw new Error(`Cannot copy "${hostPath}" to "${path}" in the sandbox: exit code ${exit}`);
      }
    },
    until,
    async dockerdStart(flags = []) {
      if (await answers()) return;
      // Pids are soon used again in a clone: a stale pid file would name a living stranger.
      const script = `pgrep -x dockerd >/dev/null || rm -f /run/docker.pid
        pgrep -x containerd >/dev/null || rm -f /run/docker/containerd/containerd.pid
        exec setsid dockerd "$@" >>/run/sandbox/dockerd.log 2>&1 </dev/null`;
      for (let attempt = 1;; attempt++) {
        const daemon = clone.start(["/bin/bash", "-c", script, "dockerd", ...flags], { stdio: "ignore" });
        let ended: number | null | undefined;
        daemon.once("exit", (code) => ended = code ?? -1);
        daemon.unref();
        const up = await until("dockerd to answer or end", async () => {
          if (await answers()) return "up";
          return ended === undefined ? null : "ended";
        }, { deadlineMs: 40_000 });
        if (up === "up") return;
        // The first start after a kill -9 may fail for its containerd: once more, then tell.
        if (attempt === 2) {
          const log = await clone.run(["tail", "-n", "20", "/run/sandbox/dockerd.log"]);
          throw new Error(`dockerd ended with exit code ${ended} twice:\n${log.stdout}`);
        }
      }
    },
    async dockerdKill9() {
      const pids = await dockerdPids();
      if (pids.length > 0) await must(["kill", "-9", ...pids]);
      await gone();
    },
    async dockerdStop() {
      const pids = await dockerdPids();
      if (pids.length > 0) await must(["kill", ...pids]);
      await gone();
    },
    dockerdAnswers: answers,
    async loadImage() {
      const image = await imageTar(tell); // inside the checkout, so it has the same path in the clone
      await must(["docker", "import", "--change", 'CMD ["/bin/sh"]', image, "box:latest"]);
    },
    dump: () => must(["/bin/bash", "-c", DUMP]),
    close: () => clone.close(),
  };
  return box;
}

/** Looks until `check` is truthy; see `Sandbox.until`. */
export async function until<T>(
  description: string,
  check: (seen: (what: unknown) => void) => Promise<T> | T,
  options: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadlineMs = options.deadlineMs ?? 10_000;
  const end = Date.now() + deadlineMs;
  let last: unknown = "nothing";
  for (;;) {
    let told = false;
    try {
      const value = await check((what) => (told = true, last = what));
      if (value) return value as NonNullable<T>;
      if (!told) last = value;
    } catch (error) {
      last = error instanceof Error ? error.message : error;
    }
    if (Date.now() >= end) {
      const shown = typeof last === "string" ? last : JSON.stringify(last, null, 1);
      throw new Error(`Waited ${deadlineMs} ms for ${description}; last seen: ${shown}`);
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50));
  }
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/_ping", timeout: 2000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve(false));
    asked.end();
  });
}
