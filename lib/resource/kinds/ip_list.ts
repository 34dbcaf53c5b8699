// What `ip -j` has printed, parsed: a list, or a word about what was printed instead. Pure; link.ts asks.
import { BerthError } from "../../log/error.ts";

/** How much of an odd answer is shown, in characters. */
const SHOWN = 60;

/**
 * The list that `ip -j` printed. iproute2 says nothing at all instead of "[]" in some versions.
 *
 * @throws {BerthError} code `command-failed` where it is no list: another program of that name, a wrapper that talks.
 */
export function ipList<Item>(text: string): readonly Item[] {
  if (text.trim() === "") return [];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list as readonly Item[];
  } catch {
    // The message of JSON.parse differs between runtimes and names neither program nor text: told below.
  }
  const [line = ""] = text.trim().split("\n");
  throw new BerthError({
    code: "command-failed",
    object: "ip",
    message: `"ip -j" printed no JSON list, but ${JSON.stringify(line.slice(0, SHOWN))}${
      line.length > SHOWN || text.trim() !== line ? " …" : ""
    }`,
    next: 'Look with "type -a ip; ip -j addr show": a program of that name may stand before that of iproute2',
  });
}
