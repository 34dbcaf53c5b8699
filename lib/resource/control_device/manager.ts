// Who manages a network device, and how its move into the control bridge is made to last: managerForm is what the move
// calls. Reads only; what is written and told stands in the resources it answers with.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { AnyResource } from "../ensure.ts";
import type { Resource } from "../types.ts";
import { isDhcpcds, networkProcesses } from "./manager_clients.ts";
import { checkInterfaces, interfacesFiles, ownStanzas, rewritten } from "./manager_ifupdown.ts";
import { ifupdownHolds } from "./manager_ifupdown_form.ts";
import { formDevices } from "./manager_interfaces.ts";
import {
  asksOnlyDhcp6,
  iaidOf,
  iaidOfForm,
  isOurNetworkFile,
  isPortOf,
  networkdDevices,
  networkdForm,
  networkdPaths,
  networkText,
  originalNetworkFile,
  prefixBefore,
} from "./manager_networkd.ts";
import { linkState, networkdHolds } from "./manager_networkd_form.ts";
import { managerRefusal } from "./manager_refusal.ts";
import type { ControlDevice, ManagedDevice, ManagerForm, ManagerKind } from "./manager_types.ts";
import { lastValue, parseUnitFile } from "./manager_unit_file.ts";

/**
 * How a device's being a port of the control bridge is made to last.
 *
 * Call it before the move, so that it can refuse, and again for every look. The resources are ensured **after** the
 * move, when the gateway has answered over the bridge: they write the manager's files and tell the manager at once
 * (`networkctl reload`; ifupdown's DHCP client is started anew on the bridge), which takes the bridge as it stands.
 * No link goes down. Their `revert` brings the device itself back: the files as they were, the device out of the
 * bridge and set up by its manager; a move that is undone after it finds nothing left to do. They persist: after a
 * reboot the manager makes the bridge, before berth runs, and there is nothing to move.
 *
 * @throws {BerthError} code `refused`, with the lines to add, where the manager is one that berth does not write for;
 * not where the device is a port of the bridge already, by whatever the operator wrote.
 */
export async function managerForm(look: Look, control: ControlDevice): Promise<ManagerForm> {
  const found = await managedDevice(look, control);
  const isPort = found.master === control.bridge;
  if (isPort && await isOperatorsPort(look, found)) return { kind: found.kind, resources: [] };
  if (found.kind === "networkd") return { kind: "networkd", resources: await networkdResources(look, found) };
  if (found.kind === "ifupdown") return { kind: "ifupdown", resources: await ifupdownResources(look, found) };
  if (found.kind === "none" || isPort) return { kind: found.kind, resources: [] };
  throw managerRefusal(found, {
    network: found.networkFile === null ? null : await networkText(look, found.networkFile),
    connection: found.kind === "networkmanager" ? await connectionText(look, found.index) : null,
  });
}

/**
 * Takes away the forms of devices that the configuration does not name any more, found by our marks in the managers'
 * files, and has the managers set those devices up themselves.
 *
 * @param wanted the device whose form stays, or null.
 */
export async function managerFreed(
  look: Look,
  control: Omit<ControlDevice, "device">,
  wanted: string | null,
): Promise<readonly AnyResource[]> {
  const resources: AnyResource[] = [];
  for (const device of (await formedDevices(look)).filter((one) => one !== wanted)) {
    const found = await managedDevice(look, { ...control, device });
    if (found.kind === "networkd") resources.push(...(await networkdResources(look, found)).map(freed));
    if (found.kind === "ifupdown") resources.push(...(await ifupdownResources(look, found)).map(freed));
  }
  return resources;
}

/** The devices whose forms of ours stand in managers' files. */
export async function formedDevices(look: Look): Promise<readonly string[]> {
  const files = await interfacesFiles(look);
  return [...new Set([...await networkdDevices(look), ...files.flatMap(({ text }) => formDevices(text))])];
}

/** A form that is not wanted: what takes it away is what there is to do. */
function freed<State>(form: Resource<State, State | null>): Resource<State, State | null> {
  return { ...form, diff: (found) => form.revert(null, found) };
}

