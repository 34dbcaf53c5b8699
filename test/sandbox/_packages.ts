// Run inside a throw-away vhost without Docker: installs packages by the resource, tells what came of it as JSON.
import { createHost } from "../../lib/host/host.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { untouchable } from "../laws/mortal.ts";

const host = createHost();
const wanted = packages(["bash", "docker.io", "iproute2"]);
const plan = createEnsure({ host: untouchable(host), mode: "plan", journal: null });
await plan.ensure(wanted);
const first = await createEnsure({ host, mode: "apply", journal: createJournal(host) }).ensure(wanted);
const second = await createEnsure({ host: untouchable(host), mode: "apply", journal: null }).ensure(wanted);
process.stdout.write(JSON.stringify({
  planned: plan.changes.map(({ why }) => why),
  changed: first.changed,
  again: second.changed,
  policy: await host.stat("/usr/sbin/policy-rc.d"),
  dockerd: await host.stat("/usr/sbin/dockerd") !== null,
  socket: await host.stat("/run/docker.sock") ?? await host.stat("/var/run/docker.sock"),
}));
