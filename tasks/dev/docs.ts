// Writes docs/configuration.md from the schemas. `deno run -A tasks/dev/docs.ts`; a test fails when it is stale.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { configurationPage } from "../../lib/config/reference.ts";

const page = new URL("../../docs/configuration.md", import.meta.url);
writeFileSync(page, configurationPage());
process.stdout.write("docs/configuration.md written\n");
