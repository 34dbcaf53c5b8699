// A network of Docker's as a resource: made with our label, found by name, replaced or removed only with that label.
// Knows nothing of what the network is for.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { Change, Op, Resource } from "./types.ts";

/** The label that marks a network of berth's; its value says what for. */
export const LABEL_NETWORK = "berth.network";

/** What is compared of a network. */
export interface DockerNetwork {
  readonly driver: string;
  readonly subnet: string;
  readonly gateway: string;
  /** Where dynamic addresses come from; "" where Docker may choose. */
  readonly ipRange: string;
  /** Driver options; others that the engine adds are no difference. */
  readonly options: Readonly<Record<string, string>>;
  /** Value of LABEL_NETWORK; "" where it is not ours. */
  readonly label: string;
}

/** What is found: the network, and who is attached. */
export interface FoundNetwork extends DockerNetwork {
  readonly attached: readonly string[];
}

/**
 * A Docker network with our label.
 *
 * Another network of that name without the label is refused, as is a replacement while containers are attached:
 * a network cannot be changed in place.
 */
export function dockerNetwork(name: string, wanted: DockerNetwork): Resource<FoundNetwork> {
  const id = `docker network ${name}`;
  const create: Op = { engine: { method: "POST", path: "/networks/create", body: createBody(name, wanted) } };
  const remove: Op = { engine: { method: "DELETE", path: `/networks/${name}`, okStatus: [200, 204, 404] } };
  const change = (verb: Change["verb"], why: string, risk: Change["risk"], ops: readonly Op[]): Change => ({
    resource: id,
    verb,
    why,
    risk,
    do: ops,
    undo: verb === "create" ? [remove] : [],
  });
  return {
    id,
    desired: { ...wanted, attached: [] },
    observe: (look) => observeNetwork(look, name, wanted),
    diff(found) {
      if (found === null) return [change("create", "missing", "safe", [create])];
      if (found.label === "") throw foreign(id, name);
      const reasons = networkDifferences(wanted, found);
      if (reasons.length === 0) return [];
      if (found.attached.length > 0) {
        throw inUse(id, `it must be replaced (${reasons.join("; ")})`, found.attached);
      }
      return [change("replace", reasons.join("; "), "disruptive", [remove, create])];
    },
    prior: (found) => found,
    revert(_prior, found) {
      if (found === null || found.label === "") return [];
      if (found.attached.length > 0) throw inUse(id, "it cannot be removed", found.attached);
      return [change("delete", "made by berth", "disruptive", [remove])];
    },
  };
}

function createBody(name: string, wanted: DockerNetwork): Record<string, unknown> {
  const range = wanted.ipRange === "" ? {} : { IPRange: wanted.ipRange };
  return {
    Name: name,
    CheckDuplicate: true, // before API 1.44 two networks may bear one name
    Driver: wanted.driver,
    IPAM: { Driver: "default", Config: [{ Subnet: wanted.subnet, Gateway: wanted.gateway, ...range }] },
    Options: wanted.options,
    Labels: { [LABEL_NETWORK]: wanted.label },
  };
}

/** Why the found network is not the wanted one; [] when it is. Pure. */
export function networkDifferences(wanted: DockerNetwork, found: DockerNetwork): readonly string[] {
  const plain = (["driver", "subnet", "gateway", "ipRange", "label"] as const)
    .filter((key) => wanted[key] !== found[key])
    .map((key) => `${key} "${found[key]}", wanted "${wanted[key]}"`);
  const options = Object.entries(wanted.options)
    .filter(([key, value]) => found.options[key] !== value)
    .map(([key, value]) => `option ${key} "${found.options[key] ?? ""}", wanted "${value}"`);
  return [...plain, ...options];
}

interface Inspected {
  readonly Driver: string;
  readonly IPAM?: {
    readonly Config?:
      | readonly { readonly Subnet?: string; readonly Gateway?: string; readonly IPRange?: string }[]
      | null;
  };
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Containers?: Readonly<Record<string, { readonly Name: string }>> | null;
}

/**
 * Null where there is none, and where no engine answers yet: then it has no networks either. One that is only stopped
 * keeps its networks: where its bridge stands, the network is taken to be as wanted.
 */
async function observeNetwork(look: Look, name: string, wanted: DockerNetwork): Promise<FoundNetwork | null> {
  const answer = await look.engine(`/networks/${name}`);
  if (answer === null) {
    const bridge = wanted.options["com.docker.network.bridge.name"];
    const isThere = bridge !== undefined && await look.stat(`/sys/class/net/${bridge}`) !== null;
    return isThere ? { ...wanted, attached: [] } : null;
  }
  if (answer.status === 404) return null;
  if (answer.status !== 200) {
    throw new BerthError({
      code: "docker",
      object: `docker network ${name}`,
      message: `Cannot look at it: the engine answered ${answer.status} ${JSON.stringify(answer.body)}`,
    });
  }
  const body = answer.body as Inspected;
  const config = body.IPAM?.Config?.[0] ?? {};
  return {
    driver: body.Driver,
    subnet: config.Subnet ?? "",
    gateway: config.Gateway ?? "",
    ipRange: config.IPRange ?? "",
    options: body.Options ?? {},
    label: body.Labels?.[LABEL_NETWORK] ?? "",
    attached: Object.values(body.Containers ?? {}).map((one) => one.Name).sort(),
  };
}

function foreign(id: string, name: string): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message:
      `A Docker network named "${name}" is there that berth did not make: it lacks label "${LABEL_NETWORK}"`,
    next: `Remove it if nobody needs it: docker network rm ${name}`,
  });
}

function inUse(id: string, what: string, attached: readonly string[]): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message: `Containers are attached, and ${what}: ${attached.join(", ")}`,
    next: "Take those containers down first",
  });
}
