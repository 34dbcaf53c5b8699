// The rules between the keys of host.yaml, and its normal form.
import {
  type Address,
  addressAt,
  freeSubnets,
  isOverlapping,
  isWithin,
  ownAddressOf,
  type Subnet,
  subnetAround,
} from "./address.ts";
import { checkStorage, replaceConsents, storageConfig, wipeConsents } from "./check_storage.ts";
import { Problem } from "./problem.ts";
import type { HostDraft } from "./schema_host.ts";
import type { HostConfig } from "./types.ts";
import type { Loose, Report, Where } from "./validate.ts";

/** What the checks of vnodes need to know of the host. Undefined where it was refused. */
export interface HostFacts {
  readonly control?: { readonly subnet: Subnet; readonly address: Address };
  /** Address block of docker0. */
  readonly bip?: Subnet;
  /** True where vnodes sit on the control network's device themselves. */
  readonly isMacvlan?: boolean;
  /** The control network's device, where it is named. */
  readonly device?: string;
}

/** Checks the control network and docker0 against each other. */
export function checkHost(draft: Loose<HostDraft>, where: Where, report: Report): HostFacts {
  const at = (...path: string[]): Where => ({ file: where.file, path });
  checkStorage(draft, where, report);
  const subnet = draft.controlNet?.subnet;
  const bip = draft.engine?.bip;
  const bipSubnet = bip && subnetAround(bip.address, bip.prefix);
  if (bip && bipSubnet && ownAddressOf(bipSubnet, bip.address) !== null) {
    const own = ownAddressOf(bipSubnet, bip.address);
    const first = `${addressAt(4, bipSubnet.first + 1n).text}/${bip.prefix}`;
    report.add(
      at("engine", "bip"),
      new Problem(`Is the ${own} address of its subnet`, "an address within it", `Write "${first}"`),
      `${bip.address.text}/${bip.prefix}`,
    );
  }
  if (subnet === undefined) return bipSubnet ? { bip: bipSubnet } : {};
  if (subnet.prefix < 8 || subnet.prefix > 29) {
    const problem = new Problem(
      "Is no size for a control network",
      "a prefix length from 8 to 29",
      'Write such as "172.16.0.0/12"',
    );
    report.add(at("controlNet", "subnet"), problem, subnet.text);
    return bipSubnet ? { bip: bipSubnet } : {};
  }
  const first = addressAt(4, subnet.first + 1n);
  const address = draft.controlNet?.address ?? first;
  if (!isWithin(address, subnet)) {
    const problem = new Problem(
      "Lies outside the control network",
      `an address in ${subnet.text}`,
      `Write "${first.text}"`,
    );
    report.add(at("controlNet", "address"), problem, address.text);
  } else if (ownAddressOf(subnet, address) !== null) {
    const problem = new Problem(
      `Is the ${ownAddressOf(subnet, address)} address of ${subnet.text}`,
      "an address within it",
      `Write "${first.text}"`,
    );
    report.add(at("controlNet", "address"), problem, address.text);
  }
  checkDriver(draft, where, report);
  if (bipSubnet && isOverlapping(bipSubnet, subnet)) {
    const problem = new Problem(
      `The control network overlaps docker0's ${bipSubnet.text}`,
      "a subnet of its own",
      `Set engine.bip elsewhere, or take ${freeSubnets([bipSubnet, subnet]).join(" or ")}`,
    );
    report.add(at("controlNet", "subnet"), problem, subnet.text);
  }
  const device = draft.controlNet?.device;
  const isNamed = device !== undefined && device !== "none" && device !== "auto";
  return {
    control: { subnet, address },
    ...(bipSubnet ? { bip: bipSubnet } : {}),
    ...(isNamed ? { device } : {}),
    ...(draft.controlNet?.driver === "macvlan" ? { isMacvlan: true } : {}),
  };
}

/** A macvlan hangs on a device; and it has no port that an allow-list could be about, which must be wanted. */
function checkDriver(draft: Loose<HostDraft>, where: Where, report: Report): void {
  if (draft.controlNet?.driver !== "macvlan" || draft.controlNet.device !== "none") return;
  const problem = new Problem(
    "Needs a device",
    '"macvlan" with controlNet.device, or "bridge"',
    'Set controlNet.device to "auto" or a name, or leave out controlNet.driver',
  );
  report.add({ file: where.file, path: ["controlNet", "driver"] }, problem, "macvlan");
}

/** The normal form. To be called only when nothing was refused. */
export function hostConfig(draft: HostDraft, facts: HostFacts, engineRoot?: string): HostConfig {
  const { engine, controlNet, kernel, watch, consent } = draft;
  return {
    engine: {
      package: engine.package,
      liveRestore: engine.liveRestore,
      iptables: engine.iptables,
      bip: `${engine.bip.address.text}/${engine.bip.prefix}`,
      socket: engine.socket,
      root: engineRoot ?? engine.root,
      options: engine.options,
    },
    storage: storageConfig(draft),
    controlNet: {
      subnet: controlNet.subnet.text,
      address: facts.control!.address.text,
      ...(controlNet.device === "none" ? {} : { device: controlNet.device }),
      driver: controlNet.driver,
      isolation: controlNet.isolation,
      gatewayTimeoutMs: controlNet.gatewayTimeout,
      ...(controlNet.probe == null ? {} : { probe: controlNet.probe.map(({ text }) => text) }),
      nat: controlNet.nat,
      routable: controlNet.routable.map((subnet) => subnet.text),
    },
    kernel: { sysctls: kernel.sysctls, modules: kernel.modules },
    watch: { resyncMs: watch.resync },
    consent: {
      objects: consent.objects,
      replace: replaceConsents(draft),
      wipe: wipeConsents(draft),
    },
  };
}
