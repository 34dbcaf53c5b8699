// Turns the ops of many changes into as few steps as their order allows: batches of the same tool in the same
// namespace become one process. Pure; apply.ts runs the steps.
import { batchTool } from "../host/batch.ts";
import type { Command } from "../host/types.ts";
import type { Change, Op } from "./types.ts";

/** One thing to do, and whose it is. */
export interface Step {
  readonly op: Op;
  /** The changes it serves, in order, with the number of input lines each has in it (0 for unmerged ops). */
  readonly parts: readonly { readonly change: number; readonly lines: number }[];
}

/** A batch being gathered. */
interface Gathering {
  op: { run: Command };
  parts: { change: number; lines: number }[];
  key: string;
  tool: "ip" | "tc" | "nft";
}

/**
 * The steps of all changes.
 *
 * An op joins the latest batch of its kind when only batches stand between. ip lines that add or set may so move
 * before tc's and nft's lines of *other* things, and before ip lines in another namespace: nothing that is added
 * depends on another thing's qdisc or rule. Lines that delete stay where they are, for what hangs on their device
 * goes first.
 */
export function mergedSteps(changes: readonly Change[]): readonly Step[] {
  const steps: (Gathering | Step)[] = [];
  changes.forEach((change, index) => {
    let earliest = 0; // no op of a change may come before its own earlier ones
    for (const op of change.do) {
      const tool = "run" in op ? batchTool(op.run) : null;
      if (!("run" in op) || tool === null) {
        earliest = steps.push({ op, parts: [{ change: index, lines: 0 }] });
        continue;
      }
      // A failure that one of them may have must not be overlooked in another.
      const key = `${op.run.argv.join(" ")} @ ${op.run.netns ?? ""} ${op.run.okExit ?? ""}`;
      const lines = (op.run.input ?? "").split("\n").length - 1;
      const at = joinable(steps, key, tool, op.run, earliest);
      if (at >= 0) {
        const batch = steps[at] as Gathering;
        batch.op = { run: joined(batch.op.run, op.run) };
        batch.parts.push({ change: index, lines });
        earliest = at;
      } else {
        steps.push({ op, parts: [{ change: index, lines }], key, tool });
        earliest = steps.length - 1;
      }
    }
  });
  return steps.map(({ op, parts }) => ({ op, parts }));
}

/** The place of the batch that the command may join, or -1. */
function joinable(
  steps: readonly (Gathering | Step)[],
  key: string,
  tool: "ip" | "tc" | "nft",
  command: Command,
  earliest: number,
): number {
  for (let at = steps.length - 1; at >= earliest; at--) {
    const step = steps[at]!;
    if (!("key" in step)) return -1;
    if (step.key === key) return at;
    // Overtaking: only what adds by ip, or by tc over nft, and never what a batch between takes away.
    const overtakes = tool === "ip" || (tool === "tc" && step.tool === "nft");
    if (!overtakes || deletes(command) || deletes(step.op.run)) return -1;
  }
  return -1;
}

function deletes(command: Command): boolean {
  return /(^|\n)\s*\w+ (del|delete|flush|down)\b/.test(command.input ?? "");
}

function joined(first: Command, second: Command): Command {
  const timeoutMs = Math.max(first.timeoutMs ?? 0, second.timeoutMs ?? 0);
  return {
    ...first,
    input: (first.input ?? "") + (second.input ?? ""),
    ...(timeoutMs > 0 ? { timeoutMs } : {}),
  };
}
