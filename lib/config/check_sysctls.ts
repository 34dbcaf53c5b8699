// The rules of sysctls beside what a vnode is given otherwise: nobody writes what would undo that. Makes their normal
// form.
import { Problem } from "./problem.ts";
import type { Report, Where } from "./validate.ts";

type Draft = Readonly<Record<string, string | undefined>> | undefined;

/** The normal form: values trimmed, as the kernel reads them; what was refused is left out. */
export function sysctlsOf(draft: Draft): { readonly sysctls?: Readonly<Record<string, string>> } {
  const written = Object.entries(draft ?? {}).filter(([, value]) => value !== undefined);
  if (written.length === 0) return {};
  return { sysctls: Object.fromEntries(written.map(([key, value]) => [key, value!.trim()])) };
}

/** Sysctls that a key of the link itself stands for. */
const OWN: Readonly<Record<string, string>> = { "ipv6.mtu": "mtu" };

/** Checks the sysctls of one link. `isSix`: it has an address of IPv6. `where` is the link's. */
export function checkLinkSysctls(draft: Draft, isSix: boolean, where: Where, report: Report): void {
  for (const [key, value] of Object.entries(draft ?? {})) {
    const at: Where = { file: where.file, path: [...where.path, "sysctls", key] };
    if (Object.hasOwn(OWN, key)) {
      report.add(
        at,
        new Problem("Is set by another key", undefined, `Write "${OWN[key]}" on the link`),
        value,
      );
    } else if (key === "ipv6.disable_ipv6" && isSix && value?.trim() !== "0") {
      const next = "Leave it out, or the IPv6 addresses";
      report.add(at, new Problem("Takes away the link's IPv6 addresses", "0", next), value);
    }
  }
}

/** Checks the sysctls of one vnode, as given in `where`. */
export function checkVnodeSysctls(draft: Draft, where: Where, report: Report): void {
  for (const [key, value] of Object.entries(draft ?? {})) {
    if (!/^net\.(ipv4\.ip_forward|ipv[46]\.conf\.all\.forwarding)$/.test(key)) continue;
    const at: Where = { file: where.file, path: [...where.path, "sysctls", key] };
    const next = `Write "forwarding: ${value?.trim() !== "0"}"`;
    report.add(at, new Problem("Is set by another key", undefined, next), value);
  }
}
