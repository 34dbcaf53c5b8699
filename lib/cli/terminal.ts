// The process's streams: what may be coloured, and what happens when a reader goes away.
// Owns no content. Colours: only on a terminal, without NO_COLOR and without --no-color.
import process from "node:process";
import { readText } from "../host/files.ts";

/**
 * Whether a process has a controlling terminal and is in its foreground, by its line of /proc/PID/stat (proc(5): tty_nr
 * and tpgid). A boot console is a terminal, too, but nobody's: init opens it without taking it (O_NOCTTY), and what
 * moves the cursor there ends up between others' lines and in their logs. Pure.
 */
export function isInForeground(stat: string): boolean {
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return terminal !== undefined && terminal !== "0" && group === foreground;
}

/** Whether somebody sits before this process: then lines may be drawn over and coloured. Reads /proc/self/stat. */
export async function isAttended(): Promise<boolean> {
  const stat = await readText("/proc/self/stat").catch(() => null);
  return stat !== null && isInForeground(stat);
}

/** How text is painted. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** A painter for a stream; a plain one when it is no terminal or colours are not wanted. */
export function painter(stream: { readonly isTTY?: boolean }, wanted = true): Paint {
  // An empty NO_COLOR counts as none (no-color.org). TERM=dumb cannot show any.
  const on = wanted && stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  const paint = (code: number, end: number) => (text: string) =>
    on ? `\x1b[${code}m${text}\x1b[${end}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** Exit code of a run whose result could not be written: the machine lacks room or the device refuses. */
const UNWRITTEN_EXIT = 4;

/**
 * Keeps a reader that goes away (`berth events | head -1`) from becoming a fault: tells, and is quiet.
 * Without a handler the runtimes throw EPIPE as an uncaught error. Any other failure to write is told in one line.
 */
export function guardStreams(onGone: () => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") onGone();
      else {
        onGone();
        process.exitCode = UNWRITTEN_EXIT;
        if (stream === process.stdout) {
          process.stderr.write(`error: standard output: Cannot be written: ${error.message}\n`);
        }
      }
    });
  }
}

/**
 * Control characters of untrusted text (all but newline) made visible, so that a name cannot drive the operator's
 * terminal.
 */
export function harmless(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (char) => char === "\n" ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
