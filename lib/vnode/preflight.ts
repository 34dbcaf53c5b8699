// What must be there before a vnode is touched: the gate registered, the control network, the firewall's
// table, and of the kernel what shapes links. All that is missing is told at once.
import type { VnodeSpec } from "../config/types.ts";
import type { Docker } from "../docker/types.ts";
import type { Host, Look } from "../host/types.ts";
import { BerthError, type Issue } from "../log/error.ts";
import { CONTROL_TABLE } from "../resource/firewall.ts";
import { RUNTIME } from "./container.ts";
import { deviceIssues } from "./device_ground.ts";
import { lackingFeatures } from "./kernel_features.ts";
import { bridgeName, CONTROL_NETWORK } from "./names.ts";
import type { VnodeRecord } from "./record.ts";

async function hostIssues(look: Look, docker: Docker): Promise<Issue[]> {
  const issues: Issue[] = [];
  const [info, network, table] = await Promise.all([
    docker.info(),
    docker.inspectNetwork(CONTROL_NETWORK),
    look.query({
      argv: ["nft", "-j", "list", "table", CONTROL_TABLE.family, CONTROL_TABLE.name],
      okExit: [0, 1],
    }),
  ]);
  const runtimes = Object.keys((info["Runtimes"] as Record<string, unknown> | undefined) ?? {});
  if (!runtimes.includes(RUNTIME)) {
    issues.push({
      place: "the engine",
      message: "The gate is not registered as a runtime",
      found: runtimes.join(", "),
      wanted: RUNTIME,
      next: "berth host runtime",
    });
  }
  if (network === null) {
    issues.push({
      place: "the engine",
      message: `Network "${CONTROL_NETWORK}" is missing`,
      next: "berth host control-net",
    });
  }
  if (table.exit !== 0) {
    issues.push({ place: "nftables", message: "berth's table is missing", next: "berth host firewall" });
  }
  return issues;
}

/** The bridges whose frames go through iptables that drop what they do not know, with the setting that does it. */
export async function filteredBridges(
  look: Look,
  lans: readonly string[],
): Promise<readonly { readonly lan: string; readonly bridge: string; readonly setting: string }[]> {
  const settings = await Promise.all(lans.map(async (lan) => {
    const bridge = bridgeName(lan);
    // The two are OR-ed: a bridge's own 0 does not undo the global 1.
    const paths = [
      `/proc/sys/${GLOBAL.replaceAll(".", "/")}`,
      `/sys/class/net/${bridge}/bridge/nf_call_iptables`,
    ];
    const [all, own] = await Promise.all(paths.map((path) => look.readText(path)));
    const setting = all?.trim() === "1" ? GLOBAL : own?.trim() === "1" ? paths[1]! : null;
    return setting === null ? [] : [{ lan, bridge, setting }];
  }));
  const found = settings.flat();
  if (found.length === 0) return [];
  const saved = await look.query({ argv: ["iptables-save", "-t", "filter"], okExit: [0, 1, 2] })
    .catch((error: unknown) => {
      if (error instanceof BerthError && error.code === "missing") return null; // then nobody has set rules with it
      throw error;
    });
  if (saved === null) return [];
  const { exit, stdout } = saved;
  // Whoever has accepted what is bridged knows what he does.
  const isAccepted = /^-A \S+ .*(--physdev-is-bridged|-i bbr-).* -j ACCEPT$/m.test(stdout);
  return exit === 0 && /^:FORWARD DROP/m.test(stdout) && !isAccepted ? found : [];
}

const GLOBAL = "net.bridge.bridge-nf-call-iptables";

async function filterIssues(look: Look, specs: readonly VnodeSpec[]): Promise<Issue[]> {
  const lans = [
    ...new Set(
      specs.flatMap((spec) => spec.links.flatMap(({ lan, device }) => device === undefined ? [lan] : [])),
    ),
  ];
  return (await filteredBridges(look, lans)).map(({ lan, bridge, setting }) => ({
    place: `bridge ${bridge}`,
    message: `Frames of lan "${lan}" go through iptables, which drop what they forward`,
    found: `${setting} = 1, and FORWARD's policy DROP`,
    wanted: "0, or a rule that accepts what is bridged",
    next: `berth host firewall, which accepts them where engine.iptables is on; or sysctl -w ${GLOBAL}=0`,
  }));
}

/**
 * Checks the ground that vnodes stand on.
 *
 * @throws {BerthError} code `missing`, with every lack as an issue.
 */
export async function preflight(
  host: Host,
  docker: Docker,
  specs: readonly VnodeSpec[],
  mode: "apply" | "plan",
  records: readonly VnodeRecord[],
): Promise<void> {
  const issues = [
    ...await hostIssues(host, docker),
    ...await filterIssues(host, specs),
    ...await deviceIssues(host, specs, records),
  ];
  // A plan changes nothing, not even a namespace of its own: it takes the kernel at its word.
  if (mode === "apply") issues.push(...[...(await lackingFeatures(host, specs)).values()].flat());
  if (issues.length === 0) return;
  throw new BerthError({
    code: "missing",
    object: "this vhost",
    message: `${issues.length} thing${
      issues.length === 1 ? " is" : "s are"
    } missing before vnodes can be brought up`,
    issues,
    next: "berth host up",
  });
}
