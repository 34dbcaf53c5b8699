// Which changes of daemon.json a running daemon takes over by a reload, and which need a restart. Pure.
import type { Json } from "./engine_look.ts";

/** Keys that dockerd takes over on SIGHUP (moby: daemon/reload.go and its unix part). */
const RELOADABLE: ReadonlySet<string> = new Set([
  "allow-nondistributable-artifacts",
  "authorization-plugins",
  "debug",
  "default-runtime",
  "features",
  "insecure-registries",
  "labels",
  "live-restore",
  "max-concurrent-downloads",
  "max-concurrent-uploads",
  "max-download-attempts",
  "registry-mirrors",
  "runtimes",
  "shutdown-timeout",
]);

/**
 * Keys of docker0 and of Docker's rules. With live-restore on and containers running a new daemon passes over them
 * (moby: "the network config will not take affect"), so the containers must be stopped.
 */
export const NETWORK_KEYS: ReadonlySet<string> = new Set([
  "bip",
  "bridge",
  "default-address-pools",
  "default-gateway",
  "fixed-cidr",
  "ip-masq",
  "ip6tables",
  "iptables",
  "ipv6",
  "mtu",
]);

/** How a daemon that has loaded one configuration gets to another. Pure. */
export function engineNeed(
  loaded: Json,
  wanted: Json,
): { readonly how: "none" | "reload" | "restart"; readonly keys: readonly string[] } {
  const keys = [...new Set([...Object.keys(loaded), ...Object.keys(wanted)])]
    .filter((key) => canonical(loaded[key]) !== canonical(wanted[key]));
  if (keys.length === 0) return { how: "none", keys };
  const hard = keys.filter((key) =>
    !RELOADABLE.has(key) || (key === "runtimes" && losesRuntime(loaded, wanted))
  );
  return hard.length === 0 ? { how: "reload", keys } : { how: "restart", keys: hard };
}

/** A reload only adds runtimes: one that was removed stays known until a restart (20.10). */
function losesRuntime(loaded: Json, wanted: Json): boolean {
  const left = Object.keys((wanted.runtimes ?? {}) as Json);
  return Object.keys((loaded.runtimes ?? {}) as Json).some((name) => !left.includes(name));
}

/** JSON with sorted keys; absent is "". */
function canonical(value: unknown): string {
  if (value === undefined) return "";
  return JSON.stringify(
    value,
    (_key, part) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1))
        : part,
  );
}