/**
 * Who manages the device now, or managed it before it was moved.
 *
 * @throws {BerthError} code `missing` without such a device; `refused` where two managers hold it.
 */
export async function managedDevice(look: Look, control: ControlDevice): Promise<ManagedDevice> {
  const { device, bridge } = control;
  const at = (key: string) => look.readText(`/sys/class/net/${device}/${key}`).then((text) => text?.trim());
  const [index, mac, mtu] = [await at("ifindex"), await at("address"), await at("mtu")];
  if (index === undefined || mac === undefined) {
    throw new BerthError({
      code: "missing",
      object: `device ${device}`,
      message: `There is no device "${device}"`,
      next: "Name another one in controlNet.device",
    });
  }
  const running = await networkProcesses(look);
  const isRunning = (program: string) => running.some((one) => one.program === program);
  const held = isRunning("systemd-networkd") ? await linkState(look, device) : {};
  const heldBy = held["ADMIN_STATE"] === "unmanaged" ? "" : held["NETWORK_FILE"] ?? "";
  const networkFile = heldBy === ""
    ? null
    : isOurNetworkFile(heldBy)
    ? await originalNetworkFile(look, device)
    : heldBy;
  const clients = running.filter(({ program, argv }) =>
    ["dhclient", "udhcpc", "dhcpcd"].includes(program) && (argv.includes(device) || argv.includes(bridge) ||
      argv.join(" ").includes(` ${device} `))
  );
  const kinds: ManagerKind[] = [];
  if (isRunning("NetworkManager") && await isNetworkManagers(look, Number(index))) {
    kinds.push("networkmanager");
  }
  if (heldBy !== "") {
    kinds.push(networkFile?.startsWith("/run/systemd/network/10-netplan-") ? "netplan" : "networkd");
  }
  if (await isIfupdowns(look, control)) {
    kinds.push(await look.stat("/usr/share/ifupdown2") === null ? "ifupdown" : "ifupdown2");
  }
  if (kinds.length === 0 && isRunning("connmand")) kinds.push("connman");
  // The client of a manager above is its own; one without is whoever's.
  if (kinds.length === 0 && clients.length > 0) kinds.push(clients[0]!.program as ManagerKind);
  if (kinds.length === 0 && await isDhcpcds(look, device)) kinds.push("dhcpcd");
  if (kinds.length > 1) throw twoManagers(device, kinds);
  const master = (await look.readLink(`/sys/class/net/${device}/master`))?.split("/").at(-1) ?? null;
  // By a file of ours the device asks for no lease.
  const isAsking = heldBy !== "" && !isOurNetworkFile(heldBy);
  const clientId = !isAsking
    ? null
    : /^CLIENTID=([0-9a-f]+)$/m.exec(await look.readText(`/run/systemd/netif/leases/${index}`) ?? "")?.[1] ??
      null;
  const iaid6 = isAsking ? /^0x([0-9a-f]{1,8})$/i.exec(held["DHCP6_CLIENT_IAID"] ?? "")?.[1] : undefined;
  return {
    ...control,
    kind: kinds[0] ?? "none",
    index: Number(index),
    mac,
    mtu: Number(mtu),
    master,
    networkFile,
    clientId,
    iaid6: iaid6 === undefined ? null : Number.parseInt(iaid6, 16),
    isRoutable6: held["ADMIN_STATE"] === "configured" && held["IPV6_ADDRESS_STATE"] === "routable",
    clients,
  };
}

/** Whether a port of the bridge is one by what the operator wrote. */
export async function isOperatorsPort(look: Look, found: ManagedDevice): Promise<boolean> {
  const { kind, bridge, networkFile } = found;
  // berth moves nothing that these hold: who has put it there is their operator.
  if (["netplan", "networkmanager", "ifupdown2"].includes(kind)) return true;
  if (kind === "networkd" && networkFile !== null) {
    return isPortOf(parseUnitFile(await networkText(look, networkFile) ?? ""), bridge);
  }
  return kind === "ifupdown" && ownStanzas(await interfacesFiles(look), bridge).length > 0;
}

