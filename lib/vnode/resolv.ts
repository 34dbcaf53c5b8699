// A vnode's own resolv.conf: the host's, with loopback servers (which mean nothing inside) replaced by their
// upstreams. Bound into the vnode, so it is rewritten in place and never renamed over.
import type { Look } from "../host/types.ts";

/** Where systemd-resolved tells its upstreams when /etc/resolv.conf says 127.0.0.53. */
const UPSTREAMS = "/run/systemd/resolve/resolv.conf";

function servers(text: string): string[] {
  return text.split("\n").filter((line) => /^\s*nameserver\s/.test(line));
}

function isLoopback(line: string): boolean {
  return /^\s*nameserver\s+(127\.|::1\b)/.test(line);
}

/** The text for a vnode's resolv.conf, from what stands on the host. */
export async function resolvText(look: Look): Promise<string> {
  const own = (await look.readText("/etc/resolv.conf")) ?? "";
  const upstreams = servers(own).some(isLoopback) ? servers((await look.readText(UPSTREAMS)) ?? "") : [];
  const lines = own.split("\n").filter((line) => line.trim() !== "" && !isLoopback(line));
  const added = upstreams.filter((line) => !isLoopback(line) && !lines.includes(line));
  return ["# Written by berth from the host's own", ...lines, ...added, ""].join("\n");
}
