// Many kernel objects through one process: builds the batch commands of ip, tc and nft, and finds the input line
// that one of them complained about. Runs nothing; lib/resource merges such commands, lib/host runs them.
import type { Command, Output } from "./types.ts";

/** Where and how a batch runs. */
export interface BatchOptions {
  /** A network namespace, as a path such as `/proc/123/ns/net`. */
  readonly netns?: string;
  /** Go on after a failed line (the exit code still tells); for roll-backs. @default {false} */
  readonly force?: boolean;
  /** Exit codes that count as success. @default {[0]} */
  readonly okExit?: readonly number[];
}

/** Milliseconds for a batch: thousands of lines on a busy machine take seconds, never a minute. */
const BATCH_TIMEOUT_MS = 60_000;

/** One `ip -batch -` for all lines (each without the leading "ip"). Stops at the first failed line unless `force`. */
export function ipBatch(lines: readonly string[], options: BatchOptions = {}): Command {
  return batch("ip", lines, options);
}

/** One `tc -batch -` for all lines (each without the leading "tc"). */
export function tcBatch(lines: readonly string[], options: BatchOptions = {}): Command {
  return batch("tc", lines, options);
}

/** One `nft -f -`: the whole text is one transaction, so either all of it or nothing happens. */
export function nftBatch(text: string, options: BatchOptions = {}): Command {
  return {
    argv: ["nft", "-f", "-"],
    input: text.endsWith("\n") ? text : `${text}\n`,
    timeoutMs: BATCH_TIMEOUT_MS,
    ...(options.netns === undefined ? {} : { netns: options.netns }),
    ...(options.okExit === undefined ? {} : { okExit: options.okExit }),
  };
}

function batch(tool: "ip" | "tc", lines: readonly string[], options: BatchOptions): Command {
  const bad = lines.find((line) => line.includes("\n"));
  if (bad !== undefined) throw new TypeError(`A batch line must not hold a newline: ${JSON.stringify(bad)}`);
  return {
    argv: options.force ? [tool, "-force", "-batch", "-"] : [tool, "-batch", "-"],
    input: lines.map((line) => `${line}\n`).join(""),
    timeoutMs: BATCH_TIMEOUT_MS,
    ...(options.netns === undefined ? {} : { netns: options.netns }),
    ...(options.okExit === undefined ? {} : { okExit: options.okExit }),
  };
}

/** Which tool a command is a batch of, or null where it is an ordinary command. */
export function batchTool(command: Command): "ip" | "tc" | "nft" | null {
  const line = command.argv.join(" ");
  if (command.input === undefined) return null;
  if (line === "ip -batch -" || line === "ip -force -batch -") return "ip";
  if (line === "tc -batch -" || line === "tc -force -batch -") return "tc";
  return line === "nft -f -" ? "nft" : null;
}

/**
 * The input line a failed batch stopped at, or null where the output names none.
 *
 * iproute2 says "Command failed -:3"; nft says "/dev/stdin:3:5-9: Error: …".
 */
export function failedBatchLine(command: Command, output: Output): { number: number; text: string } | null {
  const tool = batchTool(command);
  if (tool === null) return null;
  const pattern = tool === "nft" ? /^(?:\/dev\/stdin|-):(\d+):/m : /^Command failed -:(\d+)/m;
  const number = Number(pattern.exec(output.stderr)?.[1] ?? Number.NaN);
  const text = Number.isNaN(number) ? undefined : command.input?.split("\n")[number - 1];
  return text === undefined ? null : { number, text: text.trim() };
}
