// The texts of berth's systemd units. Pure; rc.ts writes and enables them. Why four: what prepares the machine must be
// over before the engine starts, what needs the engine comes after it, vnodes are halted before the engine ends, and
// the watch lives on its own.
import { MARK } from "./mark.ts";

/** Where an administrator's units stand: seen by systemd before any other file system is mounted. */
export const UNIT_FOLDER = "/etc/systemd/system";
/** What pulls them in at boot. */
export const WANTED_BY = "multi-user.target";

/** The watch's unit. */
export const WATCH_UNIT = "berth-watch.service";
/** The unit whose end halts all vnodes. */
export const HALT_UNIT = "berth-halt.service";
/** The unit of the stage after the engine's start. */
export const BOOT_UNIT = "berth-boot.service";
/** The unit of the stage before the engine's start. */
export const PREPARE_UNIT = "berth-prepare.service";

/** Variables by which a runtime would load a stranger's code into a process of root's. */
export const UNSET = ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT", "NODE_OPTIONS"] as const;

/** Seconds for `berth halt`; systemd waits somewhat longer, so that it is berth that tells who is late. */
export const HALT_SECONDS = 300;

/**
 * What the watch may do: links, shaping, nft and routes (net_*), entering vnodes' namespaces (sys_admin, sys_ptrace),
 * files of vnodes whoever owns them (chown, dac_*, fowner), ending shims (kill).
 */
const WATCH_CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_KILL",
  "CAP_NET_ADMIN",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_ADMIN",
  "CAP_SYS_CHROOT",
  "CAP_SYS_MODULE",
  "CAP_SYS_PTRACE",
  "CAP_SYS_RESOURCE",
];

/** Text of each unit by its name. `berth`: how berth is started, an absolute path and maybe more words. */
export function systemdUnits(berth: readonly string[]): Readonly<Record<string, string>> {
  const call = (...args: string[]) => [...berth, ...args].map(unitWord).join(" ");
  return {
    // Not before docker.socket: that comes before basic.target, and so before there is a network to fetch packages
    // from. It only listens: whoever calls early waits for docker.service, which waits for this.
    [PREPARE_UNIT]: unit({
      Unit: [
        "Description=Prepare this machine for vnodes, before the engine starts (berth)",
        "Wants=network-online.target",
        "After=local-fs.target network-online.target systemd-modules-load.service systemd-sysctl.service",
        "Before=containerd.service docker.service",
      ],
      Service: [
        "Type=oneshot",
        "RemainAfterExit=yes",
        // Disks that are just being found would be missing from what storage chooses from.
        "ExecStartPre=-udevadm settle --timeout=60",
        `ExecStart=${call("boot", "--stage", "prepare")}`,
        // A package installation over a slow line, or an engine's whole root to copy.
        "TimeoutStartSec=1h",
        ...common(),
        ...console(),
      ],
      Install: [`WantedBy=${WANTED_BY}`],
    }),
    [HALT_UNIT]: unit({
      Unit: [
        "Description=Halt all vnodes in order before the engine ends (berth)",
        "After=network-online.target remote-fs.target containerd.service docker.service",
      ],
      Service: [
        "Type=oneshot",
        "RemainAfterExit=yes",
        "ExecStart=/bin/true",
        `ExecStop=${call("halt", "--within", String(HALT_SECONDS))}`,
        `TimeoutStopSec=${HALT_SECONDS + 30}`,
        ...common(),
        ...console(),
      ],
      Install: [`WantedBy=${WANTED_BY}`],
    }),
    [BOOT_UNIT]: unit({
      Unit: [
        "Description=Finish this vhost and bring up its vnodes (berth)",
        `Wants=${PREPARE_UNIT} network-online.target`,
        `After=${PREPARE_UNIT} ${HALT_UNIT} containerd.service docker.service`,
        "After=network-online.target nss-lookup.target remote-fs.target",
      ],
      Service: [
        "Type=oneshot",
        "RemainAfterExit=yes",
        `ExecStart=${call("boot", "--stage", "boot")}`,
        "TimeoutStartSec=1h",
        ...common(),
        ...console(),
      ],
      Install: [`WantedBy=${WANTED_BY}`],
    }),
    // No mount namespace of its own (ProtectSystem=, PrivateTmp= and their like): what it mounts is for the engine.
    [WATCH_UNIT]: unit({
      Unit: [
        "Description=Watch over all vnodes (berth)",
        // The halt by name, too: a boot that failed has no place in the order of a shutdown.
        `After=${HALT_UNIT} ${BOOT_UNIT} containerd.service docker.service`,
        "StartLimitIntervalSec=10min",
        "StartLimitBurst=10",
      ],
      Service: [
        "Type=notify",
        // It tells by a systemd-notify child.
        "NotifyAccess=all",
        `ExecStart=${call("watch")}`,
        "ExecReload=/bin/kill -HUP $MAINPID",
        "TimeoutStartSec=2min",
        "TimeoutStopSec=90",
        "WatchdogSec=5min",
        "Restart=on-failure",
        "RestartSec=5",
        // It was told to end, and did.
        "SuccessExitStatus=143",
        "OOMScoreAdjust=-500",
        `CapabilityBoundingSet=${WATCH_CAPABILITIES.join(" ")}`,
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        ...common(),
      ],
      Install: [`WantedBy=${WANTED_BY}`],
    }),
  };
}

/** KillMode: what a command has left behind on purpose (a daemon, a dead man's switch) is not berth's to end. */
function common(): string[] {
  return ["WorkingDirectory=/", `UnsetEnvironment=${UNSET.join(" ")}`, "KillMode=process"];
}

function console(): string[] {
  return ["StandardOutput=journal+console", "StandardError=inherit"];
}

function unit(sections: Readonly<Record<string, readonly string[]>>): string {
  const texts = Object.entries(sections).map(([name, lines]) => `[${name}]\n${lines.join("\n")}\n`);
  return `${MARK}\n\n${texts.join("\n")}`;
}

/** A word of ExecStart=, as systemd.service(5) and systemd.syntax(7) quote it. */
export function unitWord(word: string): string {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[A-Za-z0-9_@%+=:,./$-]+$/.test(plain)) return plain;
  return `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
