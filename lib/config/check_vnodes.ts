// The rules of vnodes over all files: unique names, control addresses and MACs, routes that lead somewhere. Makes
// the normal form; what was refused is told and the rest checked all the same.
import { addressAt, controlAddress, controlMac, isWithin, ownAddressOf } from "./address.ts";
import { checkFirewall } from "./check_firewall.ts";
import type { HostFacts } from "./check_host.ts";
import type { Lan } from "./check_lans.ts";
import { type CheckedLink, checkLink, type Claims } from "./check_links.ts";
import { checkRoutes } from "./check_routes.ts";
import { checkVnodeSysctls, sysctlsOf } from "./check_sysctls.ts";
import { Problem } from "./problem.ts";
import type { VnodeDraft } from "./schema_vnodes.ts";
import type { VnodeSpec } from "./types.ts";
import type { Loose, Where } from "./validate.ts";

/** A vnode as it was written, and where. */
export interface FoundVnode {
  readonly name: string;
  readonly draft: Loose<VnodeDraft>;
  readonly where: Where;
  /** Its name was refused and told: what would follow from it is not held against it. */
  readonly misnamed?: boolean;
  /** Of its file. */
  readonly experiment?: string;
  readonly routing?: "manual" | "static";
}

/** Checks all vnodes; the answer is only good when nothing was reported. */
export function checkVnodes(
  found: readonly FoundVnode[],
  lans: ReadonlyMap<string, Lan>,
  host: HostFacts,
  claims: Claims,
): readonly VnodeSpec[] {
  const { report } = claims;
  const first = new Map<string, Where>();
  const single: FoundVnode[] = [];
  for (const vnode of found) {
    const earlier = first.get(vnode.name);
    if (earlier === undefined) {
      first.set(vnode.name, vnode.where);
      single.push(vnode);
      continue;
    }
    const message = `The vnode ${vnode.name} is declared twice, first at ${earlier.file.place(earlier.path)}`;
    report.add(
      vnode.where,
      new Problem(message, "a name of its own", "Rename one, or remove it"),
      vnode.name,
    );
  }
  const taken = {
    host,
    lans: new Map(
      [...lans.values()].flatMap(({ name, uplink: { device } }) =>
        device === undefined ? [] : [[device, name]]
      ),
    ),
  };
  // Written addresses first: a derived one that collides is told at the vnode that can be given another.
  const byWritten = (a: FoundVnode, b: FoundVnode) =>
    Number(!a.draft.control?.address) - Number(!b.draft.control?.address);
  const controls = new Map(
    [...single].sort(byWritten).map((vnode) => [vnode, checkControl(vnode, host, claims)]),
  );
  return single.map((vnode) => {
    const { draft, name, where } = vnode;
    const control = controls.get(vnode)!;
    const links: CheckedLink[] = [];
    let complete = true;
    checkVnodeSysctls(draft.sysctls, where, report);
    (draft.links ?? []).forEach((link, index) => {
      const place = { file: where.file, path: [...where.path, "links", index] };
      const checked = link && checkLink(link, index, name, place, lans, claims, taken);
      if (checked !== undefined) links.push(checked);
      complete &&= checked !== undefined && checked.complete;
    });
    return {
      name,
      image: draft.image ?? "",
      ...(draft.command === undefined ? {} : { command: draft.command.map((item) => item ?? "") }),
      env: { ...draft.env } as Record<string, string>,
      control,
      links: links.map((link) => link.spec),
      ...sysctlsOf(draft.sysctls),
      routes: checkRoutes(vnode, control.address, links, complete, host, report),
      hosts: Object.fromEntries(
        Object.entries(draft.hosts ?? {}).map(([key, value]) => [key, value?.text ?? ""]),
      ),
      ...(vnode.experiment === undefined ? {} : { experiment: vnode.experiment }),
      ...((draft.routing ?? vnode.routing) === "static" ? { routing: "static" as const } : {}),
      ...(draft.forwarding === undefined ? {} : { forwarding: draft.forwarding }),
      ...(host.control === undefined ? {} : { gateway: host.control.address.text }),
      ...checkFirewall(name, draft, where, host, claims),
      source: where.file.place(where.path),
    };
  });
}

function checkControl(vnode: FoundVnode, host: HostFacts, claims: Claims): VnodeSpec["control"] {
  const { draft, name, where } = vnode;
  const at = (...path: string[]): Where => ({ file: where.file, path: [...where.path, ...path] });
  const written = draft.control?.address;
  // Refused already (the key is there, its value is not), or no control network to derive from.
  const refused = written === undefined && draft.control !== undefined && "address" in draft.control;
  // With another name, it will be given another address.
  const unknown = written === undefined && vnode.misnamed === true;
  if (draft.control === undefined || refused || unknown || host.control === undefined) {
    return { address: "", mac: "" };
  }
  const { subnet, address: own } = host.control;
  const address = written ?? controlAddress(name, subnet, own);
  const place = written === undefined ? where : at("control", "address");
  const free = () => freeControl(host, claims);
  const wrong = isWithin(address, subnet) ? ownAddressOf(subnet, address) : "outside";
  if (wrong === "outside") {
    claims.report.add(
      place,
      new Problem("Lies outside the control network", `an address in ${subnet.text}`, free()),
      address.text,
    );
  } else if (wrong !== null) {
    claims.report.add(
      place,
      new Problem(`Is the ${wrong} address of ${subnet.text}`, "an address within it", free()),
      address.text,
    );
  } else if (address.value === own.value) {
    claims.report.add(
      place,
      new Problem("Is the host's own address on the control network", "another address", free()),
      address.text,
    );
  } else {
    const what = written === undefined
      ? `The control address derived from the name ${name}`
      : `The control address ${address.text}`;
    const next = () => {
      const hint = free() ?? "Widen controlNet.subnet in host.yaml: no address is free";
      return written === undefined ? hint.replace("Write such as", "Set control.address, such as") : hint;
    };
    claims.claim("control", address.text, name, place, what, next);
  }
  const mac = draft.control.mac ?? controlMac(address);
  const macPlace = draft.control.mac === undefined ? place : at("control", "mac");
  // Where the address is taken, so is the MAC made from it: told once.
  if (draft.control.mac !== undefined || !claims.isTaken("mac", mac)) {
    claims.claim("mac", mac, `eth0 of ${name}`, macPlace, `The MAC ${mac}`, () => "Set another mac");
  }
  return { address: address.text, mac };
}

function freeControl(host: HostFacts, claims: Claims): string | undefined {
  const { subnet, address: own } = host.control!;
  for (let value = subnet.first + 2n; value < subnet.last; value++) {
    const { text } = addressAt(4, value);
    if (value !== own.value && !claims.isTaken("control", text)) return `Write such as "${text}"`;
  }
  return undefined;
}
