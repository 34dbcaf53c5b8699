// Runs steps: one process per tool and phase, whatever their number. Order: clear what is stale, host links,
// IPv6 inside, addresses and routes inside, shaping, control elements.
import type { Command, Host, Output } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { Step } from "./difference.ts";

/** IPv6 back on, per interface: dockerd switches it off in a container's namespace. Names come as arguments. */
const IPV6_ON = 'for name; do echo 0 >"/proc/sys/net/ipv6/conf/$name/disable_ipv6" || exit 1; done';

/** The commands that steps come down to, in order. `pid` is the vnode's init: its namespace is entered for "inside". */
export function commandsOf(steps: readonly Step[], pid: number | null): Command[] {
  const lines = (key: "clear" | "host" | "inside" | "tc" | "nft") => steps.flatMap((step) => step[key] ?? []);
  const input = (all: readonly string[]) => all.join("\n") + "\n";
  const [clear, host, inside, tc, nft] = (["clear", "host", "inside", "tc", "nft"] as const).map(lines) as [
    string[],
    string[],
    string[],
    string[],
    string[],
  ];
  const ipv6 = steps.flatMap((step) => step.ipv6 ?? []);
  const netns = pid === null ? undefined : `/proc/${pid}/ns/net`;
  return [
    // -force goes on after an error: an interface that has gone since the look is what we wanted.
    ...(clear.length === 0
      ? []
      : [{ argv: ["ip", "-force", "-batch", "-"], input: input(clear), okExit: [0, 1, 2] }]),
    ...(host.length === 0 ? [] : [{ argv: ["ip", "-batch", "-"], input: input(host) }]),
    ...(ipv6.length === 0 ? [] : [{ argv: ["sh", "-c", IPV6_ON, "sh", ...ipv6], netns }]),
    ...(inside.length === 0 ? [] : [{ argv: ["ip", "-batch", "-"], input: input(inside), netns }]),
    ...(tc.length === 0 ? [] : [{ argv: ["tc", "-batch", "-"], input: input(tc) }]),
    ...(nft.length === 0 ? [] : [{ argv: ["nft", "-f", "-"], input: input(nft) }]),
  ];
}

/**
 * Runs the steps.
 *
 * @throws {BerthError} code `command-failed`, naming the vnode, the tool's own words and the line it stopped at.
 */
export async function applySteps(
  host: Host,
  vnode: string,
  steps: readonly Step[],
  pid: number | null,
): Promise<void> {
  for (const command of commandsOf(steps, pid)) {
    try {
      await host.exec(command);
    } catch (error) {
      throw explain(vnode, command, error);
    }
  }
}

/** The line of a batch that failed, where the tool names it ("Command failed -:3"). */
function failedLine(command: Command, words: string): string | null {
  const match = /Command failed -:(\d+)/.exec(words);
  return match === null ? null : command.input?.split("\n")[Number(match[1]) - 1] ?? null;
}

function explain(vnode: string, command: Command, error: unknown): unknown {
  if (!(error instanceof BerthError)) return error;
  const line = failedLine(command, error.message);
  const missing = /master (bbr-\w+)/.exec(line ?? "");
  const told = missing !== null && /does not exist|Cannot find device|argument "bbr-/.test(error.message)
    ? `Cannot attach to its lan: bridge "${missing[1]}" is missing`
    : error.message + (line === null || error.message.includes(line) ? "" : ` (at "${line}")`);
  return new BerthError({
    code: error.code,
    object: `vnode ${vnode}`,
    message: told,
    next: missing !== null ? `berth vnode up ${vnode}` : error.next ?? "berth status",
    cause: error,
  });
}

/** What a command said, or what it threw, as one line for a reason. */
export function oneLine(output: Output | unknown): string {
  const text = output instanceof Error ? output.message : String((output as Output).stderr ?? output);
  return text.replace(/\s+/g, " ").trim();
}
