// `berth schema`: the JSON Schema of the configuration files, for editors and for checking by other tools.
import { task } from "../lib/cli/task.ts";

/** Prints the schema. */
export default task({
  summary: "Print the JSON Schema of the configuration",
  description: `
The schema has descriptions and defaults of every key. An editor with a YAML language server uses it by a first line
in the file:
  # yaml-language-server: $schema=/usr/share/berth/berth.schema.json

Examples:
  berth schema > /usr/share/berth/berth.schema.json
`,
  async run({ output }) {
    const { configJsonSchema } = await import("../lib/config/json_schema.ts");
    const schema = await configJsonSchema();
    output(schema, JSON.stringify(schema, null, 2));
  },
});
