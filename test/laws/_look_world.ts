// What the two files about the law of Look share: the dump that is compared, and running all allowed queries.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import * as assert from "uvu/assert";
import { findProgram, shownCommand } from "../../lib/host/command.ts";
import { createLook } from "../../lib/host/look.ts";
import { BerthError } from "../../lib/log/error.ts";
import { sh } from "./apart.ts";
import { ALLOWED } from "./_queries.ts";

export const look = createLook({ runner: "lean" });
const there = ALLOWED.filter(({ argv }) => findProgram(argv[0]!) !== null);

/** Everything a query could have changed. What counts by itself is left out. */
export function dump(): string {
  const trees = ["/etc", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/run", "/tmp"].filter(existsSync);
  const files = sh("find", ...trees, "-xdev", "-printf", "%p %y %m %s %i %T@ %C@\n");
  const moving =
    /^(fs\.(dentry|inode|file)|kernel\.(random|ns_last_pid|pty|sched_)|net\.netfilter\.nf_conntrack_count|fs\.quota|kernel\.hung)/;
  const sysctls = sh("sysctl", "-a").split("\n").filter((line) => !moving.test(line)).join("\n");
  return [
    sh("ip", "-d", "addr"),
    sh("ip", "route", "show", "table", "all"),
    sh("ip", "rule"),
    sh("tc", "qdisc"),
    sysctls,
    createHash("sha256").update(files).digest("hex"),
  ].join("\n");
}

/** Runs all queries that this machine has; what they answer does not matter, as long as they were let. */
export async function runAll(): Promise<void> {
  for (const command of there) {
    try {
      await look.query(command);
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== "command-failed") {
        throw new Error(`${shownCommand(command)}: ${error}`, { cause: error });
      }
      assert.not.match(error.message, "was killed");
    }
  }
}
