// What the packages berth needs are called where there is no apt: for the list that an operator installs by hand. Pure.

/** Package managers other than apt, by the command that installs. */
export const INSTALLS = {
  dnf: "dnf install",
  zypper: "zypper install",
  pacman: "pacman -S",
  apk: "apk add",
} as const;

export type Manager = keyof typeof INSTALLS;

/** Names that are not Debian's, in the order of MANAGERS. Names of Fedora, openSUSE, Arch and Alpine. */
const NAMES: Readonly<Record<string, Readonly<Record<Manager, string>>>> = {
  "docker.io": { dnf: "moby-engine", zypper: "docker", pacman: "docker", apk: "docker" },
  "docker-ce": { dnf: "docker-ce", zypper: "docker", pacman: "docker", apk: "docker" },
  "iproute2": {
    dnf: "iproute iproute-tc",
    zypper: "iproute2",
    pacman: "iproute2",
    apk: "iproute2 iproute2-tc",
  },
  "procps": { dnf: "procps-ng", zypper: "procps", pacman: "procps-ng", apk: "procps-ng" },
  "thin-provisioning-tools": {
    dnf: "device-mapper-persistent-data",
    zypper: "thin-provisioning-tools",
    pacman: "thin-provisioning-tools",
    apk: "thin-provisioning-tools",
  },
};

/** Distributions by the ID and ID_LIKE of os-release(5). */
const FAMILIES: Readonly<Record<string, Manager>> = {
  fedora: "dnf",
  rhel: "dnf",
  centos: "dnf",
  suse: "zypper",
  opensuse: "zypper",
  sles: "zypper",
  arch: "pacman",
  alpine: "apk",
};

/** A distribution, as its os-release tells. */
export interface Distribution {
  /** "Fedora Linux 41". */
  readonly name: string;
  readonly manager: Manager | null;
}

/** Reads os-release's text. */
export function distributionOf(text: string): Distribution {
  const value = (key: string) => new RegExp(`^${key}=["']?([^"'\\n]*)`, "m").exec(text)?.[1] ?? "";
  const ids = `${value("ID")} ${value("ID_LIKE")}`.split(/\s+/).map((id) => id.replace(/-.*/, ""));
  const family = ids.find((id) => Object.hasOwn(FAMILIES, id));
  return {
    name: value("PRETTY_NAME") || value("ID") || "a distribution without os-release",
    manager: family === undefined ? null : FAMILIES[family]!,
  };
}

/** The command that installs these Debian packages' kin, or null where nobody knows their names. */
export function installCommand({ manager }: Distribution, names: readonly string[]): string | null {
  if (manager === null) return null;
  return `${INSTALLS[manager]} ${names.map((name) => NAMES[name]?.[manager] ?? name).join(" ")}`;
}
