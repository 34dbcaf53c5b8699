// A vnode's spec as the body of Docker's container create. Pure, but for the resolv.conf it is given to bind.
import { createHash } from "node:crypto";
import type { VnodeSpec } from "../config/types.ts";
import { CONTROL_NETWORK, LABEL_BODY, LABEL_VNODE } from "./names.ts";
import { resolvPath } from "./paths.ts";

/** The name under which daemon.json registers the gate. */
export const RUNTIME = "berth";

/**
 * What a machine needs beyond Docker's default set: its own interfaces and raw sockets, low ports, and
 * `reboot` and `poweroff` that do what they say (Docker's seccomp profile keeps kexec closed all the same).
 */
export const CAPABILITIES = ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_BOOT"] as const;

/** Docker's own networks have 0; the greatest wins. */
const GATEWAY_PRIORITY = 1000;

/** True when the API version is at least the wanted one: "1.9" is older than "1.44". */
export function apiAtLeast(api: string, wanted: string): boolean {
  const [major = 0, minor = 0] = api.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * The body of POST /containers/create. From API 1.44 on a MAC is the endpoint's, before it was the container's.
 * The label `berth.body` carries a digest of all else, so that a later look knows whether it must be made anew.
 */
export function containerBody(spec: VnodeSpec, api: string): Record<string, unknown> {
  const perEndpoint = apiAtLeast(api, "1.44");
  const body = {
    Image: spec.image,
    Hostname: spec.name,
    ...(spec.command === undefined ? {} : { Cmd: spec.command }),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ...(perEndpoint ? {} : { MacAddress: spec.control.mac }),
    HostConfig: {
      Runtime: RUNTIME,
      // Never by the engine itself: berth starts vnodes, in order and wired.
      RestartPolicy: { Name: "no" },
      CapAdd: CAPABILITIES,
      NetworkMode: CONTROL_NETWORK,
      Binds: [`${resolvPath(spec.name)}:/etc/resolv.conf:ro`],
    },
    NetworkingConfig: {
      EndpointsConfig: {
        [CONTROL_NETWORK]: {
          IPAMConfig: { IPv4Address: spec.control.address },
          ...(perEndpoint ? { MacAddress: spec.control.mac } : {}),
          // Its gateway stays the default route when the container joins another network while it runs.
          ...(apiAtLeast(api, "1.48") ? { GwPriority: GATEWAY_PRIORITY } : {}),
        },
      },
    },
  };
  // The digest leaves the API's version out: an upgraded engine must not make every vnode anew.
  const { MacAddress: _mac, NetworkingConfig: _network, ...rest } = body as Record<string, unknown>;
  const digest = createHash("sha256")
    .update(JSON.stringify({ ...rest, control: spec.control }))
    .digest("hex").slice(0, 16);
  return { ...body, Labels: { [LABEL_VNODE]: spec.name, [LABEL_BODY]: digest } };
}

/** The digest a body carries. */
export function bodyDigest(body: Record<string, unknown>): string {
  return (body["Labels"] as Record<string, string>)[LABEL_BODY]!;
}
