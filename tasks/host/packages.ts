// `berth host packages`: the programs berth and the engine need, and no others.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { missingStorageTools } from "../../lib/resource/lvm/tools.ts";
import { type HostFacts, PROGRAMS } from "./_facts.ts";
import { runStep, type Step } from "./_step.ts";

/** Which Debian package brings a program. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  nft: "nftables",
  ip: "iproute2",
  modprobe: "kmod",
  sysctl: "procps",
};

/** The package of each program that is missing. An engine from anywhere else will do. */
export function packagesResources(config: Config, facts: HostFacts) {
  const missing = PROGRAMS.filter((program) => !facts.programs.includes(program));
  const names = missing.flatMap((program) =>
    program === "dockerd" ? [config.host.engine.package] : PACKAGE_OF[program] ?? []
  );
  return [packages(names)];
}

export const packagesStep: Step = {
  name: "packages",
  needs: [],
  stages: [packagesResources],
  /** LVM's programs where a disk wants them: what is on disks cannot be told without them. */
  async find(look, { host }) {
    const resources = await missingStorageTools(look, host);
    return { stages: resources.length === 0 ? [] : [() => resources], said: [] };
  },
};

export default task({
  summary: "Install what is missing: engine, nftables, iproute2, kmod, procps",
  description:
    "Installs only packages whose program is not there, and starts nothing they bring: the engine first\n" +
    "starts with berth's daemon.json. Packages stay when the host is given back.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, packagesStep),
});
