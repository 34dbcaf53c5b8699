// What the stories about lans share: the other host at the end of a tunnel or a wire (the router's namespace), pings
// both ways, and who hears what.
import { bridgeName, lanTableName, tunnelName } from "../../lib/vnode/names.ts";
import type { Background, Sandbox } from "./harness.ts";

export const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
export const FILE = "/etc/berth/vnodes.d/experiment.yaml";

/** Runs a script in the router's network; each line stops it where it fails. */
export async function far(box: Sandbox, script: string): Promise<string> {
  const said = await box.router(["sh", "-ec", script]);
  if (said.exit !== 0) throw new Error(`"${script}" ended with ${said.exit}\n${said.stdout}${said.stderr}`);
  return said.stdout;
}

/** Whether one of three pings from within a vnode is answered. `more` are further words of busybox's ping. */
export async function pings(box: Sandbox, vnode: string, to: string, ...more: string[]): Promise<boolean> {
  const said = await box.run(["docker", "exec", vnode, "ping", "-c", "3", "-W", "1", ...more, to]);
  return said.exit === 0;
}

/** The same from the router's network. */
export async function farPings(box: Sandbox, to: string, ...more: string[]): Promise<boolean> {
  return (await box.router(["ping", "-c", "3", "-i", "0.2", "-W", "1", ...more, to])).exit === 0;
}

/** A vnode on a lan. */
export const vnodeOn = (lan: string, address: string | readonly string[], more: object = {}) => ({
  image: "box",
  command: SLEEP,
  links: [{ lan, [typeof address === "string" ? "address" : "addresses"]: address, ...more }],
});

const LISTEN = `socket(S, 17, 3, 0x0300) or die $!; $| = 1; print "ready\\n";
while (1) { my $from = recv(S, my $f, 2000, 0); print unpack("H*", $f), "\\n" }`;

/** Hears all that arrives at any interface of a vnode but its control interface's own broadcasts, as digits. */
export async function listen(box: Sandbox, vnode: string): Promise<Background> {
  const pid = (await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`)).trim();
  const heard = box.spawn(["nsenter", "-t", pid, "-n", "perl", "-e", LISTEN]);
  await box.until("the listener to listen", () => heard.stdout.startsWith("ready"));
  return heard;
}

const SEND = `use Socket; socket(S, PF_INET, SOCK_DGRAM, 0) or die $!;
send(S, pack("H*", $ARGV[0]), 0, sockaddr_in($ARGV[2], inet_aton($ARGV[1]))) or die $!`;

/** The words that send one UDP datagram, its payload as digits. The machine's perl: images have no such tool. */
export function datagram(payload: string, to: string, port: number): readonly string[] {
  return ["perl", "-e", SEND, payload, to, String(port)];
}

/** Writes the experiment. */
export const put = (box: Sandbox, spec: unknown) => box.write(FILE, JSON.stringify(spec));

/** Everything of a lan that the kernel has. */
export const standing = (box: Sandbox, lan: string) =>
  box.sh(`{ ip -o link show | grep -oE '${bridgeName(lan)}|${tunnelName(lan)}' | sort -u
    nft list tables | grep ${lanTableName(lan)}; } || true`).then((text) => text.trim());
