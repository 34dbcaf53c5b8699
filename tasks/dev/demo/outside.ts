// What of the machine the demonstration must leave as it found it. Owns the looking; a difference is its caller's
// to tell.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";

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
