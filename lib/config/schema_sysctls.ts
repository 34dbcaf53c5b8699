// The sysctls of files: of the machine, of a vnode's network, of one interface inside. Owns what their names and values
// may be; what is written where is lib/vnode/wiring.ts's.
import * as v from "valibot";
import { field, Problem, table, told, wrongKind } from "./problem.ts";
import { parseSysctl, parseSysctlValue } from "./words.ts";

/** A sysctl's value, as text. */
export const sysctlValue = v.union([
  v.pipe(v.number(), v.integer(), v.transform(String)),
  field(
    { description: "Value, a number or text.", wanted: "one line of printable characters" },
    parseSysctlValue,
  ),
], (issue) => {
  const inner = typeof issue.input === "string" ? parseSysctlValue(issue.input) : undefined;
  return inner instanceof Problem ? told([inner]) : wrongKind("a whole number or one line of text")(issue);
});

const VNODE_FORM = 'a sysctl of the network with dots, such as "net.ipv4.tcp_ecn"';

/** A sysctl of a network namespace as a whole. */
export function parseVnodeSysctl(text: string): string | Problem {
  const parsed = parseSysctl(text);
  if (parsed instanceof Problem) return new Problem(parsed.message, VNODE_FORM, parsed.next);
  const [root, family = "", conf, name = "", key = "KEY"] = text.split(".");
  if (root !== "net") {
    return new Problem("Is not of the network: it would be the whole machine's", VNODE_FORM);
  }
  if (conf === "conf" && !["all", "default", "lo", "eth0"].includes(name)) {
    const next = `Write "${family}.${key}" under sysctls of the link`;
    return new Problem(`Is of the interface ${name}`, "one of the whole network", next);
  }
  return text.includes("/") ? new Problem("Has a slash", VNODE_FORM) : text;
}

const LINK_FORM = 'a family (ipv4, ipv6, mpls) and a key, such as "ipv4.rp_filter"';

/** A sysctl of an interface: FAMILY.KEY for net.FAMILY.conf.INTERFACE.KEY. */
export function parseLinkSysctl(text: string): string | Problem {
  if (/^(ipv4|ipv6|mpls)\.[a-z][a-z0-9_]{0,63}$/.test(text)) return text;
  const whole = /^net\.(ipv4|ipv6|mpls)\.conf\.[^.]+\.([a-z][a-z0-9_]*)$/.exec(text);
  const next = whole === null ? undefined : `Write "${whole[1]}.${whole[2]}"`;
  return new Problem("Is not a sysctl of an interface", LINK_FORM, next);
}

/** Sysctls of a link. */
export const linkSysctls = v.pipe(
  table(
    "a map of the interface's sysctls",
    field({ description: "Family and key.", wanted: LINK_FORM }, parseLinkSysctl),
    sysctlValue,
  ),
  v.description(
    "Sysctls of the interface inside, as FAMILY.KEY (ipv4, ipv6, mpls), such as ipv4.rp_filter: 0; those too that are " +
      "read-only inside.",
  ),
);

/** Sysctls of a vnode. */
export const vnodeSysctls = v.pipe(
  table(
    "a map of sysctl names",
    field({ description: "Name with dots.", wanted: VNODE_FORM }, parseVnodeSysctl),
    sysctlValue,
  ),
  v.description(
    "Sysctls of the vnode's network, net.*, such as net.ipv4.tcp_ecn: 1; those too that are read-only inside.",
  ),
);
