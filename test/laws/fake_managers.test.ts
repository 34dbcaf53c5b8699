// The laws over the forms of a moved device, on the fake host with a networkd and an ifupdown that do as they are told:
// they know which file a link is set up by, what is noted as up, and which DHCP client runs.
import { test } from "uvu";
import { ifupdownHolds } from "../../lib/resource/control_device/manager_ifupdown_form.ts";
import { withForm } from "../../lib/resource/control_device/manager_interfaces.ts";
import { networkdForm } from "../../lib/resource/control_device/manager_networkd.ts";
import { networkdHolds } from "../../lib/resource/control_device/manager_networkd_form.ts";
import type { ManagedDevice } from "../../lib/resource/control_device/manager_types.ts";
import { createFakeHost, type FakeCommand, type Machine } from "../fake/host.ts";
import { laws, type World } from "./laws.ts";

const DEVICE: ManagedDevice = {
  device: "eth0",
  bridge: "_dockercnet",
  alias: "172.16.0.1/12",
  kind: "none",
  index: 3,
  mac: "52:54:00:00:00:10",
  mtu: 1500,
  master: null,
  networkFile: null,
  clientId: null,
  iaid6: null,
  isRoutable6: false,
  clients: [],
};
const OWN = "/etc/systemd/network/10-eth0.network";
const OWN_TEXT = "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n";
const INTERFACES = "/etc/network/interfaces";
const STANZA = "auto eth0\niface eth0 inet dhcp\n";
const IFSTATE = "/run/network/ifstate";
const CLIENT = "/proc/588/cmdline";
const argv = (link: string) => `dhclient\0-pf\0/run/dhclient.${link}.pid\0${link}\0`;

const put = (machine: Machine, path: string, text: string) => machine.files.set(path, { text, mode: 0o644 });
const read = (machine: Machine, path: string) => machine.files.get(path)?.text ?? "";

/** networkd reads its files: for each link the first that names it. */
function networkdReads(machine: Machine): void {
  for (const [index, link] of [[3, "eth0"], [4, "_dockercnet"]] as const) {
    const file = [...machine.files.keys()].filter((path) => path.endsWith(".network")).sort()
      .find((path) => read(machine, path).includes(`Name=${link}\n`));
    const state = file === undefined
      ? "ADMIN_STATE=unmanaged\n"
      : `ADMIN_STATE=configured\nNETWORK_FILE=${file}\n`;
    put(machine, `/run/systemd/netif/links/${index}`, state);
  }
}

/** The scripts of both forms, known by what they run. */
const managers: FakeCommand = ({ argv: words }, machine) => {
  if (words[0] !== "setsid") return null;
  const [script, , first, second] = words.slice(4);
  const note = (links: readonly string[]) =>
    put(machine, IFSTATE, links.map((one) => `${one}=${one}\n`).join(""));
  if (script!.includes("networkctl reload")) {
    networkdReads(machine);
    const index = first === "eth0" ? 3 : 4;
    const reached = read(machine, `/run/systemd/netif/links/${index}`).includes(`NETWORK_FILE=${second}`);
    return { exit: reached || second === "" ? 0 : 1 };
  }
  if (script!.includes("ifup --force")) put(machine, CLIENT, argv(first!));
  else if (script!.includes('exec ifup "$1"')) {
    put(machine, CLIENT, argv(first!));
    note(["eth0"]);
  } else {
    put(machine, CLIENT, argv(second!));
    note(["eth0", "_dockercnet"]);
  }
  return {};
};

function open(files: Readonly<Record<string, string>>): () => Promise<World> {
  return () => {
    const host = createFakeHost({
      files: {
        "/sys/class/net/eth0/ifindex": "3\n",
        "/sys/class/net/_dockercnet/ifindex": "4\n",
        "/run/systemd/network/x": "",
        "/etc/systemd/network/x": "",
        ...files,
      },
      commands: [managers],
    });
    host.machine.links.set("eth0", { kind: "none", alias: "", mtu: 1500, up: true, addresses: [] });
    return Promise.resolve({
      host,
      journal: "/var/lib/berth/journal",
      dump: () => Promise.resolve(host.text(["/var/lib/berth", "/run/berth"])),
      close: () => Promise.resolve(),
    });
  };
}

const form = networkdForm(DEVICE, OWN, OWN_TEXT, 7);
const write = (path: string, text: string) => (host: World["host"]) => host.writeText(path, text);

laws(
  "a device that networkd holds",
  () => ({
    resources: [networkdHolds(DEVICE, form, OWN)],
    drift: { of: "networkd form of eth0", by: write("/run/systemd/netif/links/3", `NETWORK_FILE=${OWN}\n`) },
    edit: {
      by: write("/etc/systemd/network/20-eth1.network", "[Match]\nName=eth1\n"),
      survives: async (host) => await host.readText("/etc/systemd/network/20-eth1.network") !== null,
    },
  }),
  open({
    [OWN]: OWN_TEXT,
    "/run/systemd/netif/links/3": `ADMIN_STATE=configured\nNETWORK_FILE=${OWN}\n`,
    "/run/systemd/netif/links/4": "ADMIN_STATE=unmanaged\n",
  }),
);

laws("a device that ifupdown holds", () => ({
  resources: [
    ifupdownHolds(DEVICE, [{ path: INTERFACES, text: withForm(STANZA, DEVICE), mode: 0o644 }], true),
  ],
  drift: { of: "ifupdown form of eth0", by: write(CLIENT, argv("eth0")) },
  edit: {
    by: async (host) => host.writeText(INTERFACES, `# theirs\n${await host.readText(INTERFACES)}`),
    survives: async (host) => await host.readText(INTERFACES) === `# theirs\n${STANZA}`,
  },
}), open({ [INTERFACES]: STANZA, [IFSTATE]: "eth0=eth0\n", [CLIENT]: argv("eth0") }));

test.run();
