// What the demonstration needs of the machine, and what it must leave as it found it. Owns the looking; what is
// missing or differs is its caller's to tell.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** Programs that a throw-away vhost is made with, and the Debian package of each. */
const NEEDED: Readonly<Record<string, string>> = {
  "ip": "iproute2",
  "unshare": "util-linux",
  "flock": "util-linux",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
};

/** Throws what keeps a throw-away vhost from being made here. @throws {Error} with the next step. */
export function requireMachine(): void {
  if (process.getuid?.() !== 0) throw new Error("A throw-away vhost needs root: run npm start as root");
  const folders = (process.env.PATH ?? "").split(":").concat("/usr/sbin", "/sbin");
  const lacks = Object.keys(NEEDED).filter((name) => !folders.some((path) => existsSync(`${path}/${name}`)));
  if (lacks.length === 0) return;
  const packages = [...new Set(lacks.map((name) => NEEDED[name]))].join(" ");
  throw new Error(`Not on this machine: ${lacks.join(", ")}. Next: apt-get install ${packages}`);
}

/** One look at the machine: what was looked at, and how it was. */
export type Outside = Readonly<Record<string, string>>;

/** Packages, interfaces, mounts, and the places an engine or berth would show. */
export function lookOutside(): Outside {
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  const status = "/var/lib/dpkg/status";
  return {
    "installed packages": existsSync(status) ? hash(readFileSync(status, "utf8")) : "none",
    "network interfaces": readdirSync("/sys/class/net").sort().join(" "),
    // Without the mounts' own numbers, which count on for the whole machine.
    "mounts": readFileSync("/proc/self/mountinfo", "utf8").split("\n")
      .map((line) => line.split(" ").slice(2).join(" ")).sort().join("\n"),
    "engine and berth": [
      "/usr/sbin/dockerd",
      "/var/lib/docker",
      "/run/docker.sock",
      "/etc/berth",
      "/run/berth",
    ]
      .filter((path) => existsSync(path)).join(" "),
  };
}

/** What differs between two looks, by name. */
export function changedOutside(before: Outside, after: Outside): readonly string[] {
  return Object.keys(before).filter((name) => before[name] !== after[name]);
}
