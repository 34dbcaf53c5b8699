// The configuration's JSON Schema, for editors and other programs, made from the schemas that berth itself uses.
// It says what single values look like; the rules between values are told by berth alone.
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { hostSchema } from "./schema_host.ts";
import { eitherSchema, singleSchema } from "./schema_vnodes.ts";

/** A JSON Schema, or a part of one. */
export type JsonSchema = { [key: string]: unknown };

function convert(schema: GenericSchema): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, {
    target: "draft-2020-12",
    typeMode: "input",
    // What these do is said by patterns and descriptions.
    ignoreActions: ["raw_transform", "transform"],
    errorMode: "throw",
  });
  return rest as JsonSchema;
}

/**
 * The JSON Schema (draft 2020-12) of berth's files, with two definitions: `host` for host.yaml and `vnodes` for
 * the files of vnodes.d. The root takes either, told apart by their keys.
 */
export function configJsonSchema(): JsonSchema {
  const has = (...keys: string[]) => ({ type: "object", anyOf: keys.map((key) => ({ required: [key] })) });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "urn:berth:config",
    title: "berth configuration",
    description: "host.yaml, or a file of vnodes.d: one vnode, or an experiment of lans and vnodes.",
    type: "object",
    if: has("lans", "vnodes", "name", "image"),
    then: { $ref: "#/$defs/vnodes" },
    else: { $ref: "#/$defs/host" },
    $defs: {
      host: { title: "host.yaml", ...convert(hostSchema) },
      vnodes: {
        title: "A file of vnodes.d",
        type: "object",
        if: has("name", "image"),
        then: { title: "One vnode", ...convert(singleSchema) },
        else: { title: "An experiment", ...convert(eitherSchema) },
      },
    },
  };
}
