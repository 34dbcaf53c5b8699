// The fake machine's dpkg and apt: packages are names; installing starts their service unless policy-rc.d forbids.
import type { FakeCommand } from "./host.ts";

export interface FakePackages {
  readonly installed: Set<string>;
  readonly available: Set<string>;
  /** Packages whose service an installation has started. */
  readonly started: string[];
}

const POLICY = "/usr/sbin/policy-rc.d";

/** dpkg, dpkg-query, apt-get install and update, apt-cache policy. */
export const dpkgCommands: FakeCommand = ({ argv }, machine) => {
  const [program, ...args] = argv;
  const { installed, available, started } = machine.packages;
  const names = args.includes("--") ? args.slice(args.indexOf("--") + 1) : [];
  if (program === "dpkg-query" && args[0] === "-W") {
    const asked = args.filter((arg) => !arg.startsWith("-"));
    const stdout = asked.filter((name) => installed.has(name))
      .map((name) => `${name} ${name}:amd64 installed\n`).join("");
    return { exit: asked.every((name) => installed.has(name)) ? 0 : 1, stdout };
  }
  if (program === "apt-cache") {
    const asked = args.slice(args.indexOf("policy") + 1).filter((name) => available.has(name));
    return { stdout: asked.map((name) => `${name}:\n  Installed: (none)\n  Candidate: 1.0\n`).join("") };
  }
  if (program === "dpkg" && args.join(" ") === "--configure -a") return {};
  if (program !== "apt-get") return null;
  if (args.at(-1) === "check") return { exit: 100, stderr: "E: dpkg was interrupted\n" };
  if (args.at(-1) === "update") return { exit: 100, stderr: "E: no network\n" };
  if (!args.includes("install")) return null;
  const unknown = names.find((name) => !available.has(name));
  if (unknown !== undefined) return { exit: 100, stderr: `E: Unable to locate package ${unknown}\n` };
  for (const name of names) {
    if (!installed.has(name) && !machine.files.has(POLICY)) started.push(name);
    installed.add(name);
  }
  return {};
};
