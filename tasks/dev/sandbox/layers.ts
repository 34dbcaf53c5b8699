// What stands in a clone before anyone uses it: cached packages, an installed engine, Debian roots, a test image.
// Owns the cache below node_modules/.cache/berth. Everything is made inside clones that share the machine's
// network, so that nothing is installed on the machine. Prepared once, then used read-only.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./paths.ts";
import { type Clone, openClone } from "./clone.ts";

/** Engines a sandbox can have. `20.10` is `installed`: the machine's own packages. */
export type Engine = "none" | "20.10" | "26.1" | "28.5";

/** What a clone with that engine is made of. */
export interface Ground {
  readonly lower?: string;
  readonly layer?: string;
}

/** What a vhost needs beside Debian's minimum; what the machine has already is not fetched. */
// deno-fmt-ignore
const PACKAGES = ["docker.io", "iproute2", "nftables", "iptables", "kmod", "procps", "busybox-static", "iputils-ping", "util-linux", "ca-certificates"];
const SUITES: Readonly<Record<string, string>> = { "26.1": "trixie", "28.5": "unstable" };
/** Raised when a recipe below changes, so that old layers are not used any more. */
const RECIPE = "4";
/** Refuses every start of a service while packages are installed: there is no init system to start them. */
const NO_STARTS = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d";
const DEBIAN_ENV = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };

/** Tells what is being prepared, when that takes long. */
export type Tell = (line: string) => void;

/** Makes what a clone with this engine stands on, or takes it from the cache. */
export async function ground(engine: Engine, tell: Tell): Promise<Ground> {
  const suite = SUITES[engine];
  if (suite) {
    const lower = await cached(`root-${suite}-${RECIPE}`, tell, (to) => buildRoot(suite, to));
    const found = packageVersion(join(lower, "var/lib/dpkg/status"), "docker.io");
    if (!found?.startsWith(engine)) {
      tell(`Debian ${suite} has docker.io ${found} by now, not ${engine}: going on with that`);
    }
    return { lower };
  }
  const key = createHash("sha256").update(readFileSync("/var/lib/dpkg/status")).update(PACKAGES.join())
    .update(RECIPE).digest("hex").slice(0, 16);
  const fresh = await cached(`fresh-${key}`, tell, buildFresh);
  if (engine === "none") return { layer: fresh };
  return { layer: await cached(`engine-${key}`, tell, (to) => buildInstalled(fresh, to)) };
}

/** The root file system of the test image as a tar file for `docker import`: Debian's static busybox alone. */
export async function imageTar(tell: Tell): Promise<string> {
  const { layer } = await ground("none", tell);
  const folder = await cached(`image-${RECIPE}`, tell, (to) => buildImage(layer!, to));
  return join(folder, "image.tar");
}

