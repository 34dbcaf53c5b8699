// Run inside a throw-away vhost while somebody holds dpkg's lock: tells as JSON what a short wait for it ends with.
import { createHost } from "../../lib/host/host.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { packages } from "../../lib/resource/kinds/package.ts";

const engine = createEnsure({ host: createHost(), mode: "apply", journal: null });
engine.ensure(packages(["docker.io"], { lockSeconds: 1 })).then(
  () => process.stdout.write("installed"),
  (error: Error) => process.stdout.write(error.message),
);
