// What the stories about host tasks share: running berth from source in a sandbox, and comparing worlds.
import * as assert from "uvu/assert";
import { CHECKOUT } from "../../tasks/dev/sandbox/paths.ts";
import type { Said, Sandbox } from "./harness.ts";

const BERTH = [`${CHECKOUT}/node_modules/.bin/deno`, "run", "-A", `${CHECKOUT}/lib/cli/main.ts`];
/** What the log says of each changing command and each changing call of the engine's. */
export const CHANGING = /\b(Ran|Called engine)\b/;

export interface Told {
  readonly changes: readonly { readonly resource: string; readonly why: string; readonly verb: string }[];
}

export function berth(box: Sandbox, ...args: string[]): Promise<Said> {
  return box.run([...BERTH, ...args], { timeoutMs: 240_000 });
}

/** Runs a task with --json and answers with its changes. */
export async function told(box: Sandbox, exit: number, ...args: string[]): Promise<Told["changes"]> {
  const said = await berth(box, ...args, "--json");
  assert.is(said.exit, exit, `berth ${args.join(" ")}: ${said.stdout}${said.stderr}`);
  return (JSON.parse(said.stdout) as Told).changes;
}

export const names = (changes: Told["changes"]) => changes.map(({ resource }) => resource);

/** What a check calls drift. */
export async function drift(box: Sandbox): Promise<readonly string[]> {
  const said = await berth(box, "host", "check", "--json");
  assert.is(said.exit, 2, said.stdout + said.stderr);
  const { differences } = JSON.parse(said.stdout) as { differences: readonly { resource: string }[] };
  return differences.map(({ resource }) => resource);
}

/** The dump without what an engine's own first start leaves (its identity), and without berth's own records. */
export async function world(box: Sandbox): Promise<string> {
  const text = await box.dump();
  return text.split("\n").filter((line) =>
    !/^file: \/(etc\/docker(\/key\.json)?|var\/lib\/berth(\/(journal|gate|vnodes|backup.*))?) /.test(line)
  ).join("\n");
}

/** Lines that only one of two dumps has: a whole dump in a failure hides them. */
export function changed(before: string, after: string): readonly string[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  const [there, here] = [new Set(old), new Set(now)];
  return [
    ...old.filter((line) => !here.has(line)).map((line) => `-${line}`),
    ...now.filter((line) => !there.has(line)).map((line) => `+${line}`),
  ];
}

/** Waits for eth0's addresses: a link-local one that is still being tried is another world than one that is not. */
export async function settled(box: Sandbox): Promise<void> {
  await box.until("addresses to settle", async (seen) => {
    const { stdout } = await box.run(["ip", "-6", "addr", "show", "tentative"]);
    seen(stdout);
    return stdout.trim() === "";
  });
}

/** Starts a container on the control network and answers with its host end. */
export async function onControlNet(box: Sandbox, name: string, address: string): Promise<string> {
  await box.sh(`docker run -d --name ${name} --network _dockercnet --ip ${address} --cap-add NET_ADMIN \
    --cap-add NET_RAW box:latest sleep 10000`);
  return await hostEnd(box, name);
}

/** The host end of a container's eth0. */
export async function hostEnd(box: Sandbox, name: string): Promise<string> {
  const index = (await box.sh(`docker exec ${name} cat /sys/class/net/eth0/iflink`)).trim();
  const port = (await box.sh(`ip -o link | sed -n 's/^${index}: \\([^@:]*\\).*/\\1/p'`)).trim();
  // The host end solicits routers for itself, past the bridge: those frames are nobody's speech.
  await box.sh(`sysctl -qw net.ipv6.conf.${port}.disable_ipv6=1`);
  return port;
}

/** Puts a container on the allow-list of the control network, as the gate does. */
export async function register(box: Sandbox, name: string, port: string, address: string): Promise<void> {
  const mac = (await box.sh(`docker exec ${name} cat /sys/class/net/eth0/address`)).trim();
  await box.sh(`nft add element bridge berth control_ports '{ "${port}" . ${mac} . ${address} }'
    nft add element bridge berth control_names '{ "${port}" }'
    nft add element inet berth_vnodes experiment_of '{ ${address} : 7 }'
    nft add element inet berth_vnodes members '{ ${address} . 7 }'
    nft add element inet berth_vnodes known '{ ${address} }'`);
}

/** Whether one ping from a container is answered within a second. */
export function ping(box: Sandbox, name: string, to: string): Promise<boolean> {
  return box.run(["docker", "exec", name, "ping", "-c", "1", "-W", "1", to]).then(({ exit }) => exit === 0);
}
