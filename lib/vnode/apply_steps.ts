// Runs steps: one process per tool and phase, whatever their number. Order: devices go home; clear what is stale;
// what rules are to let pass or guard; host links; what rules let pass no more; sysctls, addresses and routes inside,
// and shaping.
import { ipBatch, nftBatch, tcBatch } from "../host/batch.ts";
import type { Command, Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { DOOMED_GROUP } from "./names.ts";
import type { Step } from "./step.ts";

/** Sysctls, then a batch. Paths and values come as arguments, by turns; what the engine made read-only is written too. */
const SYSCTLS = `while [ $# -gt 0 ]; do
  printf '%s\\n' "$2" >"/proc/sys/$1" || { echo "Cannot write '$2' to /proc/sys/$1" >&2; exit 1; }
  shift 2
done
exec ip -batch -`;

/**
 * The commands that steps come down to, in rounds: those of a round touch different things and run at once.
 * `pid` is the vnode's init: its namespace is entered for "inside".
 */
export function commandsOf(steps: readonly Step[], pid: number | null): Command[][] {
  const lines = (key: "leave" | "before" | "clear" | "host" | "inside" | "tc") =>
    steps.flatMap((step) => step[key] ?? []);
  // A guarded lan's guard stands before the link that it guards, and until that is another's.
  const nft = (late: boolean) =>
    steps.flatMap((step) => (step.verb === "delete") === late ? step.nft ?? [] : []);
  const rules = (late: boolean) => some(nft(late), (all) => nftBatch(all.join("\n")));
  const some = <Lines extends readonly string[]>(all: Lines, make: (lines: Lines) => Command): Command[] =>
    all.length === 0 ? [] : [make(all)];
  const [clear, inside] = [lines("clear"), lines("inside")];
  const sysctls = steps.flatMap((step) => step.sysctls ?? []).flat();
  const there = pid === null ? {} : { netns: `/proc/${pid}/ns/net` };
  const ipInside = (all: readonly string[]) => ipBatch(all, there);
  // -force goes on after an error: an interface that has gone since the look is what we wanted.
  const forced = { force: true, okExit: [0, 1, 2] };
  const doomed = clear.map((name) => `link set dev ${name} group ${DOOMED_GROUP}`);
  return [
    some(lines("leave"), (all) => ipBatch(all, { ...forced, ...there })),
    some(clear, () => ipBatch([...doomed, `link del group ${DOOMED_GROUP}`], forced)),
    rules(false),
    some(lines("host"), (all) => ipBatch(all)),
    rules(true),
    some(lines("before"), ipInside),
    [
      ...(sysctls.length === 0
        ? some(inside, ipInside)
        : [{ ...ipInside(inside), argv: ["sh", "-c", SYSCTLS, "sh", ...sysctls] }]),
      ...some(lines("tc"), (all) => tcBatch(all)),
    ],
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
  for (const round of commandsOf(steps, pid)) {
    // All of a round end before an error is told: nothing may go on changing things behind a caller's back.
    const ended = await Promise.allSettled(round.map((command) => host.exec(command)));
    ended.forEach((one, at) => {
      if (one.status === "rejected") throw explain(vnode, round[at]!, one.reason);
    });
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