/** Runs `build` once, whoever else wants the same at the same time; what is cached is complete. */
export async function cached(
  name: string,
  tell: Tell,
  build: (to: string) => Promise<void>,
): Promise<string> {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const release = await lock(join(CACHE, `${name}.lock`));
  try {
    if (existsSync(path)) return path;
    const began = Date.now();
    tell(`Preparing "${name}" in the cache (once)`);
    const making = `${path}.making`;
    dropOutdated(name);
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { recursive: true });
    try {
      await build(making);
    } finally {
      rmSync(`${making}.work`, { recursive: true, force: true });
    }
    renameSync(making, path);
    tell(`Prepared "${name}" in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    return path;
  } finally {
    release();
  }
}

/** Removes what the same kind of thing was cached as before, unless a running clone stands on it. */
function dropOutdated(name: string): void {
  const kind = name.slice(0, name.lastIndexOf("-") + 1);
  const used = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid)).map(mountsOf).join("");
  for (const old of readdirSync(CACHE)) {
    const other = old.startsWith(kind) && !old.startsWith(name) && !/\.(lock|making|work)/.test(old);
    if (!other || used.includes(join(CACHE, old))) continue;
    spawnSync("rm", ["-rf", "--one-file-system", join(CACHE, old), join(CACHE, `${old}.lock`)]);
  }
}

function mountsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, "utf8");
  } catch {
    return ""; // it has ended meanwhile
  }
}

/** A lock that the kernel gives back when this process dies: flock holds it as long as its input is open. */
function lock(path: string): Promise<() => void> {
  const child = spawn("flock", [path, "sh", "-c", "echo held; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.stdout.once("data", () => resolve(() => child.stdin.end()));
    child.once("error", reject);
    child.once(
      "exit",
      (code) => reject(new Error(`Cannot lock "${path}": flock ended with exit code ${code}`)),
    );
  });
}

/** The machine as it is, plus the packages' files in apt's own cache: what a fresh machine with a mirror is. */
async function buildFresh(upper: string): Promise<void> {
  await inClone({ upper, network: "host" }, async (clone) => {
    // A client of another version, put on the machine by hand, would come before the package's.
    // The files stay where apt finds them, whatever the machine's own hooks delete after a download or install.
    await must(
      clone,
      `rm -f /usr/local/bin/docker /etc/apt/apt.conf.d/docker-clean /var/cache/apt/archives/*.deb; ${APT} update`,
    );
    // With what they recommend: whoever installs them offline may want that too.
    await must(clone, `${APT} install --no-upgrade --download-only ${PACKAGES.join(" ")}`);
    await must(clone, `rm -f /etc/resolv.conf; ls /var/cache/apt/archives/*.deb`);
  });
}

/** The same with everything installed, from those files alone. */
async function buildInstalled(fresh: string, upper: string): Promise<void> {
  copy(fresh, upper);
  await inClone({ upper }, async (clone) => {
    await must(clone, NO_STARTS);
    await must(clone, `${APT} install --no-upgrade --no-install-recommends ${PACKAGES.join(" ")}`);
    await must(clone, "rm /usr/sbin/policy-rc.d"); // berth's own must not find ours
  });
}

/** A whole Debian of another release, by mmdebstrap, itself installed in a clone only. */
async function buildRoot(suite: string, to: string): Promise<void> {
  const { layer } = await ground("none", () => {});
  const check = suite === "unstable" ? `--aptopt='Acquire::Check-Valid-Until "false"'` : "";
  const binds = [{ from: to, to: "/mnt/root" }];
  await inClone({ layer, network: "host", binds }, async (clone) => {
    await must(clone, `${APT} install --no-install-recommends mmdebstrap`);
    const include = [...PACKAGES, "docker-cli", "bash"].join(",");
    // The machine's own mirror, whatever it is: the first one of its sources.
    const mirror =
      (await must(clone, "apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1"))
        .trim();
    await must(
      clone,
      `mmdebstrap --mode=root --variant=minbase ${check} --include=${include} ${suite} /mnt/root ${mirror}`,
    );
    await must(clone, `test -x /mnt/root/usr/sbin/dockerd`);
    await must(clone, "rm -f /mnt/root/usr/sbin/policy-rc.d");
  });
}

async function buildImage(layer: string, to: string): Promise<void> {
  const debs = join(layer, "var/cache/apt/archives");
  const deb = readdirSync(debs).find((name) => name.startsWith("busybox-static_"));
  if (!deb) throw new Error(`No busybox-static package in "${debs}"`);
  const script = `set -e
    dpkg-deb -x "$1" x; mkdir -p r/bin r/sbin r/usr/bin r/usr/sbin r/etc r/proc r/sys r/dev r/root r/var/run r/var/log r/run r/home
    mkdir -m 1777 r/tmp
    cp "$(find x -path '*/bin/busybox' -type f)" r/bin/busybox
    for name in $(r/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "r/bin/$name"; done
    printf 'root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534:nobody:/:/bin/false\\n' >r/etc/passwd
    printf 'root:x:0:\\nnogroup:x:65534:\\n' >r/etc/group
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C r -cf image.tar .
    rm -rf x r`;
  const done = spawnSync("/bin/bash", ["-c", script, "image", join(debs, deb)], {
    cwd: to,
    encoding: "utf8",
  });
  if (done.status !== 0) throw new Error(`Cannot make the test image: ${done.stderr}`);
  await Promise.resolve();
}

/** apt-get with our options; the packages' files stay in its cache. */
export const APT =
  "apt-get -q -y -o Dpkg::Use-Pty=0 -o APT::Keep-Downloaded-Packages=true -o Acquire::Retries=3";

/** Makes a clone, uses it, ends it. */
export async function inClone(
  options: Parameters<typeof openClone>[0],
  use: (clone: Clone) => Promise<void>,
): Promise<void> {
  const clone = await openClone(options);
  try {
    await use(clone);
  } finally {
    await clone.close();
  }
}

/** Runs a bash script in a clone and returns its stdout. @throws {Error} with the end of its output. */
export async function must(clone: Clone, script: string): Promise<string> {
  const said = await clone.run(["/bin/bash", "-c", script], { env: DEBIAN_ENV, timeoutMs: 600_000 });
  if (said.exit === 0) return said.stdout;
  const tail = `${said.stdout}\n${said.stderr}`.trim().split("\n").slice(-15).join("\n");
  throw new Error(`"${script}" failed in a throw-away vhost with exit code ${said.exit}:\n${tail}`);
}

function packageVersion(status: string, name: string): string | undefined {
  const stanza = `\n${readFileSync(status, "utf8")}`.split(`\nPackage: ${name}\n`)[1]?.split("\n\n")[0] ?? "";
  return /^Version: (.*)$/m.exec(stanza)?.[1];
}

/** Copies a directory's content with everything about it. */
export function copy(from: string, to: string): void {
  const done = spawnSync("cp", ["-a", `${from}/.`, to], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`Cannot copy "${from}": ${done.stderr}`);
}
