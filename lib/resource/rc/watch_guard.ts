// Who starts a watch again that died, where no systemd does: a line of /etc/inittab, by which init runs the init
// script's "guard" (sysv_scripts.ts) for as long as the machine runs. Owns that line, and nothing else of the file.
// Where init is of another kind (busybox has an inittab, too) there is none.
import type { Look } from "../../host/types.ts";
import { type FileState, observeFile } from "../kinds/file.ts";
import type { Change, Op, Resource } from "../types.ts";
import { SCRIPT_FOLDER } from "./sysv_scripts.ts";

const INITTAB = "/etc/inittab";
/** Only sysvinit's init has it. */
const TELINIT = ["/sbin/telinit", "/usr/sbin/telinit"];
const PROCESS = `${SCRIPT_FOLDER}/berth guard`;
/** inittab(5): ids have up to four characters. */
const LINES = [
  "# berth: starts a watch again that died (host rc --remove takes this away)",
  `brth:2345:respawn:${PROCESS}`,
] as const;

/** Init keeps a guard over the watch. `live`: init runs, and is told; false in an image's chroot. */
export function watchGuard({ live }: { readonly live: boolean }): Resource<FileState | null, null> {
  const id = "guard of the watch";
  const tell: readonly Op[] = live ? [{ run: { argv: ["telinit", "q"] } }] : [];
  const change = (verb: Change["verb"], why: string, found: FileState, text: string): Change => ({
    resource: id,
    verb,
    why,
    risk: "safe",
    do: [{ write: INITTAB, text, mode: found.mode }, ...tell],
    undo: [{ write: INITTAB, text: found.text, mode: found.mode }, ...tell],
  });
  return {
    id,
    desired: null,
    async observe(look) {
      return await hasTelinit(look) ? await observeFile(look, INITTAB) : null;
    },
    diff(found) {
      if (found === null) return [];
      const others = withoutGuard(found.text);
      const text = `${others}${others === "" || others.endsWith("\n") ? "" : "\n"}${LINES.join("\n")}\n`;
      if (ours(found.text).join() === LINES.join()) return [];
      const isThere = ours(found.text).length > 0;
      return [change(
        isThere ? "update" : "create",
        isThere
          ? `its line in "${INITTAB}" differs`
          : `no line in "${INITTAB}": nobody starts a watch that died`,
        found,
        text,
      )];
    },
    prior: () => null,
    revert(_prior, found) {
      if (found === null || ours(found.text).length === 0) return [];
      return [change("delete", "installed by berth", found, withoutGuard(found.text))];
    },
  };
}

async function hasTelinit(look: Look): Promise<boolean> {
  const found = await Promise.all(TELINIT.map((path) => look.stat(path)));
  return found.some((stat) => stat !== null);
}

/** Known by what is run: an operator may have given the line another id or action. */
function isGuard(line: string): boolean {
  return line === LINES[0] ||
    (!line.startsWith("#") && line.split(":").slice(3).join(":").trim() === PROCESS);
}

function ours(text: string): readonly string[] {
  return text.split("\n").filter(isGuard);
}

function withoutGuard(text: string): string {
  return text.split("\n").filter((line) => !isGuard(line)).join("\n");
}
