// A configuration for tests of host tasks: defaults, with something of the operator's in each part.
import type { Config } from "../../lib/config/types.ts";

export const CONFIG: Config = {
  host: {
    engine: {
      package: "docker.io",
      liveRestore: true,
      iptables: false,
      bip: "192.168.254.1/24",
      socket: "/var/run/docker.sock",
      root: "/var/lib/docker",
      options: { "log-driver": "local", "runtimes": { other: { path: "/other" } } },
    },
    storage: {
      layout: "plain",
      fileSystem: "ext4",
      adopt: false,
      ssd: "last",
      minimumBytes: 32 * 2 ** 30,
      sizes: {},
    },
    controlNet: {
      subnet: "172.16.0.0/12",
      address: "172.16.0.1",
      driver: "bridge",
      isolation: "experiments",
      gatewayTimeoutMs: 20_000,
      nat: true,
      routable: [],
    },
    kernel: { sysctls: { "net.core.rmem_max": "1048576" }, modules: ["dummy"] },
    watch: { resyncMs: 60_000 },
    consent: { objects: [], replace: [], wipe: [] },
  },
  lans: [],
  vnodes: [],
};
