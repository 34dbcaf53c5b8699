// The shape of what we read of the engine's answers, and no more: unknown fields pass. Loaded (with valibot) at the
// first call that needs it. Owns no meaning; containers.ts, networks.ts and images.ts make our own types of these.
import * as v from "valibot";
import { DockerError } from "./errors.ts";

const text = v.optional(v.nullish(v.string(), ""), "");
const flag = v.optional(v.nullish(v.boolean(), false), false);
const number = v.optional(v.nullish(v.number(), 0), 0);
/** Go writes an empty map or list as null. */
const strings = v.optional(v.nullish(v.record(v.string(), v.string()), {}), {});
const list = v.optional(v.nullish(v.array(v.string()), []), []);

export const versionSchema = v.object({ Version: v.string(), ApiVersion: v.string(), MinAPIVersion: text });

export const containerListSchema = v.array(v.object({
  Id: v.string(),
  Names: list,
  Image: text,
  State: v.string(),
  Status: text,
  Labels: strings,
}));

const endpointSchema = v.object({ NetworkID: text, IPAddress: text, MacAddress: text, Gateway: text });

export const containerSchema = v.object({
  Id: v.string(),
  Name: v.string(),
  Image: text,
  LogPath: text,
  HostsPath: text,
  ResolvConfPath: text,
  State: v.object({
    Status: v.string(),
    Running: v.boolean(),
    Paused: flag,
    Pid: v.number(),
    ExitCode: v.number(),
    Error: text,
    StartedAt: v.string(),
    FinishedAt: text,
  }),
  Config: v.object({ Image: text, Hostname: text, Labels: strings, Tty: flag }),
  HostConfig: v.object({
    Runtime: text,
    RestartPolicy: v.optional(v.nullish(v.object({ Name: text }), {}), {}),
  }),
  NetworkSettings: v.optional(
    v.nullish(
      v.object({
        Networks: v.optional(v.nullish(v.record(v.string(), v.nullish(endpointSchema, {})), {}), {}),
      }),
      {},
    ),
    {},
  ),
});

export const createdSchema = v.object({ Id: v.string(), Warnings: list });
export const waitedSchema = v.object({
  StatusCode: v.number(),
  Error: v.optional(v.nullish(v.object({ Message: text }))),
});
export const execSchema = v.object({
  Running: v.boolean(),
  ExitCode: v.nullish(v.number(), null),
  Pid: number,
});

export const networkSchema = v.object({
  Id: v.string(),
  Name: v.string(),
  Driver: text,
  Options: strings,
  Labels: strings,
  IPAM: v.optional(
    v.nullish(
      v.object({
        Config: v.optional(
          v.nullish(
            v.array(v.object({ Subnet: text, Gateway: text, IPRange: text, AuxiliaryAddresses: strings })),
            [],
          ),
          [],
        ),
      }),
      {},
    ),
    {},
  ),
  Containers: v.optional(
    v.nullish(v.record(v.string(), v.object({ Name: text, IPv4Address: text, MacAddress: text })), {}),
    {},
  ),
});
export const networkListSchema = v.array(networkSchema);

export const imageSchema = v.object({
  Id: v.string(),
  Config: v.optional(v.nullish(v.record(v.string(), v.unknown()), {}), {}),
});
export const imageListSchema = v.array(
  v.object({ Id: v.string(), RepoTags: list, Labels: strings, Size: number }),
);

/** A line of the progress that pull, load and import tell. */
export const progressSchema = v.object({
  status: text,
  stream: text,
  id: text,
  progress: text,
  error: text,
  errorDetail: v.optional(v.nullish(v.object({ message: text }))),
});

/**
 * An answer as our schema has it.
 *
 * @throws {DockerError} that names the endpoint and the first field that is missing or wrong.
 */
export function parseAnswer<S extends v.GenericSchema>(
  schema: S,
  body: unknown,
  endpoint: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? "the answer itself";
  throw new DockerError({
    fault: "answer",
    object: "engine",
    message: `Cannot understand the engine's answer to "${endpoint}": "${field}" ${
      issue.received === "undefined" ? "is missing" : `is ${issue.received}, wanted ${issue.expected}`
    }`,
    next: "Look whether something else than Docker answers on this socket",
    cause: new v.ValiError(result.issues),
  });
}
