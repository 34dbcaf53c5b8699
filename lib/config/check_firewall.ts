// The rules between the keys of a vnode's firewall, and that no port of the host is forwarded twice. Makes the normal
// forms.
import type { HostFacts } from "./check_host.ts";
import type { Claims } from "./check_links.ts";
import { Problem } from "./problem.ts";
import type { VnodeDraft } from "./schema_vnodes.ts";
import type { Firewall, FirewallRule, Forward, VnodeSpec } from "./types.ts";
import type { Loose, Report, Where } from "./validate.ts";

type FirewallDraft = Loose<NonNullable<VnodeDraft["firewall"]>>;
type RuleDraft = Loose<NonNullable<VnodeDraft["firewall"]>["rules"][number]>;

/** A vnode's firewall and forwarded ports; {} where it has none. */
export function checkFirewall(
  vnode: string,
  draft: Loose<VnodeDraft>,
  where: Where,
  host: HostFacts,
  claims: Claims,
): Pick<VnodeSpec, "firewall" | "forwards"> {
  const at = (...path: (string | number)[]): Where => ({ file: where.file, path: [...where.path, ...path] });
  const { firewall, forward } = draft;
  if (host.isMacvlan) {
    for (const key of ["firewall", "forward"] as const) {
      if (draft[key] === undefined || draft[key] === null) continue;
      const problem = new Problem(
        "Nothing stands between a vnode and the device with controlNet.driver macvlan",
        "controlNet.driver bridge",
        "Leave it out, or set controlNet.driver to bridge in host.yaml",
      );
      claims.report.add(at(key), problem);
    }
  }
  const forwards = (forward ?? []).flatMap((one, index) =>
    one === undefined ? [] : forwardOf(vnode, one, at("forward", index), claims)
  );
  return {
    ...(firewall === undefined || firewall === null
      ? {}
      : { firewall: firewallOf(firewall, at("firewall"), claims.report) }),
    ...(forwards.length === 0 ? {} : { forwards }),
  };
}

function forwardOf(
  vnode: string,
  { port, to, protocol = "tcp" }: Loose<Forward>,
  where: Where,
  claims: Claims,
): Forward[] {
  if (port === undefined || to === undefined) return [];
  const place: Where = { file: where.file, path: [...where.path, "port"] };
  const what = `The host's ${protocol} port ${port}`;
  claims.claim(`forward ${protocol}`, String(port), vnode, place, what, () => "Take another port");
  return [{ protocol, port, to }];
}

function firewallOf(draft: FirewallDraft, where: Where, report: Report): Firewall {
  const rules = (draft.rules ?? []).flatMap((rule, index) =>
    rule === undefined
      ? []
      : ruleOf(rule, { file: where.file, path: [...where.path, "rules", index] }, report)
  );
  return { style: draft.style ?? "open", ...(draft.log === true && { log: true }), rules };
}

function ruleOf(draft: RuleDraft, where: Where, report: Report): FirewallRule[] {
  const at = (key: string): Where => ({ file: where.file, path: [...where.path, key] });
  const { protocol, port, ports } = draft;
  const [isIn, isOut] = ["in" in draft, "out" in draft];
  if (isIn === isOut) {
    const given = isIn ? "Both in and out are given" : "Neither in nor out is given";
    report.add(where, new Problem(given, "one of them", 'Write "in: accept", or make two rules of it'));
    return [];
  }
  const way = isIn ? "in" : "out";
  const verdict = draft[way];
  if (verdict === undefined) return []; // refused already
  const wrong = way === "in" ? "to" : "from";
  if (draft[wrong] !== undefined) {
    const right = way === "in" ? "from" : "to";
    report.add(
      at(wrong),
      new Problem(
        `A rule for ${way} has no "${wrong}"`,
        `"${right}"`,
        `Write "${right}", or "${way === "in" ? "out" : "in"}"`,
      ),
    );
  }
  if (port !== undefined && ports !== undefined) {
    report.add(at("ports"), new Problem("Both port and ports are given", "one of them", "Remove one"));
  }
  const ranges = ports !== undefined
    ? [ports as readonly [number, number]] // one whole value, not a map that may have holes
    : port !== undefined
    ? [[port, port] as const]
    : [];
  if (ranges.length > 0 && protocol !== "tcp" && protocol !== "udp") {
    report.add(
      at(ports === undefined ? "port" : "ports"),
      new Problem("Ports are of tcp or udp", "protocol tcp or udp", "Add protocol: tcp"),
    );
  }
  const peer = way === "in" ? draft.from : draft.to;
  return [{
    way,
    verdict,
    ...(protocol !== undefined && { protocol }),
    ...(ranges.length > 0 && { ports: ranges }),
    ...(peer !== undefined && { peers: [peer.text] }),
    ...(draft.log === true && { log: true }),
  }];
}
