// Calls about Docker's networks, and their answers in our own words.
import { ENDPOINTS } from "./endpoints.ts";
import { DockerError } from "./errors.ts";
import type { Caller } from "./request.ts";
import type { networkSchema } from "./schemas.ts";
import type { Docker, Network } from "./types.ts";
import type { InferOutput } from "valibot";

type Calls = Pick<
  Docker,
  | "listNetworks"
  | "inspectNetwork"
  | "createNetwork"
  | "removeNetwork"
  | "connectNetwork"
  | "disconnectNetwork"
>;

const readNetwork = (said: InferOutput<typeof networkSchema>): Network => ({
  id: said.Id,
  name: said.Name,
  driver: said.Driver,
  options: said.Options,
  labels: said.Labels,
  subnets: (said.IPAM.Config ?? []).map((each) => ({
    subnet: each.Subnet,
    gateway: each.Gateway,
    ipRange: each.IPRange,
    aux: each.AuxiliaryAddresses,
  })),
  containers: Object.fromEntries(
    Object.entries(said.Containers).map(([id, each]) => [id, {
      name: each.Name,
      // With its prefix length, as the engine writes it, which is not part of an address.
      address: each.IPv4Address.replace(/\/\d+$/, ""),
      mac: each.MacAddress,
    }]),
  ),
});

/** The calls about networks on one way to the engine. */
export function networkCalls(caller: Caller): Calls {
  return {
    async listNetworks(options) {
      const { networkListSchema, parseAnswer } = await import("./schemas.ts");
      const { body } = await caller.call(ENDPOINTS.networkList, {}, options);
      return parseAnswer(networkListSchema, body, "GET /networks").map(readNetwork);
    },
    async inspectNetwork(ref, options) {
      const { networkSchema, parseAnswer } = await import("./schemas.ts");
      const { status, body } = await caller.call(ENDPOINTS.networkInspect, { ref }, options);
      return status === 404 ? null : readNetwork(parseAnswer(networkSchema, body, "GET /networks/{id}"));
    },
    async createNetwork(body, options) {
      const { createdSchema, parseAnswer } = await import("./schemas.ts");
      const ref = String(body["Name"] ?? "");
      const answer = await caller.call(ENDPOINTS.networkCreate, { ref, body }, options);
      return { id: parseAnswer(createdSchema, answer.body, "POST /networks/create").Id };
    },
    async removeNetwork(ref, options) {
      return (await caller.call(ENDPOINTS.networkRemove, { ref }, options)).status === 204;
    },
    async connectNetwork(network, container, endpoint, options) {
      const body = { Container: container, ...(endpoint === undefined ? {} : { EndpointConfig: endpoint }) };
      await caller.call(ENDPOINTS.networkConnect, { ref: network, body }, options);
    },
    async disconnectNetwork(network, container, options) {
      const body = { Container: container, Force: options?.force ?? false };
      const args = { ref: network, body };
      try {
        return (await caller.call(ENDPOINTS.networkDisconnect, args, options)).status === 200;
      } catch (error) {
        // By its words: 20.10 says it with status 500, later ones with 403.
        if (error instanceof DockerError && / is not connected to /.test(error.message)) return false;
        throw error;
      }
    },
  };
}