function twoManagers(device: string, kinds: readonly ManagerKind[]): BerthError {
  return new BerthError({
    code: "refused",
    object: `device ${device}`,
    message: `Device "${device}" is managed by ${kinds.join(" and ")}: whichever is second undoes the move`,
    next: `Take "${device}" out of the files of one of them, then run this again`,
  });
}

/** NetworkManager notes what it manages by index; without a note what it does by default counts: it manages. */
async function isNetworkManagers(look: Look, index: number): Promise<boolean> {
  const note = await look.readText(`/run/NetworkManager/devices/${index}`);
  if (note === null) return true;
  return ["true", "1", "yes", "managed"].includes(lastValue(parseUnitFile(note), "device", "managed") ?? "");
}

/** Up by ifupdown, or to be: its notes and its files count, whether it was run yet or not. */
async function isIfupdowns(look: Look, { device, bridge }: ControlDevice): Promise<boolean> {
  const files = await interfacesFiles(look);
  if (ownStanzas(files, device).length > 0) return true;
  const notes = await look.readText("/run/network/ifstate") ?? "";
  return notes.split("\n").some((line) => line.startsWith(`${device}=`) || line.startsWith(`${bridge}=`));
}

const CONNECTIONS = ["/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"];

/** The keyfile of the connection that NetworkManager has up on a device. */
async function connectionText(look: Look, index: number): Promise<string | null> {
  const note = await look.readText(`/run/NetworkManager/devices/${index}`) ?? "";
  const uuid = lastValue(parseUnitFile(note), "device", "connection-uuid");
  if (uuid === undefined) return null;
  for (const folder of CONNECTIONS) {
    for (const name of await look.list(folder) ?? []) {
      const text = await look.readText(`${folder}/${name}`);
      if (text !== null && lastValue(parseUnitFile(text), "connection", "uuid") === uuid) return text;
    }
  }
  return null;
}

async function networkdResources(look: Look, found: ManagedDevice) {
  const { networkFile } = found;
  const network = networkFile === null ? null : await networkText(look, networkFile);
  // The device's own file is gone since: what we made of it is what there is.
  if (networkFile === null || network === null) return [];
  const ours = await look.readText(networkdPaths(prefixBefore(networkFile)).bridge);
  const of4 = found.clientId === null ? null : iaidOf(found.clientId);
  const of6 = iaidOfForm(ours ?? "") ?? found.iaid6;
  // A bridge that got its addresses otherwise so far has no lease that could be lost; nor has a device that asks for
  // DHCPv6 only and has addresses without: a client whom no router has told to ask has no IAID.
  const isWithout = ours !== null || (found.isRoutable6 && asksOnlyDhcp6(network));
  const iaid = of4 ?? of6 ?? (isWithout ? undefined : null);
  return [networkdHolds(found, networkdForm(found, networkFile, network, iaid), networkFile)];
}

async function ifupdownResources(look: Look, found: ManagedDevice) {
  const { device } = found;
  const files = await interfacesFiles(look);
  const stanzas = ownStanzas(files, device);
  if (stanzas.length === 0) {
    throw new BerthError({
      code: "refused",
      object: `device ${device}`,
      message: `ifupdown has "${device}" up, but none of its files has "iface ${device}"`,
      next:
        `Add "iface ${device} inet dhcp" or the like to /etc/network/interfaces, or run "ifdown ${device}"`,
    });
  }
  await checkInterfaces(look, found, files);
  const usesDhcp = stanzas.some(({ words }) => words[2] === "dhcp");
  const isDhcpcd = found.clients.some(({ program }) => program === "dhcpcd");
  const forms = rewritten(files, found);
  if (usesDhcp && isDhcpcd && found.master !== found.bridge) {
    throw new BerthError({
      code: "refused",
      object: `device ${device}`,
      message: `ifupdown holds "${device}" by dhcpcd, which berth cannot carry over while it runs`,
      next: `Write this, then reboot:\n${forms.map(({ path, text }) => `In ${path}:\n${text}`).join("\n")}`,
    });
  }
  return [ifupdownHolds(found, forms, usesDhcp && !isDhcpcd)];
}
