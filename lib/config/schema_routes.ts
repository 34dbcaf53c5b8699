// The keys of a vnode's route. Owns no rules between them (check_routes.ts).
import { ADDRESS_FORM, parseAddress, parseSubnet, SUBNET_FORM, subnetAround } from "./address.ts";
import { field, map, Problem } from "./problem.ts";

function parseTo(text: string) {
  if (text === "default") return "default" as const;
  const parsed = parseSubnet(text);
  if (!(parsed instanceof Problem) || text.includes("/")) return parsed;
  const address = parseAddress(text);
  return address instanceof Problem ? parsed : subnetAround(address, address.family === 4 ? 32 : 128);
}

/** A route of a vnode. */
export const route = map("A route", {
  to: field({
    description: 'Destination: "default", a subnet or an address.',
    wanted: `"default" or ${SUBNET_FORM}`,
  }, parseTo),
  via: field({
    description: "Next hop, in a subnet of one of the vnode's links or the control network.",
    wanted: ADDRESS_FORM,
  }, parseAddress),
});
