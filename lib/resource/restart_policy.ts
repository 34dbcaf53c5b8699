// Restart policies of berth's own containers: all "no", since berth starts them. Foreign containers are never looked
// at twice. Applied to running containers in place.
import type { Look } from "../host/types.ts";
import type { Change, Resource } from "./types.ts";

/** Containers of ours with another policy than "no", by id. */
export type Policies = Readonly<Record<string, { readonly name: string; readonly policy: string }>>;

/** No container that bears the label is started by Docker itself. */
export function noRestartPolicies(label: string): Resource<Policies> {
  const id = "restart policies of vnodes";
  return {
    id,
    desired: {},
    observe: (look) => observePolicies(look, label),
    diff: (found) =>
      Object.entries(found ?? {}).map(([container, { name, policy }]): Change => ({
        resource: `restart policy of ${name}`,
        verb: "update",
        why: `policy "${policy}", wanted "no"`,
        risk: "safe",
        do: [{
          engine: {
            method: "POST",
            path: `/containers/${container}/update`,
            body: { RestartPolicy: { Name: "no" } },
            okStatus: [200, 404], // gone meanwhile
          },
        }],
        undo: [],
      })),
    prior: (found) => found,
    // The containers are berth's: they are gone before the host is given back.
    revert: () => [],
  };
}

async function observePolicies(look: Look, label: string): Promise<Policies | null> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const listed = await look.engine(`/containers/json?all=1&filters=${filters}`);
  if (listed?.status !== 200) return null;
  const ids = (listed.body as readonly { readonly Id: string }[]).map(({ Id }) => Id);
  const found = await Promise.all(ids.map(async (id) => {
    const answer = await look.engine(`/containers/${id}/json`);
    if (answer?.status !== 200) return null;
    const body = answer.body as {
      readonly Name: string;
      readonly HostConfig?: { readonly RestartPolicy?: { readonly Name?: string } };
    };
    const policy = body.HostConfig?.RestartPolicy?.Name || "no";
    return policy === "no" ? null : [id, { name: body.Name.replace(/^\//, ""), policy }] as const;
  }));
  return Object.fromEntries(found.filter((one) => one !== null));
}
