// What of the kernel lans and links need is asked for before anything of them is made, and told by the module's name.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LanSpec } from "../../lib/config/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { refuseLackingLans } from "../../lib/vnode/kernel_features.ts";
import { createFakeHost } from "../fake/host.ts";

const lan = (name: string, more: Partial<LanSpec> = {}): LanSpec => ({
  name,
  subnets: [],
  mtu: 1500,
  ...more,
});
const LANS = [
  lan("plain"),
  lan("wide", { vxlan: { id: 7, peers: ["192.0.2.2"], port: 4789 } }),
  lan("tagged", { device: "ens4", vlan: 100 }),
  lan("own", { device: "ens4", vlan: 9, driver: "macvlan" }),
];

/** A kernel that lacks some features; `asked` are those that it was asked for. */
function kernel(lacks: readonly string[]) {
  const asked: string[] = [];
  const host = createFakeHost({
    commands: [({ argv }) => {
      if (argv[0] !== "unshare") return null;
      const features = argv.slice(argv.indexOf("sh", 3) + 1);
      asked.push(...features);
      return { stdout: features.filter((one) => lacks.includes(one)).map((one) => `${one}\n`).join("") };
    }],
  });
  return { host, asked };
}

test("refuseLackingLans() names lan and module for all that a kernel lacks, and asks for nothing else", async () => {
  const { host, asked } = kernel(["8021q", "macvlan"]);
  const error = await refuseLackingLans(host, LANS).then(() => null, (error) => error);
  assert.instance(error, BerthError);
  assert.is(error.code, "missing");
  assert.equal(error.issues.map(({ path, wanted }: { path: string; wanted: string }) => [path, wanted]), [
    ["lans.tagged.vlan", "8021q"],
    ["lans.own.vlan", "8021q"],
    ["lans.own.driver", "macvlan"],
  ]);
  assert.match(error.issues[0].message, "Its VLAN needs the kernel's 8021q, which it does not have");
  assert.equal(asked, ["vxlan", "8021q", "macvlan"]);
});

test("refuseLackingLans() starts no process for lans of bridges, and is content where nothing lacks", async () => {
  const { host, asked } = kernel([]);
  await refuseLackingLans(host, [lan("plain")]);
  assert.equal(asked, []);
  await refuseLackingLans(host, LANS);
});

test.run();
